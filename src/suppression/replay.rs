//! Erases again what a restored backup brought back, from tombstones alone.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use entity::audit_log::Action;
use entity::source::Source;
use entity::suppression::Model;
use serde::Serialize;
use serde_json::json;

use super::{Suppression, SuppressionError, TABLE};
use crate::audit::{self, Actor, Entry};
use crate::store::{gdpr_job, suppression};

/// Tombstones that are held in memory together.
const PAGE: u64 = 20_000;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Erasures that completed at this instant or later.
    pub since: DateTime<Utc>,
    /// Tombstones to consider that are not in the database: for a dry run, which imports none.
    pub more: Vec<Model>,
    /// Whether only to look.
    pub dry_run: bool,
}

/// What a replay looked at, found and made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplaySummary {
    pub tombstones: u64,
    /// Shops of those tombstones.
    pub shops: u64,
    /// Distinct values of match columns that were compared.
    pub values_compared: u64,
    pub rows_found: u64,
    /// The rows found, by table.
    pub tables: BTreeMap<String, u64>,
    /// Jobs that erase them.
    pub jobs: Vec<String>,
    /// How many of these wait for a person, who must say whether the shop was installed again.
    pub held: u64,
    /// Whole shops that were installed again after they were erased: left alone.
    pub reinstalled: u64,
    /// Tombstones that could not be looked up.
    pub failed: u64,
}

impl Suppression {
    /// Looks for the rows of everybody who was erased since, and makes a job for each who is there again.
    ///
    /// # Errors
    /// When a store does not answer, or a tombstone's key is not in the keys file. Jobs of earlier pages are made by then; a
    /// replay that is run again finds what is left.
    pub async fn replay(&self, replay: Replay, actor: Actor) -> Result<ReplaySummary, SuppressionError> {
        let (mut summary, mut shops) = (ReplaySummary::default(), BTreeSet::new());
        let (mut after, mut seen) = (None, HashSet::new());
        loop {
            let page = suppression::page(self.store.db(), replay.since, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some((last.created_at, last.job_id.clone()));
            if !replay.more.is_empty() {
                seen.extend(page.iter().map(|row| row.job_id.clone()));
            }
            shops.extend(page.iter().map(|row| row.shop_domain.clone()));
            self.replay_page(&page, &replay, &actor, &mut summary).await?;
        }
        let mut more = replay.more.clone();
        more.retain(|row| row.created_at >= replay.since && !seen.contains(&row.job_id));
        for page in more.chunks(usize::try_from(PAGE).unwrap_or(usize::MAX)) {
            shops.extend(page.iter().map(|row| row.shop_domain.clone()));
            self.replay_page(page, &replay, &actor, &mut summary).await?;
        }
        summary.shops = shops.len() as u64;
        Ok(summary)
    }

    async fn replay_page(
        &self,
        page: &[Model],
        replay: &Replay,
        actor: &Actor,
        summary: &mut ReplaySummary,
    ) -> Result<(), SuppressionError> {
        let looked = self.look(page, false).await?;
        summary.tombstones += page.len() as u64;
        summary.values_compared += looked.values;
        summary.reinstalled += looked.reinstalled.len() as u64;
        summary.failed += looked.unknown.len() as u64;
        for (job, reason) in &looked.unknown {
            tracing::warn!(job.id = %job, error = %reason, "rows of an erasure could not be looked for");
        }
        let now = self.clock.now();
        let (mut jobs, mut entries, mut seeds) = (Vec::new(), Vec::new(), Vec::new());
        for late in &looked.late {
            summary.rows_found += late.rows();
            summary.held += u64::from(late.hold.is_some());
            for (table, rows) in &late.tables {
                *summary.tables.entry(table.clone()).or_default() += rows;
            }
            if !replay.dry_run {
                let child = self.child(late, Source::Replay, actor, now).await?;
                summary.jobs.push(child.job.id.clone());
                seeds.extend(child.progress.map(|progress| (child.job.id.clone(), progress)));
                jobs.push(child.job);
                entries.push(child.entry);
            }
        }
        if jobs.is_empty() {
            return Ok(());
        }
        let tx = self.store.begin_write().await?;
        let made = jobs.len() as u64;
        crate::store::error::exactly("recording children", made, gdpr_job::insert(&*tx, jobs).await?)?;
        for (id, progress) in seeds {
            suppression::seed_progress(&*tx, &id, &progress).await?;
        }
        audit::append(&*tx, now, entries).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Writes into the audit log that a replay ran and what it came to: the proof that it did.
    ///
    /// # Errors
    /// When the database refuses or does not answer.
    pub async fn attest(
        &self,
        since: DateTime<Utc>,
        summary: &ReplaySummary,
        completed: u64,
        actor: Actor,
    ) -> Result<(), SuppressionError> {
        let now = self.clock.now();
        let entry = Entry {
            actor,
            action: Action::Validate,
            resource_type: TABLE,
            resource_id: format!("replay {}", crate::store::id::row()),
            shop_domain: None,
            metadata: json!({
                "since": crate::clock::rfc3339(since), "tombstones": summary.tombstones, "shops": summary.shops,
                "valuesCompared": summary.values_compared, "rowsFound": summary.rows_found,
                "jobs": summary.jobs.len(), "completed": completed, "held": summary.held,
                "reinstalled": summary.reinstalled, "failed": summary.failed,
            }),
        };
        let tx = self.store.begin_write().await?;
        audit::append(&*tx, now, vec![entry]).await?;
        Ok(tx.commit().await?)
    }
}
