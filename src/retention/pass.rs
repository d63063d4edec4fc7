//! One pass: one rule over one table, with its row, its guards and its audit entry.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use entity::audit_log::Action;
use entity::retention_run::Model;
use sea_orm::DatabaseTransaction;
use serde_json::json;

use super::finding::{Finding, of_unread};
use super::holds::{self, Held};
use super::lease::{self, Lease};
use super::policy::Rule;
use super::sweep::Tell;
use super::work::{self, Place, Work};
use super::{Retention, RetentionError, TABLE, Told, Wish, guard};
use crate::audit::{self, Entry};
use crate::clock::rfc3339;
use crate::erasure::data_map::{DEFAULT_STORE, MappedTable};
use crate::erasure::execute::expired;
use crate::shutdown::Shutdown;
use crate::store::retention_run::{self, Ending};
use crate::store::target::purge::{self, Batch, Limits, Note, Purged};
use crate::store::{StoreError, id};

/// How often a pass begins again because holds were placed or released under it.
const BEGINNINGS_MAX: u32 = 20;

/// What all passes of a sweep have in common.
#[derive(Debug)]
pub(super) struct Common<'a> {
    pub room: &'a Retention,
    pub lease: &'a Lease,
    pub wish: &'a Wish,
    pub sweep_id: &'a str,
    /// The instant that all cutoffs are counted from.
    pub now: DateTime<Utc>,
    pub ends_at: Instant,
    pub dry_run: bool,
    pub tell: Tell<'a>,
    pub stop: &'a Shutdown,
}

/// What a pass came to: its row, or why there is none.
#[derive(Debug)]
pub(super) enum Passed {
    Nothing,
    Refused(Finding),
    Run {
        run: Box<Model>,
        /// Rows whose time cannot be read.
        unread: Option<Finding>,
    },
}

