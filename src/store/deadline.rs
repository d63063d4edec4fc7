//! Open jobs that have waited long, and which of them nobody was told of yet.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, Statement, Value};

use super::StoreError;

/// An open job, as far as a warning names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub id: String,
    pub shop_domain: String,
    pub job_type: String,
    pub status: String,
    pub created_at: DateTime<Utc>,
    pub due_at: DateTime<Utc>,
}

/// Up to `limit` open jobs received in `from ≤ createdAt < to` that have no entry in the audit log with `waitedDays` of
/// `days`: the entry of a warning. The longest wait comes first.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn unwarned(
    conn: &impl ConnectionTrait,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    days: i64,
    limit: u64,
) -> Result<Vec<Waiting>, StoreError> {
    let sql = r#"SELECT j."id",j."shopDomain",j."jobType",j."status",j."createdAt",j."dueAt" FROM "GDPRJob" AS j
        WHERE j."status" IN ('queued','processing','retrying','held','failed') AND j."createdAt">=$1 AND j."createdAt"<$2
          AND NOT EXISTS (SELECT 1 FROM "AuditLog" AS a WHERE a."resourceType"='GDPRJob' AND a."resourceId"=j."id"
            AND a."action"='validate' AND CAST(a."metadata"->>'waitedDays' AS text)=$3)
        ORDER BY j."createdAt",j."id" LIMIT $4"#;
    let values = [Value::from(from), Value::from(to), Value::from(days.to_string()), Value::from(limit.cast_signed())];
    let rows = conn.query_all_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, values)).await?;
    rows.iter()
        .map(|row| {
            Ok(Waiting {
                id: row.try_get("", "id")?,
                shop_domain: row.try_get("", "shopDomain")?,
                job_type: row.try_get("", "jobType")?,
                status: row.try_get("", "status")?,
                created_at: row.try_get("", "createdAt")?,
                due_at: row.try_get("", "dueAt")?,
            })
        })
        .collect()
}
