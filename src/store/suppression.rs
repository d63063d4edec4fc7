//! Rows of `"Suppression"`, and of the two tables that the SQL function reads.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use entity::gdpr_job::JobStatus;
use entity::suppression::{Column, Entity, Model};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbBackend, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Statement, Value,
};

use super::StoreError;
use super::rows::{Rows, instant_text};

/// Inserts tombstones; those that are there already are left alone. Returns how many were inserted.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn insert(conn: &impl ConnectionTrait, rows: &[Model]) -> Result<u64, StoreError> {
    if rows.is_empty() {
        return Ok(0);
    }
    let backend = conn.get_database_backend();
    let (json, instant) = if backend == DbBackend::Postgres { ("::jsonb", "::timestamptz") } else { ("", "") };
    let mut values = Vec::new();
    let table = Rows::new()
        .instant("createdAt", rows.iter().map(|row| row.created_at))
        .text("jobId", rows.iter().map(|row| row.job_id.clone()))
        .text("shopDomain", rows.iter().map(|row| row.shop_domain.clone()))
        .text_or_null("shopId", rows.iter().map(|row| row.shop_id.clone()))
        .text("purpose", rows.iter().map(|row| row.purpose.as_str()))
        .text("keyId", rows.iter().map(|row| row.key_id.clone()))
        .bytes("digests", rows.iter().map(|row| row.digests.clone()))
        .text_or_null("shopKeys", rows.iter().map(|row| row.shop_keys.as_ref().map(ToString::to_string)))
        .instant("expiresAt", rows.iter().map(|row| row.expires_at))
        .int("sweepsDone", rows.iter().map(|row| i64::from(row.sweeps_done)))
        .text_or_null("nextSweepAt", rows.iter().map(|row| row.next_sweep_at.map(instant_text)))
        .table(backend, &mut values);
    let sql = format!(
        r#"INSERT INTO "Suppression" ("createdAt","jobId","shopDomain","shopId","purpose","keyId","digests","shopKeys",
             "expiresAt","sweepsDone","nextSweepAt")
           SELECT k."createdAt",k."jobId",k."shopDomain",NULLIF(k."shopId",''),k."purpose",k."keyId",k."digests",
             NULLIF(k."shopKeys",''){json},k."expiresAt",k."sweepsDone",NULLIF(k."nextSweepAt",''){instant}
           FROM {table} AS k WHERE true ON CONFLICT DO NOTHING"#
    );
    Ok(conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?.rows_affected())
}

/// Tombstones whose next re-sweep is due, the longest due first.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn due(conn: &impl ConnectionTrait, now: DateTime<Utc>, limit: u64) -> Result<Vec<Model>, StoreError> {
    let due = Entity::find().filter(Column::NextSweepAt.lte(now)).order_by_asc(Column::NextSweepAt);
    Ok(due.limit(limit).all(conn).await?)
}

/// Notes a re-sweep on tombstones that nobody else has swept meanwhile, and names the jobs of those it did: row and
/// when it is swept next.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn swept(
    conn: &impl ConnectionTrait,
    rows: &[(&Model, Option<DateTime<Utc>>)],
) -> Result<HashSet<String>, StoreError> {
    let backend = conn.get_database_backend();
    let instant = if backend == DbBackend::Postgres { "::timestamptz" } else { "" };
    let mut values = Vec::new();
    let keys = Rows::new()
        .instant("at", rows.iter().map(|(row, _)| row.created_at))
        .text("job", rows.iter().map(|(row, _)| row.job_id.clone()))
        .int("done", rows.iter().map(|(row, _)| i64::from(row.sweeps_done)))
        .text_or_null("next", rows.iter().map(|(_, next)| next.map(instant_text)))
        .table(backend, &mut values);
    let sql = format!(
        r#"UPDATE "Suppression" AS s SET "sweepsDone"=s."sweepsDone"+1,"nextSweepAt"=NULLIF(k."next",''){instant}
           FROM {keys} AS k WHERE s."createdAt"=k."at" AND s."jobId"=k."job" AND s."sweepsDone"=k."done"
           RETURNING "jobId" AS "id""#
    );
    let rows = conn.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    rows.iter().map(|row| row.try_get("", "id").map_err(StoreError::from)).collect()
}

/// Where a page ended.
pub type Place = (DateTime<Utc>, String);