impl Common<'_> {
    /// Purges what a rule says of a table.
    ///
    /// # Errors
    /// When the lease is lost, or the own database does not answer. What goes wrong with the table stands in the pass's row.
    pub(super) async fn pass(
        &self,
        place: &Place<'_>,
        table: &MappedTable,
        rule: &Rule,
    ) -> Result<Passed, RetentionError> {
        let below = holds::below(&place.catalog, table.name.as_str());
        for _ in 1..BEGINNINGS_MAX {
            let held = Held::read(self.room.store.db()).await?;
            let work = match work::lay_out(place, table, rule, &held, &below, self.now).await {
                Ok(work) => work,
                Err(error) => {
                    let run = self.begin(&place.map.name, table.name.as_str(), &rule.name, None, 0).await?;
                    let run = Box::new(self.end(run, failed(&error)).await?);
                    return Ok(Passed::Run { run, unread: None });
                }
            };
            match work {
                Work::Nothing => return Ok(Passed::Nothing),
                Work::Refused(finding) => return Ok(Passed::Refused(finding)),
                Work::Purge { expiry, cutoff, all_held } => {
                    let column = expiry.column.as_str().to_owned();
                    let (run, unread) = self.purge(place, table, rule, &held, (*expiry, cutoff, all_held)).await?;
                    if run.error.as_deref() != Some(holds::CHANGED) {
                        let unread = of_unread(&place.map.name, table.name.as_str(), &column, unread);
                        return Ok(Passed::Run { run: Box::new(run), unread });
                    }
                }
            }
        }
        Err(StoreError::Conflict("legal holds change faster than a table can be purged".to_owned()).into())
    }

    /// Returns the pass's row, and how many rows hold no instant.
    async fn purge(
        &self,
        place: &Place<'_>,
        table: &MappedTable,
        rule: &Rule,
        held: &Held,
        (expiry, cutoff, all_held): (purge::Expiry, Option<DateTime<Utc>>, bool),
    ) -> Result<(Model, u64), RetentionError> {
        let name = table.name.as_str();
        let due = match purge::due(place.store, &expiry).await {
            Ok(due) => due,
            Err(error) => {
                let run = self.begin(&place.map.name, name, &rule.name, cutoff, 0).await?;
                return Ok((self.end(run, failed(&error)).await?, 0));
            }
        };
        let (rows_due, rows_held) = if all_held { (0, due.due + due.held) } else { (due.due, due.held) };
        super::show::measure(name, rows_due, due.oldest, self.now);
        let run = self.begin(&place.map.name, name, &rule.name, cutoff, rows_due).await?;
        let nothing = Ending { rows_held, ..Ending::default() };
        if all_held || rows_due == 0 {
            return Ok((self.end(run, nothing).await?, due.unread));
        }
        let share = guard::too_large_a_share(rows_due, due.total, self.room.settings.max_share);
        if let Some(why) = share.filter(|_| !self.wish.approved && !self.dry_run) {
            return Ok((self.end(run, Ending { error: Some(why), ..nothing }).await?, due.unread));
        }
        let settings = &self.room.settings;
        let limits = Limits {
            statement_timeout: settings.statement_timeout,
            lock_timeout: settings.lock_timeout,
            transaction_max: settings.transaction_max,
            time_max: self.time_left(),
            rows_max: settings.rows_max,
            pause_share: settings.pause_share,
            dry_run: self.dry_run,
        };
        let resume = if self.dry_run || place.one_shop {
            None
        } else {
            retention_run::resume(self.room.store.db(), &rule.name).await?
        };
        let of_default = place.map.name == DEFAULT_STORE;
        let scribe = Scribe { common: self, held, run: &run, of_default };
        let purged = expired::purge(place.store, &expiry, &limits, resume.as_deref(), &scribe, self.stop).await;
        let ending = match purged {
            Ok(purged) => {
                if self.dry_run {
                    self.count_dry(&run, purged.rows, purged.batches).await?;
                } else {
                    metrics::counter!("efface_retention_rows_purged_total", "table" => name.to_owned())
                        .increment(purged.rows);
                }
                of_purged(purged, rows_held)
            }
            // Whoever took the lease says what became of this row.
            Err(_) if self.lease.is_lost() => return Err(RetentionError::Lost),
            Err(StoreError::Refused(why)) if why == holds::CHANGED => {
                Ending { error: Some(holds::CHANGED.to_owned()), ..nothing }
            }
            Err(error) => Ending { rows_held, ..failed(&error) },
        };
        Ok((self.end(run, ending).await?, due.unread))
    }

    pub(super) fn time_left(&self) -> Duration {
        self.ends_at.saturating_duration_since(Instant::now())
    }

    /// Records the beginning of a pass.
    pub(super) async fn begin(
        &self,
        store: &str,
        table: &str,
        policy: &str,
        cutoff: Option<DateTime<Utc>>,
        rows_due: u64,
    ) -> Result<Model, RetentionError> {
        let run = Model {
            id: id::row(),
            sweep_id: Some(self.sweep_id.to_owned()),
            trigger: self.wish.trigger().to_owned(),
            policy: policy.to_owned(),
            store: store.to_owned(),
            table_name: table.to_owned(),
            cutoff,
            rows_due: rows_due.cast_signed(),
            rows_purged: 0,
            rows_held: 0,
            batches: 0,
            strategy: None,
            because: None,
            longest_ms: 0,
            vacuumed: false,
            resume: None,
            dry_run: self.dry_run,
            limit_reached: false,
            error: None,
            started_at: self.room.clock.now(),
            finished_at: None,
        };
        let tx = self.room.store.begin_write().await?;
        self.lease.share(&*tx).await.map_err(|error| self.lost_or(error))?;
        retention_run::insert(&*tx, run.clone()).await?;
        tx.commit().await?;
        self.tell.say(Told::Begun { table: table.to_owned(), policy: policy.to_owned(), rows_due });
        Ok(run)
    }

    /// Records the end of a pass, with its audit entry.
    pub(super) async fn end(&self, run: Model, ending: Ending) -> Result<Model, RetentionError> {
        let now = self.room.clock.now();
        let tx = self.room.store.begin_write().await?;
        self.lease.share(&*tx).await.map_err(|error| self.lost_or(error))?;
        let run = retention_run::finish(&*tx, &run.id, &ending, now).await?;
        audit::append(&*tx, now, vec![self.entry(&run)]).await?;
        tx.commit().await?;
        if let Some(error) = &run.error {
            metrics::counter!("efface_retention_failed_total", "table" => run.table_name.clone()).increment(1);
            tracing::warn!(run.id = %run.id, run.policy = %run.policy, run.table = %run.table_name, error = %error,
                "a retention policy was not carried out to its end");
        }
        self.tell.say(Told::Ended(Box::new(run.clone())));
        Ok(run)
    }

    async fn count_dry(&self, run: &Model, rows: u64, batches: u32) -> Result<(), RetentionError> {
        let tx = self.room.store.begin_write().await?;
        retention_run::count_dry(&*tx, &run.id, rows, batches).await?;
        Ok(tx.commit().await?)
    }

    fn lost_or(&self, error: StoreError) -> RetentionError {
        if self.lease.is_lost() { RetentionError::Lost } else { error.into() }
    }

    fn entry(&self, run: &Model) -> Entry {
        Entry {
            actor: self.wish.actor.clone(),
            action: if run.dry_run { Action::Validate } else { Action::Delete },
            resource_type: TABLE,
            resource_id: run.id.clone(),
            shop_domain: self.wish.shop.clone(),
            metadata: facts(run),
        }
    }
}

