//! Warns while there is still time: the law gives 30 days.

use chrono::{DateTime, TimeDelta, Utc};
use entity::audit_log::Action;
use serde_json::json;

use crate::audit::{self, Actor, Entry};
use crate::clock::{Clock, rfc3339};
use crate::store::deadline::{self, Waiting};
use crate::store::scheduler_lease::{self, SCHEDULER};
use crate::store::{Store, StoreError, job_report};

/// Days after receipt at which an open job is warned of.
const WARNED_AT_DAYS: [i64; 3] = [7, 14, 25];
/// Jobs that have waited longer are in the metrics only: the audit log forgets after 180 days that they were warned of.
const WARNED_UNTIL_DAYS: i64 = 170;
/// Jobs warned of in one transaction.
const BATCH_JOBS: u64 = 500;

/// Warns of each open job once at 7, 14 and 25 days, in the log, the metrics and the audit log, and says how many warnings
/// that were. A job that was not seen in time is warned of for the longest of its waits only.
///
/// # Errors
/// When the database does not answer.
pub async fn warn(store: &Store, clock: &Clock) -> Result<u64, StoreError> {
    let now = clock.now();
    let before = WARNED_AT_DAYS.map(|days| now - TimeDelta::days(days));
    let counts = job_report::open_since_before(store.db(), &before).await?;
    for (days, count) in WARNED_AT_DAYS.into_iter().zip(counts) {
        let gauge = metrics::gauge!("efface_open_jobs_older_than_days", "days" => days.to_string());
        gauge.set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
    }
    let mut warned = 0;
    let ends = WARNED_AT_DAYS.into_iter().skip(1).chain([WARNED_UNTIL_DAYS]);
    for (days, end) in WARNED_AT_DAYS.into_iter().zip(ends) {
        let waits = (now - TimeDelta::days(end), now - TimeDelta::days(days));
        loop {
            let jobs = batch(store, now, waits, days).await?;
            warned += jobs;
            if jobs < BATCH_JOBS {
                break;
            }
        }
    }
    Ok(warned)
}

/// Warns of one transaction's worth of jobs, and says of how many.
async fn batch(
    store: &Store,
    now: DateTime<Utc>,
    waits: (DateTime<Utc>, DateTime<Utc>),
    days: i64,
) -> Result<u64, StoreError> {
    let tx = store.begin_write().await?;
    // A leader and one that takes it for dead must not both warn.
    scheduler_lease::lock(&*tx, SCHEDULER).await?;
    let jobs = deadline::unwarned(&*tx, waits, days, BATCH_JOBS).await?;
    if jobs.is_empty() {
        tx.rollback().await?;
        return Ok(0);
    }
    audit::append(&*tx, now, jobs.iter().map(|job| entry(job, days)).collect()).await?;
    tx.commit().await?;
    for job in &jobs {
        tracing::warn!(
            job.id = %job.id, job.kind = %job.job_type, job.status = %job.status, job.waited_days = days,
            job.due_at = %rfc3339(job.due_at), "an open job has waited for days; its deadline comes near"
        );
    }
    let count = jobs.len() as u64;
    metrics::counter!("efface_deadline_warnings_total", "days" => days.to_string()).increment(count);
    Ok(count)
}

fn entry(job: &Waiting, days: i64) -> Entry {
    Entry {
        actor: Actor::System("scheduler"),
        action: Action::Validate,
        resource_type: "GDPRJob",
        resource_id: job.id.clone(),
        shop_domain: Some(job.shop_domain.clone()),
        metadata: json!({ "waitedDays": days, "dueAt": rfc3339(job.due_at), "because": "deadline" }),
    }
}
