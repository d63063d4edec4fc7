//! Shows what an erasure would do, without doing it: counts and samples of keys per table, never values, and a hash that
//! names exactly this plan.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::SecondsFormat;
use sea_orm::ConnectionTrait;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::data_map::{Action, By, MappedTable, ShopReference, StoreMap};
use super::plan::{self, Plan};
use super::progress::Progress;
use super::reinstall::{self, Back, Guard, Policy};
use super::stores::Stores;
use super::subject::{Scope, Spelling, Target};
use crate::seal::Keyring;
use crate::store::StoreError;
use crate::store::target::{self, Place, Probe};

/// Keys shown per table.
const SAMPLES: u64 = 5;

/// Other customers told apart per table; more are told as this many.
const OTHERS_MAX: u64 = 50;

/// What an erasure would do to one table.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TablePreview {
    pub store: String,
    pub table: String,
    /// `delete`, `mask` or `keep`.
    pub action: &'static str,
    /// Rows that are there now.
    pub rows: u64,
    /// A few of their primary keys; the parts of a composite key are joined with a space.
    pub samples: Vec<String>,
    /// Why rows are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ground: Option<String>,
    /// Rows that belong to the subject by an order, and name this many other customers: merged customers, shared orders.
    #[serde(skip_serializing_if = "is_zero")]
    pub other_customers: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// What an erasure would do.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    pub shop_domain: String,
    /// Whether all of the shop is meant.
    pub whole_shop: bool,
    /// Keyed digest of whom it is about: the same subject reads alike in this installation, and nowhere else.
    pub subject: String,
    /// Identifiers that are looked for, by kind.
    pub identifiers: BTreeMap<&'static str, usize>,
    /// SHA-256 of the data map's file.
    pub data_map: String,
    pub tables: Vec<TablePreview>,
    /// Only rows made until then would be erased, and the shop's own row would stay: the shop came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_up_to: Option<String>,
    /// Why nothing would be erased until a person decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_because: Option<String>,
    /// SHA-256 of all the above: approving it approves exactly this plan.
    pub hash: String,
}

impl Preview {
    /// Rows that would be deleted or masked.
    pub fn rows(&self) -> u64 {
        self.tables.iter().filter(|table| table.action != "keep").map(|table| table.rows).sum()
    }
}

/// Looks what an erasure would do now: per store, all tables in one snapshot.
///
/// # Errors
/// When a database refuses or does not answer.
pub async fn preview(
    stores: &Stores,
    keyring: &Keyring,
    reinstalled: Policy,
    target: &Target,
    progress: &Progress,
) -> Result<Preview, StoreError> {
    let mut tables = Vec::new();
    let mut guard = None;
    for (map, store) in stores.all().await? {
        let snapshot = store.begin_snapshot().await.map_err(|error| error.of_store(&map.name))?;
        let looked = look(&snapshot, map, target, progress, (reinstalled, &mut guard)).await;
        let looked = looked.map_err(|error| error.of_store(&map.name))?;
        snapshot.commit().await.map_err(|error| StoreError::from(error).of_store(&map.name))?;
        tables.extend(looked);
    }
    let (subject, identifiers) = whom(keyring, target);
    let mut preview = Preview {
        shop_domain: target.shop_domain.clone(),
        whole_shop: target.is_whole_shop(),
        subject,
        identifiers,
        data_map: stores.digest().to_owned(),
        tables,
        made_up_to: match &guard {
            Some(Guard::EraseUpTo(cutoff)) => Some(cutoff.to_rfc3339_opts(SecondsFormat::Micros, true)),
            _ => None,
        },
        held_because: match &guard {
            Some(Guard::Hold(back @ (Back::Undivided(_) | Back::Undated(_)))) => Some(back.reason()),
            _ => None,
        },
        hash: String::new(),
    };
    let told = serde_json::to_vec(&preview).map_err(|_| StoreError::Refused("the plan cannot be written".into()))?;
    preview.hash = hex::encode(Sha256::digest(told));
    Ok(preview)
}

fn whom(keyring: &Keyring, target: &Target) -> (String, BTreeMap<&'static str, usize>) {
    let mut parts = vec![target.shop_domain.clone()];
    let mut identifiers = BTreeMap::new();
    if let Scope::Subject(subject) = &target.scope {
        let kinds =
            [("orders", By::OrderId), ("customers", By::CustomerId), ("emails", By::Email), ("phones", By::Phone)];
        for ((name, by), count) in kinds.into_iter().zip(subject.counts()) {
            identifiers.insert(name, count);
            parts.push(name.to_owned());
            parts.extend(subject.values(by, &Spelling::Plain, &[]));
        }
    }
    let parts: Vec<&[u8]> = parts.iter().map(String::as_bytes).collect();
    (hex::encode(keyring.digest("plan subject", &parts)), identifiers)
}

