//! Looks again, some time after an erasure, for rows that came late: a queue that was still full, a cache that was written
//! back, a job of the app's that ran once more.

use entity::audit_log::Action;
use entity::source::Source;
use serde_json::json;

use super::{Suppression, SuppressionError, TABLE};
use crate::audit::{self, Actor, Entry};
use crate::store::{gdpr_job, suppression};

/// Tombstones that one transaction notes.
const BATCH: u64 = 256;

/// Tombstones that one transaction takes away.
const EXPIRED_AT_ONCE: u64 = 1_000;

/// What one look at the clock came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepSummary {
    /// Tombstones whose rows were looked for.
    pub swept: u64,
    /// Rows that were found.
    pub rows: u64,
    /// Children that were made, those that are held included.
    pub jobs: Vec<String>,
    /// Tombstones that had expired and are gone.
    pub expired: u64,
}

impl Suppression {
    /// Looks for the rows of every tombstone that is due, makes a child for each that has any, and takes away what expired.
    /// Several processes may: a re-sweep counts for the one that notes it first, and only that one makes its children.
    ///
    /// # Errors
    /// When a store does not answer: what was not noted is due again.
    pub async fn sweep(&self) -> Result<SweepSummary, SuppressionError> {
        let mut summary = SweepSummary::default();
        loop {
            let due = suppression::due(self.store.db(), self.clock.now(), BATCH).await?;
            if due.is_empty() {
                break;
            }
            self.sweep_batch(&due, &mut summary).await?;
            if (due.len() as u64) < BATCH {
                break;
            }
        }
        loop {
            let tx = self.store.begin_write().await?;
            let now = self.clock.now();
            let expired = suppression::expire(&*tx, now, EXPIRED_AT_ONCE).await?;
            if expired > 0 {
                audit::append(&*tx, now, vec![expiry(expired)]).await?;
            }
            tx.commit().await?;
            summary.expired += expired;
            if expired < EXPIRED_AT_ONCE {
                break;
            }
        }
        if summary.expired > 0 {
            metrics::counter!("efface_suppression_expired_total").increment(summary.expired);
        }
        Ok(summary)
    }

    async fn sweep_batch(
        &self,
        due: &[entity::suppression::Model],
        summary: &mut SweepSummary,
    ) -> Result<(), SuppressionError> {
        let looked = self.look(due, true).await?;
        for (job, reason) in &looked.unknown {
            metrics::counter!("efface_suppression_sweeps_failed_total").increment(1);
            tracing::warn!(job.id = %job, error = %reason, "late rows of an erasure could not be looked for");
        }
        let now = self.clock.now();
        let asks_a_person =
            |job: &String| looked.late.iter().any(|late| late.row.job_id == *job && late.hold.is_some());
        let next: Vec<_> = due
            .iter()
            .map(|row| {
                // Once the shop is back, or a person must say whether it is, looking again tells nothing new.
                let over = looked.reinstalled.contains(&row.job_id) || asks_a_person(&row.job_id);
                (row, self.settings.next_sweep(row.created_at, now).filter(|_| !over))
            })
            .collect();
        let mut children = Vec::new();
        for late in &looked.late {
            children.push((late, self.child(late, Source::Sweep, &Actor::System("scheduler"), now).await?));
        }
        let tx = self.store.begin_write().await?;
        let swept = suppression::swept(&*tx, &next).await?;
        let (mut jobs, mut entries, mut seeds) = (Vec::new(), Vec::new(), Vec::new());
        let mut rows = 0;
        for (late, child) in children {
            if !swept.contains(&late.row.job_id) {
                continue;
            }
            rows += late.rows();
            summary.jobs.push(child.job.id.clone());
            seeds.extend(child.progress.map(|progress| (child.job.id.clone(), progress)));
            jobs.push(child.job);
            entries.push(child.entry);
        }
        let made = jobs.len() as u64;
        crate::store::error::exactly("recording children", made, gdpr_job::insert(&*tx, jobs).await?)?;
        for (id, progress) in seeds {
            suppression::seed_progress(&*tx, &id, &progress).await?;
        }
        audit::append(&*tx, now, entries).await?;
        tx.commit().await?;
        summary.swept += swept.len() as u64;
        summary.rows += rows;
        metrics::counter!("efface_suppression_sweeps_total").increment(swept.len() as u64);
        if rows > 0 {
            metrics::counter!("efface_suppression_late_rows_total").increment(rows);
            tracing::warn!(rows, jobs = made, "rows of erased subjects had come back; jobs erase them");
        }
        Ok(())
    }
}

/// That tombstones were forgotten because their time was over.
fn expiry(tombstones: u64) -> Entry {
    Entry {
        actor: Actor::System("scheduler"),
        action: Action::Delete,
        resource_type: TABLE,
        resource_id: "*".to_owned(),
        shop_domain: None,
        metadata: json!({ "because": "expired", "tombstones": tombstones }),
    }
}
