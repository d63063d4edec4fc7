//! What stops a run before it does harm.

use chrono::{DateTime, TimeDelta, Utc};

use crate::clock::Clock;
use crate::store::target::database_clock;
use crate::store::{Store, StoreError};

/// How far our clock may be off the database's.
const CLOCKS_APART_MAX: TimeDelta = TimeDelta::hours(1);

/// By how many seconds our clock is off the database's, when that is too much.
pub fn apart(ours: DateTime<Utc>, theirs: DateTime<Utc>) -> Option<i64> {
    let apart = ours - theirs;
    (apart.abs() > CLOCKS_APART_MAX).then_some(apart.num_seconds())
}

/// Asks the database what time it is, and compares.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn clocks_apart(store: &Store, clock: &Clock) -> Result<Option<i64>, StoreError> {
    let theirs = database_clock(store.db()).await?;
    Ok(apart(clock.now(), theirs))
}

/// Says why a pass may not go on when it would purge more than a share of its table.
#[expect(clippy::cast_precision_loss, reason = "a share of a table needs no more precision")]
pub fn too_large_a_share(rows_due: u64, rows: u64, max_share: f64) -> Option<String> {
    let share = rows_due as f64 / rows.max(rows_due).max(1) as f64;
    (share > max_share).then(|| {
        format!(
            "share: {rows_due} of {} rows ({:.0} %) are due, more than retention.max_share allows; look, and approve",
            rows.max(rows_due),
            share * 100.0
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_apart_is_allowed_and_not_more() {
        let theirs = DateTime::from_timestamp(1_763_703_000, 0).unwrap();
        let apart = |seconds| apart(theirs + TimeDelta::seconds(seconds), theirs);
        assert_eq!(apart(3_600), None);
        assert_eq!(apart(-3_600), None);
        assert_eq!(apart(3_601), Some(3_601));
        assert_eq!(apart(-90_000), Some(-90_000));
    }

    #[test]
    fn the_share_is_of_the_whole_table() {
        assert_eq!(too_large_a_share(0, 0, 0.5), None);
        assert_eq!(too_large_a_share(50, 100, 0.5), None);
        assert!(too_large_a_share(51, 100, 0.5).unwrap().contains("51 of 100 rows (51 %)"));
        // A count of the table that is only an estimate is never less than what was counted.
        assert!(too_large_a_share(51, 0, 0.5).unwrap().contains("100 %"));
        assert_eq!(too_large_a_share(100, 100, 1.0), None);
    }
}
