//! Timers only: which room to call, how often, with which limit.

use std::time::Duration;

use crate::evidence::log::{Log, LogError};
use crate::job::rescue::rescue;
use crate::job::settle::Settler;
use crate::job::wake::Wake;
use crate::shutdown::Shutdown;
use crate::store::{Store, job_report};
use crate::suppression::Suppression;
use crate::suppression::ledger::LedgerFile;

/// How often the timers ring.
#[derive(Clone, Copy, Debug)]
pub struct SchedulerSettings {
    /// Looking for leases that have run out.
    pub rescue_every: Duration,
    /// Counting the open jobs for the metrics.
    pub count_every: Duration,
}

/// Runs the timers until shutdown. Several processes may: what they call is safe to be called by many at once.
pub async fn run(settler: Settler, wake: Wake, settings: SchedulerSettings, shutdown: Shutdown) {
    let mut rescues = tokio::time::interval(settings.rescue_every);
    let mut counts = tokio::time::interval(settings.count_every);
    for timer in [&mut rescues, &mut counts] {
        timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    }
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = rescues.tick() => {
                if let Err(error) = rescue(&settler, &wake).await {
                    tracing::warn!(error = %error, "expired leases could not be looked for");
                }
            }
            _ = counts.tick() => {
                if let Err(error) = count_open_jobs(&settler.store).await {
                    tracing::warn!(error = %error, "open jobs could not be counted");
                }
            }
        }
    }
}

/// Re-sweeps what is due and appends to the ledger, until shutdown. On a timer of its own: reading large tables must not keep
/// leases from being rescued.
pub async fn sweep(
    suppression: Suppression,
    mut ledger: Option<LedgerFile>,
    wake: Wake,
    every: Duration,
    shutdown: Shutdown,
) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Some(ledger) = &mut ledger
            && let Err(error) = ledger.append(&suppression).await
        {
            metrics::counter!("efface_suppression_ledger_failed_total").increment(1);
            tracing::error!(error = %error, "the suppression ledger could not be written; it is tried again");
        }
        match shutdown.run_until_cancelled(Box::pin(suppression.sweep())).await {
            Some(Ok(summary)) if !summary.jobs.is_empty() => wake.ring(),
            Some(Err(error)) => tracing::warn!(error = %error, "late rows could not be looked for"),
            Some(Ok(_)) | None => {}
        }
    }
}

/// Places and signs what is new in the audit log, until shutdown. On a timer of its own: see [`sweep`].
pub async fn keep_log(log: Log, every: Duration, shutdown: Shutdown) {
    // Oftener than it is signed, so that what is due is signed on time.
    let mut ticks = tokio::time::interval((every / 4).clamp(Duration::from_millis(250), Duration::from_secs(1)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut is_refused = false;
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        let kept = match shutdown.run_until_cancelled(Box::pin(log.tend())).await {
            None => return,
            Some(Err(error)) => Err(error),
            Some(Ok(_)) => log.measure().await.map_err(LogError::from),
        };
        let was_refused = std::mem::replace(&mut is_refused, matches!(&kept, Err(error) if error.is_contradiction()));
        metrics::gauge!("efface_audit_log_refused").set(f64::from(u8::from(is_refused)));
        match kept {
            Err(error) if is_refused && !was_refused => {
                tracing::error!(error = %error, "the audit log is not signed any more: a person must act");
            }
            Err(error) if !is_refused => {
                tracing::warn!(error = %error, "the audit log could not be kept; it is tried again");
            }
            _ => {}
        }
    }
}

async fn count_open_jobs(store: &Store) -> Result<(), crate::store::StoreError> {
    let open = job_report::open_by_status(store.db()).await?;
    for status in ["queued", "processing", "retrying", "held", "failed"] {
        let jobs = open.iter().find(|(of, _)| of == status).map_or(0, |(_, n)| *n);
        metrics::gauge!("efface_open_jobs", "status" => status).set(f64::from(u32::try_from(jobs).unwrap_or(u32::MAX)));
    }
    Ok(())
}
