//! Timers only: which room to call, how often, with which limit.

pub mod leader;

use std::time::Duration;

use crate::evidence::log::{Log, LogError};
use crate::export;
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
    /// Looking for data request packages whose time is over.
    pub expire_every: Duration,
}

/// Runs the timers until shutdown. Several processes may: what they call is safe to be called by many at once.
pub async fn run(settler: Settler, wake: Wake, settings: SchedulerSettings, shutdown: Shutdown) {
    let mut rescues = tokio::time::interval(settings.rescue_every);
    let mut counts = tokio::time::interval(settings.count_every);
    let mut expiries = tokio::time::interval(settings.expire_every);
    for timer in [&mut rescues, &mut counts, &mut expiries] {
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
            _ = expiries.tick() => {
                if let Err(error) = export::expire(&settler.store, &settler.clock).await {
                    tracing::warn!(error = %error, "data request packages could not be removed");
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
    let mut failures = Failures::default();
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        let kept = match shutdown.run_until_cancelled(Box::pin(log.tend())).await {
            None => return,
            Some(Err(error)) => Err(error),
            Some(Ok(_)) => Ok(()),
        };
        // Also when nothing is signed: the age of the latest checkpoint tells it.
        let measured = log.measure().await.map_err(LogError::from);
        let kept = kept.and(measured);
        let stands_still = matches!(&kept, Err(error) if error.needs_a_person());
        metrics::gauge!("efface_audit_log_refused").set(f64::from(u8::from(stands_still)));
        match kept {
            Ok(()) => failures = Failures::default(),
            Err(error) if !failures.is_worth_a_line(&error.to_string()) => {}
            Err(error) if stands_still => {
                tracing::error!(error = %error, "the audit log is not signed any more: a person must act");
            }
            Err(error) => tracing::warn!(error = %error, "the audit log could not be kept; it is tried again"),
        }
    }
}

/// Which failures of a round that comes several times a second are logged: the first, one that is another, and of those that
/// repeat the 2nd, 4th, 8th and so on, up to every [`Failures::EVERY`]th.
#[derive(Debug, Default)]
struct Failures {
    told: String,
    repeats: u32,
}

impl Failures {
    /// Some minutes, with a round every 250 ms.
    const EVERY: u32 = 1_024;

    fn is_worth_a_line(&mut self, told: &str) -> bool {
        if self.repeats == 0 || self.told != told {
            told.clone_into(&mut self.told);
            self.repeats = 1;
            return true;
        }
        self.repeats = self.repeats.saturating_add(1);
        self.repeats.is_power_of_two() && self.repeats < Self::EVERY || self.repeats.is_multiple_of(Self::EVERY)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_repeats_is_logged_ever_less_often_and_another_at_once() {
        let mut failures = Failures::default();
        let logged: Vec<u32> = (1..5_000).filter(|_| failures.is_worth_a_line("one")).collect();
        assert_eq!(logged, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 3_072, 4_096]);
        assert!(failures.is_worth_a_line("another"));
        assert!(failures.is_worth_a_line("one"));
    }
}
