//! Collects what is held of a subject for `customers/data_request`, and keeps it sealed until it is handed over.
//!
//! One snapshot for all tables; parts of bounded size, each sealed on its own, so that memory does not grow with what
//! is held.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use entity::export_package::{Model, PackageStatus};
use entity::export_part;
use entity::sealing_key::KeyPurpose;
use sea_orm::ConnectionTrait;
use serde_json::json;

use crate::erasure::data_map::StoreMap;
use crate::erasure::plan::{Plan, probe};
use crate::erasure::stores::Stores;
use crate::erasure::subject::Target;
use crate::seal::{Aad, ContentKey, ContentKeyError, ContentKeys, seal};
use crate::store::target;
use crate::store::{Store, StoreError, export_package, id};

/// Rows of one part.
const ROWS_PER_PART: usize = 1_000;

/// Collects packages. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Exporter {
    stores: Stores,
    keys: ContentKeys,
    keep: TimeDelta,
}

/// What was collected, sealed, and not yet kept.
#[derive(Debug)]
pub struct Collected {
    /// Rows by export key.
    pub counts: BTreeMap<String, u64>,
    package_id: String,
    parts: Vec<export_part::Model>,
}

impl Exporter {
    /// Packages are kept for `keep_days` after they are ready.
    pub fn new(stores: Stores, keys: ContentKeys, keep_days: u32) -> Self {
        Self { stores, keys, keep: TimeDelta::days(i64::from(keep_days)) }
    }

    /// Reads the subject's rows from every exported table, in one snapshot, and seals them part by part.
    ///
    /// # Errors
    /// When the database refuses or does not answer, or no key can be had to seal with.
    pub async fn collect(&self, target: &Target) -> Result<Collected, StoreError> {
        let key = self.keys.current(KeyPurpose::Export).await.map_err(|error| match error {
            ContentKeyError::Store(error) => error,
            other => StoreError::Refused(other.to_string()),
        })?;
        let package_id = id::package();
        let mut collected = Collected { counts: BTreeMap::new(), package_id, parts: Vec::new() };
        for (map, store) in self.stores.all().await? {
            let read = self.read_store(target, &key, map, store, &mut collected).await;
            read.map_err(|error| error.of_store(&map.name))?;
        }
        Ok(collected)
    }

    async fn read_store(
        &self,
        target: &Target,
        key: &ContentKey,
        map: &StoreMap,
        store: &Store,
        collected: &mut Collected,
    ) -> Result<(), StoreError> {
        let snapshot = store.begin_snapshot().await?;
        let plan = Plan::lay_out(&snapshot, map, &[(0, target)], &HashMap::new(), false).await?;
        for (place, table) in map.tables.iter().enumerate().filter(|(_, table)| !table.export.is_empty()) {
            let keys = plan.keys_of(place);
            let rows = target::select_matching(&snapshot, &probe(table, &keys), &table.export).await?;
            for rows in rows.chunks(ROWS_PER_PART) {
                let sequence = i32::try_from(collected.parts.len()).unwrap_or(i32::MAX);
                let aad = Aad {
                    table: "ExportPart",
                    row: &format!("{}/{sequence}", collected.package_id),
                    column: "sealed",
                    shop: &target.shop_domain,
                };
                collected.parts.push(export_part::Model {
                    id: id::row(),
                    package_id: collected.package_id.clone(),
                    sequence,
                    table_name: table.name.as_str().to_owned(),
                    rows: i32::try_from(rows.len()).unwrap_or(i32::MAX),
                    sealed: seal(key, &aad, rows.join("\n").as_bytes()),
                });
            }
            collected.counts.insert(table.export_key.clone(), rows.len() as u64);
        }
        snapshot.commit().await.map_err(StoreError::from)
    }

    /// Keeps a package in the caller's transaction, in place of what an earlier attempt at the job may have kept.
    ///
    /// # Errors
    /// When the database refuses or does not answer.
    pub async fn keep(
        &self,
        conn: &impl ConnectionTrait,
        job_id: &str,
        shop_domain: &str,
        collected: Collected,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        export_package::discard(conn, job_id).await?;
        let package = Model {
            id: collected.package_id,
            job_id: job_id.to_owned(),
            shop_domain: shop_domain.to_owned(),
            status: PackageStatus::Ready,
            rows_total: collected.counts.values().sum::<u64>().cast_signed(),
            counts: json!(collected.counts),
            created_at: now,
            ready_at: Some(now),
            expires_at: now + self.keep,
            removed_at: None,
        };
        export_package::insert_package(conn, package).await?;
        for part in collected.parts {
            export_package::insert_part(conn, part).await?;
        }
        Ok(())
    }
}
