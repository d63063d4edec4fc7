//! Tells what time it is: the only place that asks the operating system.
//!
//! Every room takes a [`Clock`], so that a test can move time forward without waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Datelike as _, SubsecRound as _, TimeDelta, Utc};

/// A clock that follows the system's time, moved by an offset that only tests set.
///
/// Instants are cut to whole milliseconds, as the tables store them.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset_ms: Arc<AtomicI64>,
}

impl Clock {
    /// The system's clock, not moved.
    pub fn system() -> Self {
        Self::default()
    }

    /// The current instant in UTC, in whole milliseconds.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    pub fn now(&self) -> DateTime<Utc> {
        (Utc::now() + TimeDelta::milliseconds(self.offset_ms())).trunc_subsecs(3)
    }

    /// Milliseconds by which this clock runs ahead of the system's; zero outside tests.
    ///
    /// Statements that ask the database for its own time add it, so that leases follow the clock as well.
    pub fn offset_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::Relaxed)
    }

    /// Moves this clock, and all its clones, forward (or back, when negative).
    pub fn advance(&self, by: TimeDelta) {
        self.offset_ms.fetch_add(by.num_milliseconds(), Ordering::Relaxed);
    }
}

/// Whether an instant that somebody asks about is of the years 1970 to 9999: all that any database can compare with.
pub fn is_usual(at: DateTime<Utc>) -> bool {
    (1970..=9999).contains(&at.year())
}

/// An instant as Efface writes it in JSON: RFC 3339, UTC, milliseconds, `Z`.
pub fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}
