//! Deletes rows that have expired: exactly those, in short transactions, and with the app going first.
//!
//! A run works through a table piece by piece, each piece a transaction of its own. What a piece is, the catalog decides
//! (see [`Strategy`]). A dry run takes the same steps and rolls each of them back. A run that was stopped, or met a limit,
//! says where to go on; a run that begins anew instead finds the same rows, because what is purged is gone.
//!
//! A row that the app moves while a run goes on (on PostgreSQL every update moves its row) may be met by the next run only.

mod due;
mod facts;
mod key;
mod listed;
mod others;
mod pace;
mod partitions;
mod pieces;
mod postgres;
mod run;
mod sqlite;
mod terms;
mod vacuum;

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, DbBackend};

use super::Ident;
use crate::shutdown::Shutdown;
use crate::store::{Store, StoreError};

pub use due::{Due, due};

/// How a column says when. Whatever cannot be read as an instant is never due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstantForm {
    /// PostgreSQL's own types; one without a zone holds UTC. SQLite has none: there it is read as [`Self::IsoText`].
    Timestamp,
    /// `2026-11-21T09:30:00.000Z`, `2026-11-21 09:30:00+01:00` or `2026-11-21`; without a zone it is UTC.
    IsoText,
    UnixMillis,
    UnixSeconds,
}

/// Rows whose instant is before their cutoff are due. One exactly at the cutoff is kept. Cutoffs count to the microsecond.
#[derive(Clone, Debug)]
pub enum Cutoffs {
    /// One for the whole table.
    All(DateTime<Utc>),
    /// The column that says whose row it is, and each shop's cutoff; a shop that is not in the list loses nothing.
    ByShop { column: Ident, cutoffs: Vec<(String, DateTime<Utc>)> },
    /// The column that says of which class a row is, and each class's cutoff; other classes lose nothing.
    ByClass { column: Ident, cutoffs: Vec<(String, DateTime<Utc>)> },
}

/// Which rows of a table have expired.
#[derive(Clone, Debug)]
pub struct Expiry {
    pub table: Ident,
    /// The column that says when.
    pub column: Ident,
    pub form: InstantForm,
    pub cutoffs: Cutoffs,
    /// A column, and its values that are under a hold: those rows are counted as held and never purged.
    pub held: Option<(Ident, Vec<String>)>,
    /// A column, and the values that are asked for: no other row is due.
    pub only: Option<(Ident, Vec<String>)>,
}

/// What a run may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For statements that only read, and for a single page that alone takes longer than a transaction may.
    pub statement_timeout: Duration,
    /// How long the blocking pass waits for one row that the app has locked.
    pub lock_timeout: Duration,
    /// No transaction is planned to take longer, and the server ends statements that would. While others work in a
    /// PostgreSQL database, statements are planned for a hundredth of it.
    pub transaction_max: Duration,
    /// How long a run may go on.
    pub time_max: Duration,
    /// How many rows a run may purge.
    pub rows_max: Option<u64>,
    /// The pause after a batch while others work in the database, as a share of the time that the batch took.
    pub pause_share: f64,
    /// Rolls everything back.
    pub dry_run: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_millis(500),
            transaction_max: Duration::from_millis(250),
            time_max: Duration::from_hours(1),
            rows_max: None,
            pause_share: 0.25,
            dry_run: false,
        }
    }
}

/// One transaction's worth.
#[derive(Clone, Debug)]
pub struct Batch {
    pub rows: u64,
    /// From the transaction's begin: to its end for [`Note::told`], until now for [`Note::note`].
    pub took: Duration,
    /// Where a run would go on after this batch.
    pub resume: String,
}

/// What is to be written along with each batch.
pub trait Note: Sync {
    /// Runs inside each batch's transaction, so that the deletion and what is noted of it commit together; in a dry run
    /// both are rolled back. Fails to undo the batch and end the run.
    fn note(&self, tx: &DatabaseTransaction, batch: &Batch) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Whether all that is noted of a batch stands in the batch's own transaction. Then a server that dies loses both or
    /// neither, and need not write each batch to its disk before the next begins.
    fn is_within(&self) -> bool {
        false
    }

    /// Hears of a batch after its transaction has ended.
    fn told(&self, batch: &Batch) {
        let _ = batch;
    }
}

/// Notes nothing.
impl Note for () {
    async fn note(&self, _: &DatabaseTransaction, _: &Batch) -> Result<(), StoreError> {
        Ok(())
    }

    fn is_within(&self) -> bool {
        true
    }
}

/// How a table is worked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Ranges of physical pages, in their order.
    Pages,
    /// The few rows that are due, found through an index.
    Key,
    /// Whole partitions dropped, the others by pages.
    Partitions,
    /// SQLite: ranges of row ids, in their order.
    RowIds,
}

impl Strategy {
    /// Its name in rows and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pages => "pages",
            Self::Key => "key",
            Self::Partitions => "partitions",
            Self::RowIds => "row_ids",
        }
    }
}

/// What a run did; in a dry run, what it would have done.
#[derive(Clone, Debug)]
pub struct Purged {
    pub rows: u64,
    /// Transactions that deleted something.
    pub batches: u32,
    /// The longest transaction, from its begin to its end.
    pub longest: Duration,
    /// The whole run with its pauses, without the VACUUM after it.
    pub took: Duration,
    pub strategy: Strategy,
    /// Why this strategy, in one sentence without a value of any row.
    pub because: String,
    /// Whether it ended at its limit of time or rows.
    pub limit_reached: bool,
    /// Rows that are due and stay, because the app had them locked until the end.
    pub locked: u64,
    /// Partitions that were dropped.
    pub dropped: u32,
    /// Whether the database was asked to make the space usable again.
    pub vacuumed: bool,
    /// Where to go on, when the run ended before the table did.
    pub resume: Option<String>,
}

/// Purges what has expired. `resume` is what an earlier run of the same expiry gave.
///
/// # Errors
/// When the database refuses or does not answer; [`StoreError::Unpurgeable`] when the table is not one whose rows can be
/// purged; what `note` gives. What was committed until then stays purged. (A server that dies under a run may bring the last
/// second of it back, with its notes: the next run meets it. What a run has returned, nothing brings back.)
pub async fn purge<N: Note>(
    store: &Store,
    expiry: &Expiry,
    limits: &Limits,
    resume: Option<&str>,
    note: &N,
    stop: &Shutdown,
) -> Result<Purged, StoreError> {
    let mut run = run::Run::new(store, expiry, limits, note, stop);
    if store.backend() != DbBackend::Postgres {
        return sqlite::purge(&mut run, resume).await;
    }
    let purged = postgres::purge(&mut run, resume).await;
    if purged.is_err() {
        // The error counts more than another one here.
        let _ = run.settle().await;
    }
    purged
}