async fn look(
    conn: &impl ConnectionTrait,
    map: &StoreMap,
    target: &Target,
    progress: &Progress,
    (reinstalled, guard): (Policy, &mut Option<Guard>),
) -> Result<Vec<TablePreview>, StoreError> {
    let known = progress.shops.get(&map.name).map(|key| (target.shop_domain.clone(), key.clone()));
    let known: HashMap<String, String> = known.into_iter().collect();
    let plan = Plan::lay_out(conn, map, &[(0, target)], &known, false).await?;
    let whole = target.is_whole_shop();
    if whole && guard.is_none() {
        // The default store comes first, and its word counts for all.
        let row = plan.shops.get(&target.shop_domain);
        *guard = Some(reinstall::guard(conn, map, row, reinstalled, progress).await?);
    }
    let cutoff = if let Some(Guard::EraseUpTo(cutoff)) = guard { Some(*cutoff) } else { None };
    if cutoff.is_some()
        && let Some(table) = reinstall::undated(conn, map, |table| plan.whole_shops_of(table.holds, target)).await?
    {
        *guard = Some(Guard::Hold(Back::Undated(table)));
    }
    let backend = conn.get_database_backend();
    let mut tables = Vec::new();
    for (place, table) in map.tables.iter().enumerate() {
        let action = table.action(whole);
        if action == Action::Keep && !table.keeps_on_ground(whole) {
            continue;
        }
        let of_subject = plan.keys_of(place);
        // What is kept is kept whenever it was made.
        let cutoff = cutoff.filter(|_| action != Action::Keep);
        let of_shop = plan::by_cutoff(backend, &plan.whole_shops(table.holds), |_| cutoff);
        let mut probe = if whole {
            let ways = of_shop.iter().map(|(which, keys)| (*which, keys)).collect();
            Probe { reach: &table.reach, ways, unmasked: None }
        } else {
            plan::probe(table, &of_subject)
        };
        if action == Action::Mask {
            probe.unmasked = Some(&table.masks);
        }
        let counted = target::count_found(conn, std::slice::from_ref(&probe)).await?;
        tables.push(TablePreview {
            store: map.name.clone(),
            table: table.name.as_str().to_owned(),
            action: match action {
                Action::Delete => "delete",
                Action::Mask => "mask",
                Action::Keep => "keep",
            },
            rows: counted.iter().map(|(_, count)| count.rows).sum(),
            samples: target::samples(conn, &probe, &table.key, SAMPLES).await?,
            ground: table.ground.clone().filter(|_| action == Action::Keep),
            other_customers: other_customers(conn, table, target, &probe).await?,
        });
    }
    if let Some(shop) = map.shop.as_ref().filter(|_| whole) {
        let row = plan.shops.get(&target.shop_domain);
        tables.push(TablePreview {
            store: map.name.clone(),
            table: shop.table.table.as_str().to_owned(),
            action: if shop.kept_because.is_some() || cutoff.is_some() { "keep" } else { "delete" },
            rows: u64::from(row.is_some()),
            samples: plan.whole_shops(ShopReference::ShopId).shops.clone(),
            ground: shop.kept_because.clone(),
            other_customers: 0,
        });
    }
    Ok(tables)
}

/// How many customers that are not the subject stand in rows which the subject's identifiers find.
async fn other_customers(
    conn: &impl ConnectionTrait,
    table: &MappedTable,
    target: &Target,
    probe: &Probe<'_>,
) -> Result<u64, StoreError> {
    let Scope::Subject(subject) = &target.scope else { return Ok(0) };
    let plain = |way: &&super::data_map::SubjectWay| {
        way.by == By::CustomerId && way.way.place == Place::Whole && way.way.column.at == 0
    };
    let Some(way) = table.ways.iter().find(plain) else { return Ok(0) };
    let ours: BTreeSet<String> = subject.values(By::CustomerId, &Spelling::Both, &[]).into_iter().collect();
    let named = target::samples(conn, probe, std::slice::from_ref(&way.way.column.name), OTHERS_MAX).await?;
    Ok(named.iter().filter(|customer| !customer.is_empty() && !ours.contains(*customer)).count() as u64)
}
