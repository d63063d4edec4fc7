//! One process keeps the clock for all: it starts retention runs on schedule, and rings the duties that one must ring.
//!
//! Leadership is a lease (`retention.lease_seconds`). A leader that dies loses it as soon as that is over; the next one finds
//! in the lease's row which scheduled instant was dealt with last, and catches up on what was missed, once. Leadership is for
//! economy: what a run does is fenced by the run's own lease.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::retention::{Retention, RetentionError, Wish};
use crate::shutdown::Shutdown;
use crate::store::scheduler_lease::{self, SCHEDULER};
use crate::store::{Store, StoreError, id};

/// How long a run that could not happen is left alone.
const AGAIN_AFTER: TimeDelta = TimeDelta::minutes(5);

type Work = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>> + Send + Sync>;

/// Something that one process must do every so often: expiry of packages, checkpoints, warnings.
#[derive(Clone)]
pub struct Duty {
    name: &'static str,
    every: TimeDelta,
    work: Work,
}

impl fmt::Debug for Duty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Duty({}, every {} s)", self.name, self.every.num_seconds())
    }
}

impl Duty {
    /// A duty under its name in the log.
    pub fn new<F, W>(name: &'static str, every: TimeDelta, work: W) -> Self
    where
        W: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        Self { name, every, work: Arc::new(move || Box::pin(work())) }
    }
}

/// A run in hand, and the scheduled instant that it will have dealt with.
type Running = (DateTime<Utc>, JoinHandle<Result<(), RetentionError>>);

/// A term as leader.
#[derive(Debug)]
struct Term {
    fence: i64,
    /// The last scheduled instant that was dealt with.
    slot_at: DateTime<Utc>,
    running: Option<Running>,
    not_before: DateTime<Utc>,
}

impl Drop for Term {
    /// A run does not outlive its leader: whoever leads next catches up.
    fn drop(&mut self) {
        if let Some((_, run)) = &self.running {
            run.abort();
        }
    }
}

/// A candidate for leadership.
#[derive(Debug)]
pub struct Leader {
    store: Store,
    clock: Clock,
    owner: String,
    retention: Retention,
    duties: Vec<(Duty, Option<DateTime<Utc>>)>,
    term: Option<Term>,
    shutdown: Shutdown,
}

impl Leader {
    /// A candidate that has not stood yet.
    pub fn new(retention: Retention, duties: Vec<Duty>, shutdown: Shutdown) -> Self {
        Self {
            store: retention.store.clone(),
            clock: retention.clock.clone(),
            owner: format!("{}-{}", std::process::id(), id::row()),
            retention,
            duties: duties.into_iter().map(|duty| (duty, None)).collect(),
            term: None,
            shutdown,
        }
    }

