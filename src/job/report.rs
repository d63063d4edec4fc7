//! The compliance report: what was asked, what became of it, and whether the deadlines hold. Measured, never claimed.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::clock::rfc3339;
use crate::store::job_report;
use crate::store::{Store, StoreError};

/// "Due soon" looks this far ahead.
const SOON: TimeDelta = TimeDelta::days(7);

/// The state of all duties, as of one moment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// When the numbers were read.
    pub generated_at: String,
    /// Jobs received at or after this instant are counted in `jobs` and `timeToComplete`.
    pub from: String,
    /// Jobs received before this instant.
    pub to: String,
    /// Jobs by type, status and outcome.
    pub jobs: Vec<JobCount>,
    /// Open jobs, whenever they were received.
    pub open: OpenJobs,
    /// Time from receipt to completion; absent when nothing completed in the period.
    pub time_to_complete: Option<TimeToComplete>,
    /// The last retention sweep that finished without an error; absent when none has.
    pub last_sweep: Option<Sweep>,
}

/// A number of jobs.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobCount {
    pub job_type: String,
    pub status: String,
    pub outcome: Option<String>,
    pub count: u64,
}

/// Deadlines of open jobs.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenJobs {
    pub total: u64,
    /// Due within 7 days, not yet overdue.
    pub due_within7_days: u64,
    pub overdue: u64,
    /// When the oldest of them was received.
    pub oldest_created_at: Option<String>,
}

/// Seconds from receipt to completion.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TimeToComplete {
    pub median_seconds: f64,
    pub p95_seconds: f64,
    pub jobs: u64,
}

/// A retention sweep.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sweep {
    pub finished_at: String,
    pub rows_purged: u64,
}

/// Reads the report for jobs received in `from ≤ createdAt < to`.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn read(
    store: &Store,
    now: DateTime<Utc>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Report, StoreError> {
    let snapshot = store.begin_snapshot().await?;
    let groups = job_report::groups(&snapshot, from, to).await?;
    let open = job_report::open(&snapshot, now, now + SOON).await?;
    let time = job_report::time_to_complete(&snapshot, from, to).await?;
    let sweep = job_report::last_sweep(&snapshot).await?;
    snapshot.commit().await?;
    Ok(Report {
        generated_at: rfc3339(now),
        from: rfc3339(from),
        to: rfc3339(to),
        jobs: groups
            .into_iter()
            .map(|g| JobCount { job_type: g.job_type, status: g.status, outcome: g.outcome, count: g.jobs })
            .collect(),
        open: OpenJobs {
            total: open.jobs,
            due_within7_days: open.due_soon,
            overdue: open.overdue,
            oldest_created_at: open.oldest.map(rfc3339),
        },
        time_to_complete: time.map(|(median, p95, jobs)| TimeToComplete {
            median_seconds: seconds(median),
            p95_seconds: seconds(p95),
            jobs,
        }),
        last_sweep: sweep.map(|(at, rows_purged)| Sweep { finished_at: rfc3339(at), rows_purged }),
    })
}

fn seconds(milliseconds: f64) -> f64 {
    milliseconds.round() / 1000.0
}

impl Report {
    /// The report as lines of `metric,jobType,status,outcome,value`.
    ///
    /// # Errors
    /// Never in memory; the writer's signature asks for it.
    pub fn to_csv(&self) -> Result<String, csv::Error> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(["metric", "jobType", "status", "outcome", "value"])?;
        for jobs in &self.jobs {
            let outcome = jobs.outcome.as_deref().unwrap_or_default();
            csv.write_record(["jobs", &jobs.job_type, &jobs.status, outcome, &jobs.count.to_string()])?;
        }
        for (metric, value) in self.figures() {
            csv.write_record([metric, "", "", "", &value])?;
        }
        let bytes = csv.into_inner().map_err(|e| csv::Error::from(e.into_error()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The figures that are not counts of jobs by type, by name; an absent one is empty.
    pub fn figures(&self) -> Vec<(&'static str, String)> {
        let time = self.time_to_complete.as_ref();
        let sweep = self.last_sweep.as_ref();
        vec![
            ("openTotal", self.open.total.to_string()),
            ("openDueWithin7Days", self.open.due_within7_days.to_string()),
            ("openOverdue", self.open.overdue.to_string()),
            ("openOldestCreatedAt", self.open.oldest_created_at.clone().unwrap_or_default()),
            ("medianSecondsToComplete", time.map(|t| t.median_seconds.to_string()).unwrap_or_default()),
            ("p95SecondsToComplete", time.map(|t| t.p95_seconds.to_string()).unwrap_or_default()),
            ("lastSweepFinishedAt", sweep.map(|s| s.finished_at.clone()).unwrap_or_default()),
            ("lastSweepRowsPurged", sweep.map(|s| s.rows_purged.to_string()).unwrap_or_default()),
            ("from", self.from.clone()),
            ("to", self.to.clone()),
            ("generatedAt", self.generated_at.clone()),
        ]
    }
}
