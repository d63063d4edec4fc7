//! Warns while there is still time: the law gives 30 days.

use chrono::TimeDelta;

use crate::clock::Clock;
use crate::store::{Store, StoreError, job_report};

/// Days after receipt at which open jobs are warned of.
const WARNED_AT_DAYS: [i64; 3] = [7, 14, 25];

/// Counts the open jobs that have waited long, tells the metrics, and says it in the log.
///
/// # Errors
/// When the database does not answer.
pub async fn warn(store: &Store, clock: &Clock) -> Result<[u64; 3], StoreError> {
    let now = clock.now();
    let before = WARNED_AT_DAYS.map(|days| now - TimeDelta::days(days));
    let counts = job_report::open_since_before(store.db(), &before).await?;
    let mut jobs = [0; 3];
    for ((days, count), jobs) in WARNED_AT_DAYS.into_iter().zip(counts).zip(&mut jobs) {
        *jobs = count;
        let gauge = metrics::gauge!("efface_open_jobs_older_than_days", "days" => days.to_string());
        gauge.set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
    }
    // The longest wait is said once, not three times.
    if let Some((days, count)) = WARNED_AT_DAYS.into_iter().zip(jobs).rev().find(|(_, count)| *count > 0) {
        tracing::warn!(
            jobs.open = count,
            jobs.days = days,
            "open jobs have waited for days; their deadline is 30 days"
        );
    }
    Ok(jobs)
}