/// A page of tombstones of erasures at `since` or later, in the order in which they came, after where the last one ended.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn page(
    conn: &impl ConnectionTrait,
    since: DateTime<Utc>,
    after: Option<&Place>,
    limit: u64,
) -> Result<Vec<Model>, StoreError> {
    let (at, job) = after.map_or((since, ""), |(at, job)| (*at, job.as_str()));
    let backend = conn.get_database_backend();
    let sql =
        r#"SELECT * FROM "Suppression" WHERE ("createdAt","jobId")>($1,$2) ORDER BY "createdAt","jobId" LIMIT $3"#;
    let values = [Value::from(at), Value::from(job), Value::from(limit.cast_signed())];
    Ok(Entity::find().from_raw_sql(Statement::from_sql_and_values(backend, sql, values)).all(conn).await?)
}

/// The latest tombstones, of one shop or of all.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn latest(conn: &impl ConnectionTrait, shop: Option<&str>, limit: u64) -> Result<Vec<Model>, StoreError> {
    let mut latest = Entity::find().order_by_desc(Column::CreatedAt).order_by_desc(Column::JobId);
    if let Some(shop) = shop {
        latest = latest.filter(Column::ShopDomain.eq(shop));
    }
    Ok(latest.limit(limit).all(conn).await?)
}

/// The tombstones of a shop that hold a digest and have not expired. Reads all rows: for a person who asks, not for a program.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn holding(
    conn: &impl ConnectionTrait,
    shop: &str,
    digest: [u8; 16],
    now: DateTime<Utc>,
) -> Result<Vec<Model>, StoreError> {
    let backend = conn.get_database_backend();
    let at = if backend == DbBackend::Postgres { r#"position($2 IN "digests")"# } else { r#"instr("digests",$2)"# };
    // A hit must begin where a digest begins.
    let sql = format!(
        r#"SELECT * FROM "Suppression" WHERE "shopDomain"=$1 AND {at}%16=1 AND "expiresAt">$3 ORDER BY "createdAt","jobId""#
    );
    let values = [Value::from(shop), Value::from(digest.to_vec()), Value::from(now)];
    Ok(Entity::find().from_raw_sql(Statement::from_sql_and_values(backend, sql, values)).all(conn).await?)
}

/// Takes away tombstones that have expired and have no re-sweep left, up to `limit`, and digests of the SQL function.
/// Returns how many tombstones went.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn expire(conn: &impl ConnectionTrait, now: DateTime<Utc>, limit: u64) -> Result<u64, StoreError> {
    let backend = conn.get_database_backend();
    let sql = r#"DELETE FROM "Suppression" WHERE ("createdAt","jobId") IN (SELECT "createdAt","jobId" FROM "Suppression"
                 WHERE "nextSweepAt" IS NULL AND "expiresAt"<=$1 ORDER BY "expiresAt" LIMIT $2)"#;
    let values = [Value::from(now), Value::from(limit.cast_signed())];
    let gone = conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?.rows_affected();
    let sql = r#"DELETE FROM "SuppressionDigest" WHERE "expiresAt"<=$1"#;
    conn.execute_raw(Statement::from_sql_and_values(backend, sql, [Value::from(now)])).await?;
    Ok(gone)
}

/// What the row of a job that erased still has in the clear.
#[derive(Clone, Debug)]
pub struct Parent {
    pub id: String,
    pub payload: serde_json::Value,
}

/// The rows of jobs, as far as they are still kept.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn parents(conn: &impl ConnectionTrait, ids: Vec<String>) -> Result<Vec<Parent>, StoreError> {
    let backend = conn.get_database_backend();
    let mut values = Vec::new();
    let wanted = Rows::new().text("wanted", ids).table(backend, &mut values);
    let sql = format!(r#"SELECT j."id","payload" FROM {wanted} AS k JOIN "GDPRJob" AS j ON j."id"=k."wanted""#);
    let rows = conn.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    rows.iter().map(|row| Ok(Parent { id: row.try_get("", "id")?, payload: row.try_get("", "payload")? })).collect()
}

