//! Puts together what purges: settings from the configuration, and the duties of the process that keeps the clock.

use chrono::TimeDelta;

use super::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::erasure::stores::Stores;
use crate::job::deadline;
use crate::retention::{Retention, Settings};
use crate::scheduler::leader::{Duty, Leader};
use crate::shutdown::Shutdown;
use crate::store::Store;

/// What the configuration says of retention.
pub fn settings(config: &Config) -> Settings {
    let retention = &config.retention;
    Settings {
        schedule: retention.schedule.clone(),
        dry_run: retention.dry_run,
        max_share: f64::from(retention.max_share) / 100.0,
        uninstalled: TimeDelta::days(i64::from(retention.uninstalled_days)),
        statement_timeout: retention.statement_timeout,
        lock_timeout: retention.lock_timeout,
        transaction_max: retention.transaction_max,
        time_max: retention.time_max,
        rows_max: retention.rows_max,
        pause_share: f64::from(retention.pause_percent) / 100.0,
        webhook_log_days: retention.webhook_log_days,
        jobs_days: retention.jobs_days,
        audit_log_days: retention.audit_log_days,
    }
}

/// The room of retention, for a command that opens no house.
pub fn open(config: &Config, store: &Store, stores: Stores, clock: &Clock) -> Retention {
    Retention { store: store.clone(), stores, clock: clock.clone(), settings: settings(config), audit_pruner: None }
}

impl App {
    /// What purges rows whose time is over.
    pub fn retention(&self) -> Retention {
        open(&self.config, &self.store, self.stores.clone(), &self.clock)
    }

    /// A candidate for the process that keeps the clock.
    pub fn leader(&self, shutdown: Shutdown) -> Leader {
        Leader::new(self.retention(), self.duties(), shutdown)
    }

    /// What one process must do every so often. Expiry of packages, checkpoints and key rotation join here.
    fn duties(&self) -> Vec<Duty> {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        vec![Duty::new("deadline_warnings", TimeDelta::hours(1), move || {
            let (store, clock) = (store.clone(), clock.clone());
            async move { deadline::warn(&store, &clock).await.map(drop) }
        })]
    }
}
