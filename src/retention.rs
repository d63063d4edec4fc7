//! Purges rows whose time is over: by the rules of the data map, and Efface's own.
//!
//! [`Retention::sweep`] is one run over all tables, and the same for the clock, the command line and the API. It works
//! under a lease, one process at a time; every batch's transaction checks the lease's fence and the legal holds, and
//! counts itself in the run's row. `docs/retention.md` tells the rules.

pub mod finding;
pub mod guard;
mod holds;
mod keys;
mod lease;
mod own;
mod pass;
pub mod policy;
pub mod schedule;
pub mod shop;
pub mod show;
mod sweep;
mod work;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::audit::Actor;
use crate::clock::Clock;
use crate::erasure::stores::Stores;
use crate::store::{Store, StoreError};

pub use crate::store::retention_run::Filter;
pub use schedule::Schedule;
pub use sweep::{Sweep, Told};

/// The table's name, as the audit log writes it.
pub const TABLE: &str = "RetentionRun";

/// What prunes the audit log: given the cutoff and whether it is a dry run, it answers how many entries went. The evidence
/// room provides it, because every earlier proof must still verify.
pub type AuditPruner =
    Arc<dyn Fn(DateTime<Utc>, bool) -> Pin<Box<dyn Future<Output = Result<u64, String>> + Send>> + Send + Sync>;

/// How a sweep works, and within which limits.
#[derive(Clone, Debug)]
pub struct Settings {
    /// None: nothing is purged by itself.
    pub schedule: Option<Schedule>,
    /// How long the process that keeps the clock, and a run, are believed to live after their last sign of life.
    pub lease: Duration,
    /// Every run counts and rolls back.
    pub dry_run: bool,
    /// Largest share of a table that one pass may purge without approval, 0 to 1.
    pub max_share: f64,
    /// How long a shop may be uninstalled without a `shop/redact` before it is reported.
    pub uninstalled: TimeDelta,
    pub statement_timeout: Duration,
    pub lock_timeout: Duration,
    pub transaction_max: Duration,
    /// Of a whole sweep.
    pub time_max: Duration,
    /// Of one pass; none: as many as are due.
    pub rows_max: Option<u64>,
    /// The pause between two batches, as a share of the time that the last one took.
    pub pause_share: f64,
    pub webhook_log_days: u32,
    pub jobs_days: u32,
    pub audit_log_days: u32,
}

/// What is asked of a sweep.
#[derive(Clone, Debug)]
pub struct Wish {
    pub actor: Actor,
    pub dry_run: bool,
    /// Only this table.
    pub table: Option<String>,
    /// Only this shop.
    pub shop: Option<String>,
    /// A person has seen what share of a table goes.
    pub approved: bool,
}

impl Wish {
    /// What the clock asks for.
    pub const fn scheduled() -> Self {
        Self { actor: Actor::System("scheduler"), dry_run: false, table: None, shop: None, approved: false }
    }

    /// The trigger as run rows name it.
    pub const fn trigger(&self) -> &'static str {
        match self.actor {
            Actor::System(_) => "schedule",
            Actor::Webhook(_) | Actor::Operator(_) | Actor::Stranger | Actor::LinkHolder => "operator",
        }
    }
}

/// Why a sweep did not happen, or ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// Another process is at it.
    #[error("another retention run is at work")]
    Busy,
    /// The lease went to another process meanwhile: its run goes on with the work.
    #[error("the lease of this retention run was lost; what was not committed is rolled back")]
    Lost,
    /// One of the two clocks is wrong, and with it every cutoff.
    #[error("the clock is {0} s off the database's; nothing is purged until they agree")]
    Clock(i64),
    /// There is no rule for such a table.
    #[error("the data map has no retention rule for a table {0}")]
    NoTable(String),
    /// No row of the table of shops names it.
    #[error("there is no shop {0}")]
    NoShop(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The room's tools. Cheap to clone.
#[derive(Clone)]
pub struct Retention {
    pub store: Store,
    pub stores: Stores,
    pub clock: Clock,
    pub settings: Settings,
    /// None: the audit log is not pruned.
    pub audit_pruner: Option<AuditPruner>,
}

impl fmt::Debug for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retention").field("settings", &self.settings).finish_non_exhaustive()
    }
}
