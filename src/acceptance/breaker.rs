//! Keeps webhooks away from a broker that has just failed, so that each of them does not wait for it in vain.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// Open after a failure; once its time is over, one webhook at a time tries again.
#[derive(Debug)]
pub struct Breaker {
    open_for: Duration,
    born: Instant,
    /// Milliseconds after `born` until which nothing passes; zero: closed.
    until: AtomicI64,
}

impl Breaker {
    /// Closed; each failure opens it for `open_for`.
    pub fn new(open_for: Duration, born: Instant) -> Self {
        Self { open_for, born, until: AtomicI64::new(0) }
    }

    fn at(&self, now: Instant) -> i64 {
        i64::try_from(now.duration_since(self.born).as_millis()).unwrap_or(i64::MAX)
    }

    /// Whether this webhook may try the broker. Once the time is over, the one that asks first tries for all: the
    /// others wait for its verdict elsewhere.
    pub fn lets_through(&self, now: Instant) -> bool {
        let until = self.until.load(Ordering::Acquire);
        if until == 0 {
            return true;
        }
        until <= self.now()
            && self.until.compare_exchange(until, self.next(), Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn next(&self, now: Instant) -> i64 {
        self.at(now).saturating_add(i64::try_from(self.open_for.as_millis()).unwrap_or(i64::MAX)).max(1)
    }

    /// Notes a failure. True when it was closed before.
    pub fn open(&self, now: Instant) -> bool {
        self.until.swap(self.next(now), Ordering::AcqRel) == 0
    }

    /// Notes a success.
    pub fn close(&self) {
        if self.until.load(Ordering::Acquire) != 0 {
            self.until.store(0, Ordering::Release);
            tracing::info!("the broker takes webhooks again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failure_nothing_passes_until_one_tries_for_all() {
        let (start, open_for) = (Instant::now(), Duration::from_secs(10));
        let breaker = Breaker::new(open_for, start);
        assert!(breaker.lets_through(start) && breaker.lets_through(start));
        assert!(breaker.open(start), "it was closed");
        assert!(!breaker.open(start), "it was open already");
        assert!(!breaker.lets_through(start + open_for / 2));
        let later = start + open_for + Duration::from_secs(1);
        assert!(breaker.lets_through(later), "one tries");
        assert!(!breaker.lets_through(later), "the others do not");
        breaker.close();
        assert!(breaker.lets_through(later) && breaker.lets_through(later));
    }
}
