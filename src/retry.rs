//! Spaces out attempts: the only place that knows the `backoff` crate.
//!
//! Both kinds double from pause to pause up to a cap, and are jittered *downwards* by up to a half, so that the cap
//! holds and many waiters do not return at the same moment. Randomness is a parameter: [`jitter`] outside tests.

use std::time::Duration;

use backoff::backoff::Backoff as _;
use backoff::{ExponentialBackoff, ExponentialBackoffBuilder};

/// How often a duty is tried, and how long it waits in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    pub initial: Duration,
    pub max: Duration,
    /// Attempts in all, the first included.
    pub attempts_max: u32,
}

impl RetryPolicy {
    /// The pause after the `attempt`-th attempt (from 1) failed; none when that was the last one.
    ///
    /// `random` lies in `0.0..1.0`.
    pub fn delay(&self, attempt: u32, random: f64) -> Option<Duration> {
        if attempt >= self.attempts_max {
            return None;
        }
        let mut backoff = doubling(self.initial, self.max);
        for _ in 1..attempt {
            if backoff.current_interval >= self.max {
                break;
            }
            backoff.next_backoff();
        }
        Some(jittered(backoff.current_interval.min(self.max), random))
    }
}

/// The pauses of a supervisor that never gives up: longer each time, back to the start after a success.
#[derive(Debug)]
pub struct Pauses {
    backoff: ExponentialBackoff,
}

impl Pauses {
    pub fn new(initial: Duration, max: Duration) -> Self {
        Self { backoff: doubling(initial, max) }
    }

    /// The next pause; `random` lies in `0.0..1.0`.
    pub fn pause(&mut self, random: f64) -> Duration {
        let interval = self.backoff.current_interval;
        self.backoff.next_backoff();
        jittered(interval, random)
    }

    /// Starts again with the shortest pause.
    pub fn reset(&mut self) {
        self.backoff.reset();
    }
}

/// Randomness for [`RetryPolicy::delay`] and [`Pauses::pause`].
pub fn jitter() -> f64 {
    rand::random()
}

/// Doubles up to `max` for ever. The crate's own jitter is off: it cannot be given its randomness.
fn doubling(initial: Duration, max: Duration) -> ExponentialBackoff {
    ExponentialBackoffBuilder::new()
        .with_initial_interval(initial.min(max))
        .with_max_interval(max)
        .with_multiplier(2.0)
        .with_randomization_factor(0.0)
        .with_max_elapsed_time(None)
        .build()
}

/// Between a half and the whole of an interval.
fn jittered(interval: Duration, random: f64) -> Duration {
    interval.mul_f64(1.0 - random.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy =
        RetryPolicy { initial: Duration::from_secs(5), max: Duration::from_mins(1), attempts_max: 8 };

    #[test]
    fn pauses_double_up_to_the_cap_and_end_with_the_last_attempt() {
        let seconds: Vec<_> = (1..=8).map(|attempt| POLICY.delay(attempt, 0.0).map(|pause| pause.as_secs())).collect();
        assert_eq!(seconds, [Some(5), Some(10), Some(20), Some(40), Some(60), Some(60), Some(60), None]);
    }

    #[test]
    fn jitter_shortens_by_at_most_a_half_and_is_decided_by_the_caller() {
        assert_eq!(POLICY.delay(2, 0.5), Some(Duration::from_millis(7500)));
        assert_eq!(POLICY.delay(7, 1.0), Some(Duration::from_secs(30)));
        assert_eq!(POLICY.delay(2, 0.5), POLICY.delay(2, 0.5));
    }

    #[test]
    fn a_huge_attempt_number_is_no_long_loop() {
        let patient = RetryPolicy { attempts_max: u32::MAX, ..POLICY };
        assert_eq!(patient.delay(u32::MAX - 1, 0.0), Some(POLICY.max));
    }

    #[test]
    fn a_supervisor_pauses_longer_each_time_until_it_succeeds() {
        let mut pauses = Pauses::new(Duration::from_millis(100), Duration::from_secs(10));
        let millis: Vec<_> = (0..9).map(|_| pauses.pause(0.0).as_millis()).collect();
        assert_eq!(millis, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        pauses.reset();
        assert_eq!(pauses.pause(0.0), Duration::from_millis(100));
    }
}