/// What the audit log keeps of a pass.
pub(super) fn facts(run: &Model) -> serde_json::Value {
    json!({
        "sweep": run.sweep_id, "policy": run.policy, "store": run.store, "table": run.table_name,
        "cutoff": run.cutoff.map(rfc3339), "rowsDue": run.rows_due, "rowsPurged": run.rows_purged,
        "rowsHeld": run.rows_held, "batches": run.batches, "strategy": run.strategy, "limitReached": run.limit_reached,
        "dryRun": run.dry_run, "error": run.error,
    })
}

fn failed(error: &StoreError) -> Ending {
    Ending { error: Some(error.to_string()), ..Ending::default() }
}

fn of_purged(purged: Purged, rows_held: u64) -> Ending {
    Ending {
        rows_held,
        strategy: Some(purged.strategy.as_str().to_owned()),
        because: Some(purged.because),
        longest_ms: u64::try_from(purged.longest.as_millis()).unwrap_or(u64::MAX),
        vacuumed: purged.vacuumed,
        limit_reached: purged.limit_reached,
        resume: purged.resume,
        error: None,
    }
}

/// Writes each batch down in the batch's own transaction, after a last look at the lease and the holds.
struct Scribe<'a> {
    common: &'a Common<'a>,
    held: &'a Held,
    run: &'a Model,
    /// Whether the table is in Efface's own database.
    of_default: bool,
}

impl Note for Scribe<'_> {
    async fn note(&self, tx: &DatabaseTransaction, batch: &Batch) -> Result<(), StoreError> {
        let lease: &Lease = self.common.lease;
        if lease.is_lost() {
            return Err(StoreError::Refused(lease::LOST.to_owned()));
        }
        if self.of_default {
            // First the lease: who places a hold waits for it.
            lease.share(tx).await?;
            self.held.still(tx).await?;
            if !self.run.dry_run {
                retention_run::add_batch(tx, &self.run.id, batch.rows).await?;
            }
            return Ok(());
        }
        // Two databases have no transaction in common: the own one is written first, so that no deletion goes uncounted.
        let own = self.common.room.store.begin_write().await?;
        lease.share(&*own).await?;
        self.held.still(&*own).await?;
        if !self.run.dry_run {
            retention_run::add_batch(&*own, &self.run.id, batch.rows).await?;
        }
        own.commit().await
    }

    fn is_within(&self) -> bool {
        self.of_default
    }

    fn told(&self, batch: &Batch) {
        self.common.tell.say(Told::Batch { rows: batch.rows });
    }
}
