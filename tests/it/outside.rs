//! What tests need that look at the built program from outside: servers of their own, processes, senders, databases.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails the test, as its tests do")]

pub mod database;
pub mod http;
pub mod program;
pub mod services;
pub mod webhook;

use std::time::{Duration, Instant};

/// How often a condition is looked at that nobody announces.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Waits until `look` finds what it looks for; fails the test, saying what was missing, when it takes longer than `limit`.
pub async fn wait_for<T>(what: &str, limit: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < limit, "not within {} s: {what}", limit.as_secs());
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
