//! Counts and spaces out the tries to reach the broker; they never end.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Room;
use super::link::LinkError;

/// The shortest and the longest pause before another try.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Spaces out tries: the pause doubles up to a limit, and chance shortens it by up to a half, so that many processes do
/// not come back at once.
#[derive(Debug, Default)]
pub struct Pauses {
    failures: u32,
}

impl Pauses {
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Counts a failure, and waits.
    pub async fn wait(&mut self) {
        self.failures = self.failures.saturating_add(1);
        sleep(pause(self.failures, rand::random_range(0.5..=1.0))).await;
    }
}

/// The pause after so many failures in a row.
fn pause(failures: u32, luck: f64) -> Duration {
    let (shortest, longest) = PAUSE;
    let doublings = failures.saturating_sub(1).min(16);
    shortest.saturating_mul(1 << doublings).min(longest).mul_f64(luck)
}

/// The lives of one link: what was reported, and when it may be tried again.
#[derive(Debug)]
pub struct Tries {
    link: &'static str,
    pauses: Pauses,
    up_since: Option<Instant>,
}

impl Tries {
    pub fn new(link: &'static str) -> Self {
        Self { link, pauses: Pauses::default(), up_since: None }
    }

    /// The link is up and useful.
    pub fn up(&mut self, room: &Room) {
        tracing::info!(broker.link = self.link, broker.failures = self.pauses.failures, "the link to the broker is up");
        self.up_since = Some(Instant::now());
        room.counters.connected(self.link, true);
    }

    /// The link is down: says so once, and waits before the next try, or until shutdown.
    pub async fn down(&mut self, room: &Room, error: &LinkError) {
        // A link that broke soon after it came up goes on with its longer pauses.
        let was_up = self.up_since.take();
        if was_up.is_some_and(|since| since.elapsed() > PAUSE.1) {
            self.pauses.reset();
        }
        room.counters.connected(self.link, false);
        if was_up.is_some() || self.pauses.failures == 0 {
            tracing::warn!(broker.link = self.link, error = %error, "the link to the broker is down; it will be rebuilt");
        } else {
            tracing::debug!(broker.link = self.link, error = %error, "the broker is still out of reach");
        }
        tokio::select! {
            () = self.pauses.wait() => room.counters.reconnects(self.link),
            () = room.shutdown.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_a_tenth_of_a_second_to_ten_seconds_and_stay_there() {
        let milliseconds: Vec<_> = (1..=9).map(|failures| pause(failures, 1.0).as_millis()).collect();
        assert_eq!(milliseconds, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        assert_eq!(pause(u32::MAX, 1.0), Duration::from_secs(10));
    }

    #[test]
    fn chance_shortens_a_pause_and_never_lengthens_it() {
        assert_eq!(pause(3, 0.5), Duration::from_millis(200));
    }
}
