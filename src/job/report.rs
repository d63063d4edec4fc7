//! The compliance report: what was asked, what became of it, and whether the deadlines hold. Measured, never claimed.

use chrono::{DateTime, TimeDelta, Utc};
use entity::gdpr_job::{JobStatus, JobType, Outcome};
use serde::Serialize;

use crate::clock::{Clock, rfc3339};
use crate::store::job_report;
use crate::store::{Store, StoreError};

/// "Due soon" looks this far ahead.
const SOON: TimeDelta = TimeDelta::days(7);

/// How the duties of a period stand. Everything in it was counted when it was asked for.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ComplianceReport {
    /// Jobs received from this instant on; none means since ever.
    pub from: Option<DateTime<Utc>>,
    /// … and before this one.
    pub to: Option<DateTime<Utc>>,
    /// When the counts were taken.
    pub checked_at: DateTime<Utc>,
    /// Jobs by type, status and outcome.
    pub jobs: Vec<JobCount>,
    /// Jobs that are not final.
    pub open: u64,
    /// Open jobs due within seven days, overdue ones not among them.
    pub due_within_seven_days: u64,
    /// Open jobs past their deadline.
    pub overdue: u64,
    /// Jobs that the next two figures are taken from.
    pub completed: u64,
    /// Half of the completed jobs took no longer, in seconds from receipt.
    pub median_seconds: Option<f64>,
    /// Nineteen of twenty completed jobs took no longer.
    pub p95_seconds: Option<f64>,
    /// The open job that was received first.
    pub oldest_open: Option<OldestOpen>,
    /// When a retention sweep last ended.
    pub last_sweep_at: Option<DateTime<Utc>>,
}

/// Jobs that have type, status and outcome in common.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobCount {
    /// What they ask for.
    pub job_type: JobType,
    /// Where they stand.
    pub status: JobStatus,
    /// What they came to.
    pub outcome: Option<Outcome>,
    /// How many.
    pub count: u64,
}

/// The open job that has waited longest.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OldestOpen {
    /// Its id.
    pub id: String,
    /// When it was received.
    pub created_at: DateTime<Utc>,
    /// When it is due.
    pub due_at: DateTime<Utc>,
}

/// Counts the jobs received in `from ≤ createdAt < to`, and the deadlines of all open ones, in one snapshot.
///
/// # Errors
/// When the database refuses or does not answer, or a row does not read back.
pub async fn read(
    store: &Store,
    clock: &Clock,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
) -> Result<ComplianceReport, StoreError> {
    let now = clock.now();
    let snapshot = store.begin_snapshot().await?;
    let groups = job_report::groups(&snapshot, from, to).await?;
    let open = job_report::open(&snapshot, now, now + SOON).await?;
    let oldest = job_report::oldest_open(&snapshot).await?;
    let time = job_report::time_to_complete(&snapshot, from, to).await?;
    let last_sweep_at = job_report::last_sweep(&snapshot).await?;
    snapshot.commit().await?;
    let seconds = |milliseconds: f64| milliseconds.round() / 1000.0;
    Ok(ComplianceReport {
        from,
        to,
        checked_at: now,
        jobs: groups.into_iter().map(count).collect::<Result<_, _>>()?,
        open: open.jobs,
        due_within_seven_days: open.due_soon,
        overdue: open.overdue,
        completed: time.jobs,
        median_seconds: time.median_ms.map(seconds),
        p95_seconds: time.p95_ms.map(seconds),
        oldest_open: oldest.map(|job| OldestOpen { id: job.id, created_at: job.created_at, due_at: job.due_at }),
        last_sweep_at,
    })
}

fn count(group: job_report::Group) -> Result<JobCount, StoreError> {
    let unreadable =
        |column| StoreError::Row { table: super::TABLE, column, id: "(grouped)".to_owned(), reason: "an unknown text" };
    Ok(JobCount {
        job_type: group.job_type.parse().map_err(|_| unreadable("jobType"))?,
        status: group.status.parse().map_err(|_| unreadable("status"))?,
        outcome: group.outcome.map(|text| text.parse().map_err(|_| unreadable("outcome"))).transpose()?,
        count: group.jobs,
    })
}

impl ComplianceReport {
    /// The figures that are not counts of jobs by type, by name; an absent one is empty.
    pub fn figures(&self) -> Vec<(&'static str, String)> {
        let instant = |at: Option<DateTime<Utc>>| at.map(rfc3339).unwrap_or_default();
        let seconds = |seconds: Option<f64>| seconds.map(|seconds| seconds.to_string()).unwrap_or_default();
        let oldest = self.oldest_open.as_ref();
        vec![
            ("checkedAt", rfc3339(self.checked_at)),
            ("from", instant(self.from)),
            ("to", instant(self.to)),
            ("open", self.open.to_string()),
            ("dueWithinSevenDays", self.due_within_seven_days.to_string()),
            ("overdue", self.overdue.to_string()),
            ("completed", self.completed.to_string()),
            ("medianSeconds", seconds(self.median_seconds)),
            ("p95Seconds", seconds(self.p95_seconds)),
            ("oldestOpenId", oldest.map(|job| job.id.clone()).unwrap_or_default()),
            ("oldestOpenCreatedAt", instant(oldest.map(|job| job.created_at))),
            ("oldestOpenDueAt", instant(oldest.map(|job| job.due_at))),
            ("lastSweepAt", instant(self.last_sweep_at)),
        ]
    }

    /// One line per figure, so that a spreadsheet can filter them: figure, type, status, outcome, value.
    ///
    /// # Errors
    /// Never in memory; the writer's signature asks for it.
    pub fn to_csv(&self) -> csv::Result<Vec<u8>> {
        let mut table = csv::Writer::from_writer(Vec::new());
        table.write_record(["figure", "jobType", "status", "outcome", "value"])?;
        for jobs in &self.jobs {
            let outcome = jobs.outcome.map_or("", |outcome| outcome.as_str());
            let (job_type, status) = (jobs.job_type.as_str(), jobs.status.as_str());
            table.write_record(["jobs", job_type, status, outcome, &jobs.count.to_string()])?;
        }
        for (figure, value) in self.figures() {
            table.write_record([figure, "", "", "", &value])?;
        }
        table.into_inner().map_err(|error| error.into_error().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_one_line_per_figure() {
        let report = ComplianceReport {
            from: None,
            to: None,
            checked_at: DateTime::from_timestamp_millis(1_763_703_000_000).unwrap(),
            jobs: vec![JobCount {
                job_type: JobType::CustomerRedact,
                status: JobStatus::Completed,
                outcome: Some(Outcome::Erased),
                count: 3,
            }],
            open: 1,
            due_within_seven_days: 0,
            overdue: 1,
            completed: 3,
            median_seconds: Some(1.5),
            p95_seconds: None,
            oldest_open: None,
            last_sweep_at: None,
        };
        let text = String::from_utf8(report.to_csv().unwrap()).unwrap();
        assert!(text.starts_with("figure,jobType,status,outcome,value\njobs,"), "{text}");
        assert!(text.contains("\ncheckedAt,,,,2025-11-21T05:30:00.000Z\n"), "{text}");
        assert!(text.contains("\njobs,customer_redact,completed,erased,3\n"), "{text}");
        assert!(text.contains("\nmedianSeconds,,,,1.5\np95Seconds,,,,\n"), "{text}");
    }
}
