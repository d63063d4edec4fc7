//! Counts over `"GDPRJob"` for the compliance report.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};

use super::StoreError;
use super::rows::Rows;

/// Jobs of one type in one status with one outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub job_type: String,
    pub status: String,
    pub outcome: Option<String>,
    pub jobs: u64,
}

/// Deadlines of the jobs that are still open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Open {
    pub jobs: u64,
    pub due_soon: u64,
    pub overdue: u64,
}

/// How long jobs took, in milliseconds from receipt to completion.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Times {
    pub median_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub jobs: u64,
}

/// The open job that was received first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oldest {
    pub id: String,
    pub created_at: DateTime<Utc>,
    pub due_at: DateTime<Utc>,
}

/// An open end of a period is further away than any job.
fn bounds(from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> (DateTime<Utc>, DateTime<Utc>) {
    const YEAR_9000: i64 = 221_845_392_000;
    (from.unwrap_or_default(), to.or_else(|| DateTime::from_timestamp(YEAR_9000, 0)).unwrap_or_default())
}

fn count(row: &QueryResult, column: &str) -> Result<u64, StoreError> {
    let n: i64 = row.try_get("", column)?;
    Ok(n.unsigned_abs())
}

/// Jobs received in `from ≤ createdAt < to`, by type, status and outcome.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn groups(
    conn: &impl ConnectionTrait,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
) -> Result<Vec<Group>, StoreError> {
    let sql = r#"SELECT "jobType","status","outcome",count(*) AS "n" FROM "GDPRJob"
                 WHERE "createdAt">=$1 AND "createdAt"<$2 GROUP BY 1,2,3 ORDER BY 1,2,3"#;
    let (from, to) = bounds(from, to);
    let backend = conn.get_database_backend();
    let rows = conn
        .query_all_raw(Statement::from_sql_and_values(backend, sql, vec![Value::from(from), Value::from(to)]))
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Group {
                job_type: row.try_get("", "jobType")?,
                status: row.try_get("", "status")?,
                outcome: row.try_get("", "outcome")?,
                jobs: count(row, "n")?,
            })
        })
        .collect()
}

/// The deadlines of all open jobs, whenever they were received: due before `soon`, due before `now`.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn open(conn: &impl ConnectionTrait, now: DateTime<Utc>, soon: DateTime<Utc>) -> Result<Open, StoreError> {
    let sql = r#"SELECT count(*) AS "jobs",
                   COALESCE(sum(CASE WHEN "dueAt">=$1 AND "dueAt"<$2 THEN 1 ELSE 0 END),0) AS "soon",
                   COALESCE(sum(CASE WHEN "dueAt"<$1 THEN 1 ELSE 0 END),0) AS "overdue"
                 FROM "GDPRJob" WHERE "status" IN ('queued','processing','retrying','held','failed')"#;
    let backend = conn.get_database_backend();
    let values = vec![Value::from(now), Value::from(soon)];
    let row = conn.query_one_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    let Some(row) = row else { return Ok(Open::default()) };
    Ok(Open { jobs: count(&row, "jobs")?, due_soon: count(&row, "soon")?, overdue: count(&row, "overdue")? })
}

/// Median and 95th percentile of the milliseconds from receipt to completion (nearest rank), and of how many jobs:
/// those received in `from ≤ createdAt < to` that completed.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn time_to_complete(
    conn: &impl ConnectionTrait,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
) -> Result<Times, StoreError> {
    let backend = conn.get_database_backend();
    let milliseconds = if backend == DbBackend::Postgres {
        r#"(EXTRACT(EPOCH FROM ("completedAt"-"createdAt"))*1000)::float8"#
    } else {
        r#"(julianday("completedAt")-julianday("createdAt"))*86400000.0"#
    };
    let completed = r#""status"='completed' AND "createdAt">=$1 AND "createdAt"<$2"#;
    // Nearest rank: the smallest value with at least p of all values at or below it.
    let sql = format!(
        r#"WITH d AS (SELECT {milliseconds} AS ms, row_number() OVER (ORDER BY {milliseconds}) AS rank,
             count(*) OVER () AS n FROM "GDPRJob" WHERE {completed})
           SELECT min(CASE WHEN rank*2>=n THEN ms END) AS "p50", min(CASE WHEN rank*100>=n*95 THEN ms END) AS "p95",
             count(*) AS "n" FROM d"#
    );
    let (from, to) = bounds(from, to);
    let values = vec![Value::from(from), Value::from(to)];
    let row = conn.query_one_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    let Some(row) = row else { return Ok(Times::default()) };
    Ok(Times { median_ms: row.try_get("", "p50")?, p95_ms: row.try_get("", "p95")?, jobs: count(&row, "n")? })
}