/// How jobs stand.
///
/// # Errors
/// When the database refuses or does not answer, or a status is none that this build knows.
pub async fn statuses(conn: &impl ConnectionTrait, ids: &[String]) -> Result<Vec<(String, JobStatus)>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let backend = conn.get_database_backend();
    let mut values = Vec::new();
    let wanted = Rows::new().text("wanted", ids.iter().cloned()).table(backend, &mut values);
    let sql = format!(r#"SELECT j."id","status" FROM {wanted} AS k JOIN "GDPRJob" AS j ON j."id"=k."wanted""#);
    let rows = conn.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    rows.iter()
        .map(|row| {
            let (id, status): (String, String) = (row.try_get("", "id")?, row.try_get("", "status")?);
            let unknown = |_| StoreError::Row { table: "GDPRJob", column: "status", id: id.clone(), reason: "unknown" };
            Ok((id.clone(), status.parse().map_err(unknown)?))
        })
        .collect()
}

/// Gives a job that was just inserted the shop keys that only the tombstone still knows, as its progress.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn seed_progress(
    conn: &impl ConnectionTrait,
    id: &str,
    progress: &serde_json::Value,
) -> Result<(), StoreError> {
    let backend = conn.get_database_backend();
    let json = if backend == DbBackend::Postgres { "::jsonb" } else { "" };
    let sql = format!(r#"UPDATE "GDPRJob" SET "progress"=$2{json} WHERE "id"=$1 AND "fence"=0"#);
    let values = [Value::from(id), Value::from(progress.to_string())];
    let touched = conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?.rows_affected();
    super::error::exactly("giving a child its shop's keys", 1, touched)
}

/// The key of one shop as HMAC uses it: the blocks that precede the message, and the inner digest.
#[derive(Clone)]
pub struct FunctionKey {
    pub shop_domain: String,
    pub key_id: String,
    pub inner: Vec<u8>,
    pub outer: Vec<u8>,
}

impl std::fmt::Debug for FunctionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FunctionKey({}, {})", self.shop_domain, self.key_id)
    }
}

/// Fills what the SQL function reads: keys of shops, and digests with the time until which they count.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn fill_function(
    conn: &impl ConnectionTrait,
    keys: &[FunctionKey],
    digests: &BTreeMap<[u8; 16], DateTime<Utc>>,
) -> Result<(), StoreError> {
    let backend = conn.get_database_backend();
    let mut values = Vec::new();
    let table = Rows::new()
        .text("shopDomain", keys.iter().map(|key| key.shop_domain.clone()))
        .text("keyId", keys.iter().map(|key| key.key_id.clone()))
        .bytes("inner", keys.iter().map(|key| key.inner.clone()))
        .bytes("outer", keys.iter().map(|key| key.outer.clone()))
        .table(backend, &mut values);
    let sql = format!(
        r#"INSERT INTO "SuppressionKey" ("shopDomain","keyId","inner","outer")
           SELECT k."shopDomain",k."keyId",k."inner",k."outer" FROM {table} AS k
           WHERE NOT EXISTS (SELECT 1 FROM "SuppressionKey" AS o WHERE o."shopDomain"=k."shopDomain" AND o."keyId"=k."keyId")
           ORDER BY k."shopDomain",k."keyId" ON CONFLICT DO NOTHING"#
    );
    conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    if digests.is_empty() {
        return Ok(());
    }
    let mut values = Vec::new();
    // In one order, so that two transactions with the same digests wait for each other instead of deadlocking.
    let table = Rows::new()
        .bytes("digest", digests.keys().map(|digest| digest.to_vec()))
        .instant("expiresAt", digests.values().copied())
        .table(backend, &mut values);
    let sql = format!(
        r#"INSERT INTO "SuppressionDigest" ("digest","expiresAt") SELECT k."digest",k."expiresAt" FROM {table} AS k
           WHERE true ORDER BY k."digest" ON CONFLICT ("digest") DO UPDATE SET "expiresAt"=excluded."expiresAt"
           WHERE "SuppressionDigest"."expiresAt"<excluded."expiresAt""#
    );
    conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    Ok(())
}

/// Whether the SQL function has ever been filled.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn function_is_filled(conn: &impl ConnectionTrait) -> Result<bool, StoreError> {
    let sql = r#"SELECT 1 AS "is" FROM "SuppressionKey" WHERE "shopDomain"='' LIMIT 1"#;
    Ok(conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await?.is_some())
}

/// Takes away what the SQL function reads.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn empty_function(conn: &impl ConnectionTrait) -> Result<(), StoreError> {
    conn.execute_unprepared(r#"DELETE FROM "SuppressionKey""#).await?;
    conn.execute_unprepared(r#"DELETE FROM "SuppressionDigest""#).await?;
    Ok(())
}
