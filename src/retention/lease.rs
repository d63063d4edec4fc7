//! The lease of a run: held as long as the run lasts, and a fence for every batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sea_orm::ConnectionTrait;
use tokio::task::JoinHandle;

use super::RetentionError;
use crate::clock::Clock;
use crate::store::scheduler_lease::{self, RETENTION};
use crate::store::{Store, StoreError, id};

/// What a batch's error says when the fence is another one.
pub(super) const LOST: &str = "the lease of the retention run is lost";

/// A lease that renews itself until it is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    store: Store,
    clock: Clock,
    pub fence: i64,
    lost: Arc<AtomicBool>,
    renewals: JoinHandle<()>,
}

impl Lease {
    /// Takes the lease: the run is believed to live for `lasts` after each sign of life.
    ///
    /// # Errors
    /// [`RetentionError::Busy`] when another process has it.
    pub(super) async fn take(store: &Store, clock: &Clock, lasts: Duration) -> Result<Self, RetentionError> {
        let owner = format!("{}-{}", std::process::id(), id::row());
        let lease_ms = i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX);
        let taken = scheduler_lease::take(store, clock, RETENTION, &owner, lease_ms).await?;
        let fence = taken.ok_or(RetentionError::Busy)?.fence;
        let lost = Arc::new(AtomicBool::new(false));
        let renewing = (store.clone(), clock.clone(), Arc::clone(&lost));
        let renewals = tokio::spawn(async move {
            let (store, clock, lost) = renewing;
            loop {
                tokio::time::sleep(lasts / 3).await;
                match scheduler_lease::renew(&store, &clock, RETENTION, fence, lease_ms).await {
                    Ok(true) => {}
                    Ok(false) => return lost.store(true, Ordering::Relaxed),
                    Err(error) => tracing::warn!(error = %error, "the lease of a retention run could not be renewed"),
                }
            }
        });
        Ok(Self { store: store.clone(), clock: clock.clone(), fence, lost, renewals })
    }

    /// Whether it is known to be another's.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Makes sure, in a batch's transaction, that nobody else has taken it; nobody can before the transaction ends.
    ///
    /// # Errors
    /// When it is another's: the batch must roll back.
    pub(super) async fn share(&self, conn: &impl ConnectionTrait) -> Result<(), StoreError> {
        if scheduler_lease::share(conn, RETENTION, self.fence).await? {
            return Ok(());
        }
        self.lost.store(true, Ordering::Relaxed);
        Err(StoreError::Refused(LOST.to_owned()))
    }

    /// Gives it back at once.
    pub(super) async fn give_back(self) {
        self.renewals.abort();
        if let Err(error) = scheduler_lease::give_back(&self.store, &self.clock, RETENTION, self.fence).await {
            tracing::warn!(error = %error, "the lease of a retention run could not be given back; it runs out by itself");
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewals.abort();
    }
}