/// The open job that was received first.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn oldest_open(conn: &impl ConnectionTrait) -> Result<Option<Oldest>, StoreError> {
    // Deadlines lie a fixed time after receipt, so the index on them finds the oldest as well.
    let sql = r#"SELECT "id","createdAt","dueAt" FROM "GDPRJob"
                 WHERE "status" IN ('queued','processing','retrying','held','failed') ORDER BY "dueAt","id" LIMIT 1"#;
    let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await?;
    row.map(|row| {
        Ok(Oldest {
            id: row.try_get("", "id")?,
            created_at: row.try_get("", "createdAt")?,
            due_at: row.try_get("", "dueAt")?,
        })
    })
    .transpose()
}

/// When a retention run last finished without an error.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn last_sweep(conn: &impl ConnectionTrait) -> Result<Option<DateTime<Utc>>, StoreError> {
    let sql = r#"SELECT "finishedAt" FROM "RetentionRun" WHERE "finishedAt" IS NOT NULL AND "error" IS NULL AND NOT "dryRun"
                 ORDER BY "finishedAt" DESC LIMIT 1"#;
    let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await?;
    row.map(|row| row.try_get("", "finishedAt").map_err(StoreError::from)).transpose()
}

/// How many jobs stand in each open status right now: what the metrics show.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn open_by_status(conn: &impl ConnectionTrait) -> Result<Vec<(String, u64)>, StoreError> {
    let sql = r#"SELECT "status",count(*) AS "n" FROM "GDPRJob"
                 WHERE "status" IN ('queued','processing','retrying','held','failed') GROUP BY 1"#;
    let rows = conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await?;
    rows.iter().map(|row| Ok((row.try_get("", "status")?, count(row, "n")?))).collect()
}

/// Which of these shops ever asked to be erased, as far as jobs and receipts are still kept.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn shops_asked_to_redact(
    conn: &impl ConnectionTrait,
    domains: Vec<String>,
) -> Result<HashSet<String>, StoreError> {
    if domains.is_empty() {
        return Ok(HashSet::new());
    }
    let backend = conn.get_database_backend();
    let mut values = Vec::new();
    let wanted = Rows::new().text("shop", domains).table(backend, &mut values);
    let sql = format!(
        r#"SELECT k."shop" AS "shop" FROM {wanted} AS k
           WHERE EXISTS (SELECT 1 FROM "GDPRJob" AS j WHERE j."shopDomain"=k."shop" AND j."jobType"='shop_redact')
              OR EXISTS (SELECT 1 FROM "DeletionReceipt" AS r WHERE r."shopDomain"=k."shop" AND r."jobType"='shop_redact')"#
    );
    let rows = conn.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    rows.iter().map(|row| row.try_get("", "shop").map_err(StoreError::from)).collect()
}

/// How many open jobs were received before each of these instants.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn open_since_before(conn: &impl ConnectionTrait, before: &[DateTime<Utc>]) -> Result<Vec<u64>, StoreError> {
    let backend = conn.get_database_backend();
    let mut counts = Vec::with_capacity(before.len());
    for instant in before {
        let sql = r#"SELECT count(*) AS "n" FROM "GDPRJob"
                     WHERE "status" IN ('queued','processing','retrying','held','failed') AND "createdAt"<$1"#;
        let row = conn.query_one_raw(Statement::from_sql_and_values(backend, sql, [Value::from(*instant)])).await?;
        counts.push(row.map_or(Ok(0), |row| count(&row, "n"))?);
    }
    Ok(counts)
}
