//! What holds ask of jobs: their sealed bodies, who is being worked right now, and who waits for a release.

use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};

use crate::store::StoreError;
use crate::store::rows::Rows;

/// All that a job's row knows of the person it is about.
#[derive(Debug)]
pub struct Body {
    pub id: String,
    pub shop_domain: String,
    pub topic: String,
    pub provider: String,
    /// Identifiers in the clear; never an e-mail or a phone number.
    pub payload: serde_json::Value,
    /// The exact body, sealed; none when the job came without one.
    pub sealed: Option<Vec<u8>>,
}

/// A job that something forbids.
#[derive(Debug)]
pub struct Held {
    pub id: String,
    pub shop_domain: String,
    pub job_type: String,
    pub attempts: i32,
    pub fence: i64,
}

/// What the rows of these jobs know of whom they are about.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn bodies(conn: &impl ConnectionTrait, ids: Vec<String>) -> Result<Vec<Body>, StoreError> {
    let backend = conn.get_database_backend();
    let mut values = Vec::new();
    let keys = Rows::new().text("jobId", ids).table(backend, &mut values);
    let sql = format!(
        r#"SELECT j."id",j."shopDomain",j."topic",j."provider",j."payload",j."sealedPayload" FROM {keys} AS k
           JOIN "GDPRJob" AS j ON j."id"=k."jobId""#
    );
    let rows = conn.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    rows.iter().map(body).collect()
}

fn body(row: &QueryResult) -> Result<Body, StoreError> {
    Ok(Body {
        id: row.try_get("", "id")?,
        shop_domain: row.try_get("", "shopDomain")?,
        topic: row.try_get("", "topic")?,
        provider: row.try_get("", "provider")?,
        payload: row.try_get("", "payload")?,
        sealed: row.try_get("", "sealedPayload")?,
    })
}

/// Waits for the transactions that hold claims of a shop, or of any, to end. On SQLite the caller is the only writer.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn wait_for_steps(conn: &impl ConnectionTrait, shop: Option<&str>) -> Result<(), StoreError> {
    let backend = conn.get_database_backend();
    if backend != DbBackend::Postgres {
        return Ok(());
    }
    // Each step begins by locking its claims' rows.
    let of_shop = if shop.is_some() { r#"AND "shopDomain"=$1"# } else { "" };
    let sql = format!(r#"SELECT "id" FROM "GDPRJob" WHERE "status"='processing' {of_shop} ORDER BY "id" FOR SHARE"#);
    let values: Vec<Value> = shop.map(Value::from).into_iter().collect();
    conn.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    // Each batch of a retention run shares the run's lease before it looks for holds.
    crate::store::scheduler_lease::wait_for_batches(conn).await
}

/// Up to `limit` jobs that are held for `reason`, of a shop or of any, in the order of their ids, after `after`.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn held(
    conn: &impl ConnectionTrait,
    reason: &str,
    shop: Option<&str>,
    after: &str,
    limit: u64,
) -> Result<Vec<Held>, StoreError> {
    let backend = conn.get_database_backend();
    let mut values = vec![Value::from(reason), Value::from(after), Value::from(limit.cast_signed())];
    let of_shop = if shop.is_some() { r#"AND "shopDomain"=$4"# } else { "" };
    values.extend(shop.map(Value::from));
    let sql = format!(
        r#"SELECT "id","shopDomain","jobType","attempts","fence" FROM "GDPRJob"
           WHERE "status"='held' AND "holdReason"=$1 AND "id">$2 {of_shop} ORDER BY "id" LIMIT $3"#
    );
    let rows = conn.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    rows.iter()
        .map(|row| {
            Ok(Held {
                id: row.try_get("", "id")?,
                shop_domain: row.try_get("", "shopDomain")?,
                job_type: row.try_get("", "jobType")?,
                attempts: row.try_get("", "attempts")?,
                fence: row.try_get("", "fence")?,
            })
        })
        .collect()
}

/// Whether a job is still `held`: then its row is locked until the transaction ends.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn lock_held(conn: &impl ConnectionTrait, id: &str) -> Result<bool, StoreError> {
    let backend = conn.get_database_backend();
    let lock = if backend == DbBackend::Postgres { "FOR NO KEY UPDATE" } else { "" };
    let sql = format!(r#"SELECT "id" FROM "GDPRJob" WHERE "id"=$1 AND "status"='held' {lock}"#);
    let statement = Statement::from_sql_and_values(backend, sql, vec![Value::from(id)]);
    Ok(conn.query_one_raw(statement).await?.is_some())
}

/// The progress of a job, as its row has it now.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn progress(conn: &impl ConnectionTrait, id: &str) -> Result<Option<serde_json::Value>, StoreError> {
    let sql = r#"SELECT "progress" FROM "GDPRJob" WHERE "id"=$1"#;
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, vec![Value::from(id)]);
    Ok(match conn.query_one_raw(statement).await? {
        Some(row) => row.try_get("", "progress")?,
        None => None,
    })
}

/// Replaces the progress of a job that nobody works: what an operator's word adds to it.
///
/// # Errors
/// [`StoreError::Count`] when there is no such job, or it is being worked.
pub async fn put_progress(
    conn: &impl ConnectionTrait,
    id: &str,
    progress: &serde_json::Value,
) -> Result<(), StoreError> {
    let backend = conn.get_database_backend();
    let json = if backend == DbBackend::Postgres { "::jsonb" } else { "" };
    let sql = format!(r#"UPDATE "GDPRJob" SET "progress"=$2{json} WHERE "id"=$1 AND "status"<>'processing'"#);
    let values = vec![Value::from(id), Value::from(progress.to_string())];
    let touched = conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?.rows_affected();
    crate::store::error::exactly("noting an operator's word in a job", 1, touched)
}
