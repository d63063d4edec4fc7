//! One run: its limits, its transactions, and what it has done so far.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait as _, DbBackend, DbErr, RuntimeErr, Statement, Value};

use super::others::{self, Others};
use super::{Batch, Expiry, Limits, Note, Purged, Strategy, pace};
use crate::shutdown::Shutdown;
use crate::store::{Store, StoreError, WriteTransaction};

/// How often a run looks around.
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub(super) struct Run<'a, N> {
    pub(super) store: &'a Store,
    pub(super) expiry: &'a Expiry,
    pub(super) limits: &'a Limits,
    note: &'a N,
    stop: &'a Shutdown,
    begun: Instant,
    rows: u64,
    batches: u32,
    longest: Duration,
    limit_reached: bool,
    /// Tables whose rows refer to these, where the database's own error does not name one.
    pub(super) referrers: Option<String>,
    /// PostgreSQL's `plan_cache_mode`, as the statements' terms need it.
    pub(super) plan_cache_mode: &'static str,
    /// Whether a commit did not wait for the server's disk.
    is_unsettled: bool,
    others: Others,
    looked: Option<Instant>,
}

/// What became of a transaction.
#[derive(Debug)]
pub(super) enum Outcome {
    Deleted {
        rows: u64,
        /// The transaction.
        took: Duration,
        /// Its statement; what is noted and the commit cost the same for many rows as for few.
        worked: Duration,
    },
    /// Somebody holds a row; nothing was changed.
    Locked,
    /// The server ended it; nothing was changed.
    TooLong,
    /// It would have been more rows than the run may purge; nothing was changed.
    TooMany,
}

/// How long one transaction's statements may wait and take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) lock: Duration,
    pub(super) statement: Duration,
}

impl<'a, N: Note> Run<'a, N> {
    pub(super) fn new(
        store: &'a Store,
        expiry: &'a Expiry,
        limits: &'a Limits,
        note: &'a N,
        stop: &'a Shutdown,
    ) -> Self {
        Self {
            store,
            expiry,
            limits,
            note,
            stop,
            begun: Instant::now(),
            rows: 0,
            batches: 0,
            longest: Duration::ZERO,
            limit_reached: false,
            referrers: None,
            plan_cache_mode: "auto",
            is_unsettled: false,
            others: Others::default(),
            looked: None,
        }
    }

    /// A transaction's ordinary patience: a waiting transaction keeps others waiting, so it hardly waits.
    pub(super) fn hurried(&self) -> Patience {
        let most = self.limits.transaction_max;
        Patience {
            lock: self.limits.lock_timeout.min(most / 10),
            statement: self.limits.statement_timeout.min(most.mul_f64(0.9)),
        }
    }

    /// PostgreSQL's settings of one transaction.
    pub(super) fn settings(&self, patience: Patience) -> String {
        let waits = if self.is_left_unflushed() { "; SET LOCAL synchronous_commit=off" } else { "" };
        format!("{}{waits}", settings(patience, self.plan_cache_mode))
    }

    /// Whether commits do not wait for the server's disk, which then writes while the next batch goes on: only where what
    /// is noted goes the way of what is deleted. A commit of somebody else's waits until all before it is written either way;
    /// with fewer flushes of ours it does not have to wait for one of those first.
    fn is_left_unflushed(&self) -> bool {
        self.note.is_within()
    }

    /// Waits until all that was committed is on the server's disk. A commit waits for all before it, but only if it wrote
    /// something itself: a message to nobody, which every user may write.
    pub(super) async fn settle(&mut self) -> Result<(), StoreError> {
        if self.is_unsettled {
            let tx = self.store.begin_write().await?;
            tx.execute_unprepared("SELECT pg_logical_emit_message(true, 'efface', '')").await?;
            tx.commit().await?;
            self.is_unsettled = false;
        }
        Ok(())
    }

    /// Whether to end here: asked to stop, or at the limit of time.
    pub(super) fn must_end(&mut self) -> bool {
        self.limit_reached |= self.begun.elapsed() >= self.limits.time_max;
        self.limit_reached || self.stop.is_cancelled()
    }

    /// How many rows the run may still purge.
    pub(super) fn rows_left(&self) -> u64 {
        self.limits.rows_max.map_or(u64::MAX, |most| most.saturating_sub(self.rows))
    }

    /// The run may purge no more rows.
    pub(super) fn end_at_limit(&mut self) {
        self.limit_reached = true;
    }

    /// One statement in a transaction of its own.
    pub(super) async fn attempt(
        &mut self,
        sql: &str,
        values: Vec<Value>,
        patience: Patience,
        resume: &str,
    ) -> Result<Outcome, StoreError> {
        let begun = Instant::now();
        let backend = self.store.backend();
        let tx = self.store.begin_write().await?;
        if backend == DbBackend::Postgres {
            tx.execute_unprepared(&self.settings(patience)).await?;
        }
        let sent = Instant::now();
        let done = match tx.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await {
            Ok(done) => done,
            Err(error) => return self.refused(tx, &error).await,
        };
        let worked = sent.elapsed();
        Ok(match self.finish(tx, done.rows_affected(), begun, resume).await? {
            Outcome::Deleted { rows, took, .. } => Outcome::Deleted { rows, took, worked },
            other => other,
        })
    }

