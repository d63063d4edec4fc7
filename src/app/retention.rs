//! Puts together what purges: settings from the configuration, and the duties of the process that keeps the clock.

use std::sync::Arc;

use chrono::TimeDelta;

use super::open::open_log;
use super::{App, AppError, load_keys};
use crate::clock::Clock;
use crate::config::Config;
use crate::erasure::stores::Stores;
use crate::evidence::log::Log;
use crate::job::deadline;
use crate::retention::{AuditPruner, Retention, RetentionError, Settings};
use crate::scheduler::leader::{Duty, Leader};
use crate::shutdown::Shutdown;
use crate::store::Store;

/// What the configuration says of retention.
pub fn settings(config: &Config) -> Settings {
    let retention = &config.retention;
    Settings {
        schedule: retention.schedule.clone(),
        lease: retention.lease,
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
///
/// # Errors
/// [`AppError::NoKeysFile`] or [`AppError::Keys`]: what is pruned of the audit log is signed for.
pub async fn open(config: &Config, store: &Store, stores: Stores, clock: &Clock) -> Result<Retention, AppError> {
    let log = open_log(config, store, clock, &load_keys(config, store).await?);
    Ok(room(config, store, stores, clock, Some(log)))
}

/// The room of retention for whoever only looks: no keys are needed, and the audit log is not pruned.
pub fn open_to_look(config: &Config, store: &Store, stores: Stores, clock: &Clock) -> Retention {
    room(config, store, stores, clock, None)
}

fn room(config: &Config, store: &Store, stores: Stores, clock: &Clock, log: Option<Log>) -> Retention {
    Retention {
        store: store.clone(),
        stores,
        clock: clock.clone(),
        settings: settings(config),
        audit_pruner: log.map(pruner),
    }
}

fn pruner(log: Log) -> AuditPruner {
    Arc::new(move |cutoff, dry_run| {
        let log = log.clone();
        Box::pin(async move {
            let pruned =
                if dry_run { log.prunable(cutoff).await } else { log.prune(cutoff).await.map(|pruned| pruned.rows) };
            pruned.map_err(|error| error.to_string())
        })
    })
}

impl App {
    /// What purges rows whose time is over.
    pub fn retention(&self) -> Retention {
        room(&self.config, &self.store, self.stores.clone(), &self.clock, Some(self.log()))
    }

    /// A candidate for the process that keeps the clock.
    pub fn leader(&self, shutdown: Shutdown) -> Leader {
        Leader::new(self.retention(), self.duties(), shutdown)
    }

    /// What one process must do every so often. What several may do at once (leases, packages, re-sweeps, checkpoints) has
    /// timers of its own in each of them: see `crate::scheduler`.
    fn duties(&self) -> Vec<Duty> {
        let (store, clock, retention) = (self.store.clone(), self.clock.clone(), self.retention());
        vec![
            Duty::new("deadline_warnings", TimeDelta::hours(1), move || {
                let (store, clock) = (store.clone(), clock.clone());
                async move { deadline::warn(&store, &clock).await.map(drop) }
            }),
            Duty::new("key_destruction", TimeDelta::hours(6), move || {
                let retention = retention.clone();
                async move {
                    match retention.destroy_keys().await {
                        Ok(_) => Ok(()),
                        Err(RetentionError::Store(error)) => Err(error),
                        Err(error) => {
                            tracing::warn!(error = %error, "no content key is destroyed");
                            Ok(())
                        }
                    }
                }
            }),
        ]
    }
}
