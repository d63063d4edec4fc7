//! Deletes Efface's own rows at the end of their time. Receipts, tombstones, keys and audit entries have their own ends.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, Statement, Value};

use super::StoreError;

/// A table of Efface's own whose rows have a fixed time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnTable {
    /// From receipt on.
    WebhookLog,
    /// From completion or cancellation on. A job whose package can still be fetched stays as long as that.
    Jobs,
    /// From the end that each receipt names.
    Receipts,
}

impl OwnTable {
    /// The table's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WebhookLog => "WebhookLog",
            Self::Jobs => "GDPRJob",
            Self::Receipts => "DeletionReceipt",
        }
    }

    /// The condition of a row that is due: `$1` is the cutoff, `$2` is now.
    const fn due(self) -> &'static str {
        match self {
            Self::WebhookLog => r#"t."receivedAt"<$1 AND $2 IS NOT NULL"#,
            Self::Jobs => {
                r#"t."completedAt"<$1 AND t."status" IN ('completed','cancelled') AND NOT EXISTS (SELECT 1
                   FROM "ExportPackage" AS p WHERE p."jobId"=t."id" AND p."removedAt" IS NULL AND p."expiresAt">$2)"#
            }
            Self::Receipts => r#"t."expiresAt"<$1 AND $2 IS NOT NULL"#,
        }
    }
}

/// How many rows are due.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn due(
    conn: &impl ConnectionTrait,
    table: OwnTable,
    cutoff: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let sql = format!(r#"SELECT count(*) AS "n" FROM "{}" AS t WHERE {}"#, table.name(), cast(conn, table));
    let values = [Value::from(cutoff), Value::from(now)];
    let row = conn.query_one_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, values)).await?;
    let n: i64 = row.map_or(Ok(0), |row| row.try_get("", "n"))?;
    Ok(n.unsigned_abs())
}

/// Deletes up to `limit` rows that are due, in the order of their ids and from behind `after` on. Returns how many, and the
/// last id.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn delete_due(
    conn: &impl ConnectionTrait,
    table: OwnTable,
    (cutoff, now): (DateTime<Utc>, DateTime<Utc>),
    after: &str,
    limit: u64,
) -> Result<(u64, Option<String>), StoreError> {
    let picked = format!(
        r#"SELECT t."id" FROM "{}" AS t WHERE {} AND t."id">$3 ORDER BY t."id" LIMIT $4"#,
        table.name(),
        cast(conn, table)
    );
    let backend = conn.get_database_backend();
    let sql = format!(r#"SELECT max(x."id") AS "last" FROM ({picked}) AS x"#);
    let limit = limit.cast_signed();
    let values = [Value::from(cutoff), Value::from(now), Value::from(after), Value::from(limit)];
    let row = conn.query_one_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    let Some(last) = row.map_or(Ok(None), |row| row.try_get::<Option<String>>("", "last"))? else {
        return Ok((0, None));
    };
    let due = format!(r#"{} AND t."id">$3 AND t."id"<=$4"#, cast(conn, table));
    let sql = match table {
        OwnTable::WebhookLog => format!(r#"DELETE FROM "WebhookLog" AS t WHERE {due}"#),
        OwnTable::Jobs => format!(r#"DELETE FROM "GDPRJob" AS t WHERE {due}"#),
        OwnTable::Receipts => format!(r#"DELETE FROM "DeletionReceipt" AS t WHERE {due}"#),
    };
    let values = [Value::from(cutoff), Value::from(now), Value::from(after), Value::from(last.clone())];
    let deleted = conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?.rows_affected();
    Ok((deleted, Some(last)))
}

/// PostgreSQL must be told what a parameter is that is compared with nothing.
fn cast(conn: &impl ConnectionTrait, table: OwnTable) -> String {
    let postgres = conn.get_database_backend() == sea_orm::DbBackend::Postgres;
    let known = if postgres { "CAST($2 AS timestamptz) IS NOT NULL" } else { "$2 IS NOT NULL" };
    table.due().replace("$2 IS NOT NULL", known)
}