    /// Ends a transaction that deleted so many rows: notes them and commits, or rolls back in a dry run.
    pub(super) async fn finish(
        &mut self,
        tx: WriteTransaction,
        rows: u64,
        begun: Instant,
        resume: &str,
    ) -> Result<Outcome, StoreError> {
        if self.limits.rows_max.is_some_and(|most| self.rows + rows > most) {
            tx.rollback().await?;
            return Ok(Outcome::TooMany);
        }
        let worked = begun.elapsed();
        let mut batch = Batch { rows, took: worked, resume: resume.to_owned() };
        if rows > 0 {
            if self.store.backend() == DbBackend::Postgres {
                // The rows are the app's, and were not to be waited for; what is noted is ours.
                let patience = Patience { lock: self.limits.lock_timeout, statement: self.limits.statement_timeout };
                tx.execute_unprepared(&timeouts(patience)).await?;
            }
            match self.note.note(&tx, &batch).await {
                Ok(()) => {}
                // Somebody has locked what is to be noted: as if it were one of the rows.
                Err(error) if error.is_contention() => {
                    tx.rollback().await?;
                    return Ok(Outcome::Locked);
                }
                Err(error) => return Err(error),
            }
        }
        if self.limits.dry_run {
            tx.rollback().await?;
        } else {
            self.is_unsettled |= self.is_left_unflushed();
            tx.commit().await?;
        }
        batch.took = begun.elapsed();
        self.longest = self.longest.max(batch.took);
        if rows > 0 {
            self.rows += rows;
            self.batches += 1;
            self.note.told(&batch);
        }
        Ok(Outcome::Deleted { rows, took: batch.took, worked })
    }

    /// Rolls back, and tells what waiting or a smaller piece cures from what it does not.
    pub(super) async fn refused(&self, tx: WriteTransaction, error: &DbErr) -> Result<Outcome, StoreError> {
        let outcome = match code(error).as_deref() {
            Some("55P03" | "40P01" | "40001") => Ok(Outcome::Locked),
            Some("57014") => Ok(Outcome::TooLong),
            _ => Err(self.explained(error)),
        };
        if outcome.is_ok() {
            tx.rollback().await?;
        }
        outcome
    }

    fn explained(&self, error: &DbErr) -> StoreError {
        let of = match error {
            DbErr::Exec(RuntimeErr::SqlxError(e)) | DbErr::Query(RuntimeErr::SqlxError(e)) => e.as_database_error(),
            _ => None,
        };
        let referrer = of.and_then(|e| match e.code().as_deref() {
            Some("23503") => Some(format!("\"{}\"", e.table().unwrap_or("another table"))),
            // SQLite: a foreign key, without saying which.
            Some("787") => Some(self.referrers.clone().unwrap_or_else(|| "another table".to_owned())),
            _ => None,
        });
        match referrer {
            Some(referrer) => StoreError::Unpurgeable {
                table: self.expiry.table.as_str().to_owned(),
                why: format!("rows of {referrer} refer to them"),
            },
            None => StoreError::from(error.clone()).of_table(&self.expiry.table),
        }
    }

    /// The longest transaction to plan for now.
    pub(super) fn planned_max(&self) -> Duration {
        pace::planned_max(self.limits.transaction_max, self.others)
    }

    /// Rests after a batch, so that the app has the database to itself for a while.
    pub(super) async fn rest(&mut self, took: Duration) {
        self.look().await;
        let pause = pace::pause(took, self.limits.pause_share, self.others);
        if !pause.is_zero() {
            let left = self.limits.time_max.saturating_sub(self.begun.elapsed());
            tokio::select! {
                () = tokio::time::sleep(pause.min(left)) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    /// Looks around, unless that was a moment ago.
    pub(super) async fn look(&mut self) {
        if self.looked.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
            (self.others, self.looked) = (others::look(self.store).await, Some(Instant::now()));
        }
    }

    pub(super) fn purged(&self, strategy: Strategy, because: String, resume: Option<String>) -> Purged {
        Purged {
            rows: self.rows,
            batches: self.batches,
            longest: self.longest,
            took: self.begun.elapsed(),
            strategy,
            because,
            limit_reached: self.limit_reached,
            locked: 0,
            dropped: 0,
            vacuumed: false,
            resume,
        }
    }
}

/// The code of the database's own error.
pub(super) fn code(error: &DbErr) -> Option<String> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(e)) | DbErr::Query(RuntimeErr::SqlxError(e)) => {
            Some(e.as_database_error()?.code()?.into_owned())
        }
        _ => None,
    }
}

/// PostgreSQL's settings of one transaction. The plan is to read a range of pages: one through an index would read all
/// that is due for every range. Where a policy would hide rows, the statement fails rather than leaving them.
fn settings(patience: Patience, plan_cache_mode: &str) -> String {
    format!(
        "{}; SET LOCAL TimeZone='UTC'; SET LOCAL row_security=off; \
         SET LOCAL enable_hashjoin=on; SET LOCAL enable_nestloop=off; SET LOCAL enable_indexscan=off; \
         SET LOCAL enable_indexonlyscan=off; SET LOCAL enable_bitmapscan=off; SET LOCAL enable_tidscan=on; \
         SET LOCAL plan_cache_mode={plan_cache_mode}",
        timeouts(patience),
    )
}

fn timeouts(patience: Patience) -> String {
    let ms = |time: Duration| time.as_millis().clamp(1, 86_400_000);
    format!("SET LOCAL lock_timeout={}; SET LOCAL statement_timeout={}", ms(patience.lock), ms(patience.statement))
}
