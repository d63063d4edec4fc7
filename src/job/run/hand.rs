//! The claims that one look at the queue took, for as long as they are not settled.
//!
//! Work on one of them may take longer than a lease, and the others wait behind it: so all are drawn out together, and
//! when an outage ends the work, all that are left are given back.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::store::gdpr_job::{Claimed, Fenced};

/// Claims in hand, and when their leases were last drawn out.
#[derive(Debug)]
pub struct Hand {
    claims: Mutex<HashMap<String, Claimed>>,
    renewed: Mutex<Instant>,
}

impl Hand {
    /// Takes claims up that were made not before `made`.
    pub fn of(claims: &[Claimed], made: Instant) -> Self {
        let claims = claims.iter().map(|claim| (claim.id.clone(), claim.clone())).collect();
        Self { claims: Mutex::new(claims), renewed: Mutex::new(made) }
    }

    /// Puts a claim down that was settled, or lost. False when it was not in hand any more.
    pub fn put_down(&self, id: &str) -> bool {
        self.claims().remove(id).is_some()
    }

    /// Everything in hand, when the last renewal is longer ago than `age`.
    pub fn older_than(&self, age: Duration) -> Vec<Fenced> {
        let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        if renewed.elapsed() > age { self.claims().values().map(Claimed::fenced).collect() } else { Vec::new() }
    }

    /// Notes a renewal that was asked for at `at`.
    pub fn renewed(&self, at: Instant) {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    /// Puts everything down.
    pub fn empty(&self) -> Vec<Claimed> {
        std::mem::take(&mut *self.claims()).into_values().collect()
    }

    fn claims(&self) -> MutexGuard<'_, HashMap<String, Claimed>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
