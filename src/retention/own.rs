//! Efface's own rows: log of webhooks, jobs, receipts; and the hook for the audit log.
//!
//! Receipts outlive their jobs. So do keys: a content key goes when nothing that could be replayed is sealed with it, and
//! never because a log row went.

use chrono::{DateTime, Utc};
use entity::retention_run::Model;

use super::pass::Common;
use super::policy::{Period, cutoff};
use super::{RetentionError, Told};
use crate::erasure::data_map::DEFAULT_STORE;
use crate::store::StoreError;
use crate::store::own_rows::{self, OwnTable};
use crate::store::retention_run::{self, Ending};

/// The table that the evidence room prunes.
const AUDIT_LOG: &str = "AuditLog";
/// Rows of one transaction.
const BATCH_ROWS: u64 = 2_000;

/// Names of the rules for Efface's own tables, which a data map's rules may not have.
pub(super) const POLICIES: [(&str, &str); 4] =
    [("webhook_log", "WebhookLog"), ("jobs", "GDPRJob"), ("receipts", "DeletionReceipt"), ("audit_log", AUDIT_LOG)];

impl Common<'_> {
    /// Purges Efface's own tables, as far as they are asked for.
    pub(super) async fn own(&self) -> Result<Vec<Model>, RetentionError> {
        let settings = &self.room.settings;
        let days = |days: u32| cutoff(Period::Days(days), self.now).unwrap_or(DateTime::<Utc>::MIN_UTC);
        let tables = [
            ("webhook_log", OwnTable::WebhookLog, days(settings.webhook_log_days)),
            ("jobs", OwnTable::Jobs, days(settings.jobs_days)),
            ("receipts", OwnTable::Receipts, self.now),
        ];
        let asked =
            |name: &str| self.wish.shop.is_none() && self.wish.table.as_deref().is_none_or(|table| table == name);
        let mut runs = Vec::new();
        for (policy, table, cutoff) in tables {
            if asked(table.name()) {
                runs.push(self.own_table(policy, table, cutoff).await?);
            }
        }
        if asked(AUDIT_LOG) {
            runs.extend(self.prune_audit_log(days(settings.audit_log_days)).await?);
        }
        Ok(runs)
    }

    async fn own_table(&self, policy: &str, table: OwnTable, cutoff: DateTime<Utc>) -> Result<Model, RetentionError> {
        let due = own_rows::due(self.room.store.db(), table, cutoff, self.now).await?;
        let run = self.begin(DEFAULT_STORE, table.name(), policy, Some(cutoff), due).await?;
        let ending = match self.delete_own(&run, table, cutoff).await {
            Ok(ending) => ending,
            Err(_) if self.lease.is_lost() => return Err(RetentionError::Lost),
            Err(error) => Ending { error: Some(error.to_string()), ..Ending::default() },
        };
        self.end(run, ending).await
    }

    async fn delete_own(&self, run: &Model, table: OwnTable, cutoff: DateTime<Utc>) -> Result<Ending, StoreError> {
        let (mut limit_reached, mut purged, mut batches) = (false, 0_u64, 0);
        // Where the batch before ended: in a dry run its rows are still there.
        let mut after = String::new();
        loop {
            if self.time_left().is_zero() || self.stop.is_cancelled() {
                limit_reached = true;
                break;
            }
            let tx = self.room.store.begin_write().await?;
            self.lease.share(&*tx).await?;
            let dates = (cutoff, self.now);
            let (rows, last) = own_rows::delete_due(&*tx, table, dates, &after, BATCH_ROWS).await?;
            let Some(last) = last else {
                tx.rollback().await?;
                break;
            };
            if self.dry_run {
                tx.rollback().await?;
            } else {
                retention_run::add_batch(&*tx, &run.id, rows).await?;
                tx.commit().await?;
            }
            after = last;
            purged += rows;
            batches += 1;
            self.tell.say(Told::Batch { rows });
        }
        if self.dry_run {
            let tx = self.room.store.begin_write().await?;
            retention_run::count_dry(&*tx, &run.id, purged, batches).await?;
            tx.commit().await?;
        } else {
            metrics::counter!("efface_retention_rows_purged_total", "table" => table.name()).increment(purged);
        }
        Ok(Ending { strategy: Some("batches".to_owned()), limit_reached, ..Ending::default() })
    }

    /// The hook of the evidence room: audit entries are pruned so that every earlier proof still verifies.
    async fn prune_audit_log(&self, cutoff: DateTime<Utc>) -> Result<Option<Model>, RetentionError> {
        let Some(prune) = &self.room.audit_pruner else { return Ok(None) };
        let run = self.begin(DEFAULT_STORE, AUDIT_LOG, "audit_log", Some(cutoff), 0).await?;
        let ending = match prune(cutoff, self.dry_run).await {
            Ok(rows) => {
                let tx = self.room.store.begin_write().await?;
                if self.dry_run {
                    retention_run::count_dry(&*tx, &run.id, rows, 1).await?;
                } else {
                    retention_run::add_batch(&*tx, &run.id, rows).await?;
                }
                tx.commit().await?;
                Ending { strategy: Some("pruned".to_owned()), ..Ending::default() }
            }
            Err(error) => Ending { error: Some(error), ..Ending::default() },
        };
        self.end(run, ending).await.map(Some)
    }
}