    /// Leads, or waits to lead, until shutdown.
    pub async fn run(mut self) {
        let mut ticks = tokio::time::interval(self.retention.settings.lease / 3);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let shutdown = self.shutdown.clone();
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            if let Err(error) = self.tick().await {
                tracing::warn!(error = %error, "the scheduler's lease could not be seen to");
            }
        }
        self.resign().await;
    }

    /// Whether this candidate leads, as far as it knows.
    pub fn leads(&self) -> bool {
        self.term.is_some()
    }

    /// Stands or renews, then does what is due. Tests call it by hand.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn tick(&mut self) -> Result<(), StoreError> {
        let lease_ms = i64::try_from(self.retention.settings.lease.as_millis()).unwrap_or(i64::MAX);
        match &self.term {
            Some(term) => {
                if !scheduler_lease::renew(&self.store, &self.clock, SCHEDULER, term.fence, lease_ms).await? {
                    tracing::warn!("another process keeps the clock now");
                    self.term = None;
                    return Ok(());
                }
            }
            None => self.stand(lease_ms).await?,
        }
        if self.term.is_none() {
            return Ok(());
        }
        self.sweep_when_due().await?;
        self.ring_duties();
        Ok(())
    }

    /// Waits for the run in hand, and notes what it dealt with.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn finish_run(&mut self) -> Result<(), StoreError> {
        let Some(term) = &mut self.term else { return Ok(()) };
        let Some((slot, run)) = term.running.take() else { return Ok(()) };
        let ended = run.await;
        let now = self.clock.now();
        match ended {
            Ok(Ok(())) => {
                if scheduler_lease::deal_with(&self.store, SCHEDULER, term.fence, slot).await? {
                    term.slot_at = slot;
                } else {
                    self.term = None;
                }
            }
            // Another run is at work, or one died and its lease lasts on: this one begins as soon as it can.
            Ok(Err(RetentionError::Busy | RetentionError::Lost)) => {
                tracing::debug!("a scheduled retention run waits for another one");
            }
            // The clock is wrong, or the database is away: this one is caught up on later.
            Ok(Err(error)) => {
                tracing::warn!(error = %error, "a scheduled retention run did not happen; it is tried again");
                term.not_before = now + AGAIN_AFTER;
            }
            Err(_) => term.not_before = now + AGAIN_AFTER,
        }
        Ok(())
    }

    async fn stand(&mut self, lease_ms: i64) -> Result<(), StoreError> {
        let taken = scheduler_lease::take(&self.store, &self.clock, SCHEDULER, &self.owner, lease_ms).await?;
        let Some(taken) = taken else { return Ok(()) };
        let now = self.clock.now();
        let slot_at = if let Some(slot) = taken.slot_at {
            slot
        } else {
            // The first leader ever has missed nothing.
            scheduler_lease::deal_with(&self.store, SCHEDULER, taken.fence, now).await?;
            now
        };
        tracing::info!(scheduler.fence = taken.fence, "this process keeps the clock");
        self.term = Some(Term { fence: taken.fence, slot_at, running: None, not_before: now });
        Ok(())
    }

    async fn sweep_when_due(&mut self) -> Result<(), StoreError> {
        let running = self.term.as_ref().and_then(|term| term.running.as_ref());
        if running.is_some_and(|(_, run)| run.is_finished()) {
            self.finish_run().await?;
        }
        let now = self.clock.now();
        let Some(term) = &mut self.term else { return Ok(()) };
        if term.running.is_some() || now < term.not_before {
            return Ok(());
        }
        let schedule = self.retention.settings.schedule.as_ref();
        let Some(slot) = schedule.and_then(|schedule| schedule.due(term.slot_at, now)) else { return Ok(()) };
        let (retention, shutdown) = (self.retention.clone(), self.shutdown.clone());
        let run = tokio::spawn(async move {
            let sweep = retention.sweep(&Wish::scheduled(), &|_| {}, &shutdown).await?;
            tracing::info!(sweep.id = %sweep.sweep_id, sweep.rows = sweep.rows(), sweep.complete = sweep.is_complete(),
                "a retention run has ended");
            Ok(())
        });
        term.running = Some((slot, run));
        Ok(())
    }

    fn ring_duties(&mut self) {
        let now = self.clock.now();
        for (duty, rung_at) in &mut self.duties {
            if rung_at.is_some_and(|at| now < at + duty.every) {
                continue;
            }
            *rung_at = Some(now);
            let (name, work) = (duty.name, Arc::clone(&duty.work));
            tokio::spawn(async move {
                if let Err(error) = work().await {
                    tracing::warn!(duty = name, error = %error, "a scheduled duty was not done; its next time comes");
                }
            });
        }
    }

    /// Lets others lead at once.
    async fn resign(mut self) {
        if let Some(mut term) = self.term.take() {
            if let Some((_, run)) = term.running.take() {
                let _ = run.await;
            }
            if let Err(error) = scheduler_lease::give_back(&self.store, &self.clock, SCHEDULER, term.fence).await {
                tracing::warn!(error = %error, "the scheduler's lease could not be given back; it runs out by itself");
            }
        }
    }
}
