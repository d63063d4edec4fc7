//! Rows of `"GDPRJob"`: the duty itself.
//!
//! Claims are fenced leases. A claim raises `fence`; every later statement of that claim names the fence it was
//! given, and a row that no longer carries it is not touched. Set-based statements serve the batches of the worker,
//! [`change_status`] serves everything that concerns one job.

mod claim;
pub mod holding;
pub mod query;

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use entity::gdpr_job::{JobStatus, JobType, Outcome};
use entity::source::Source;
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};

use super::rows::Rows;
use super::{Store, StoreError};
use crate::clock::Clock;

pub use claim::{Claimed, Claims, claim};

/// A job as intake writes it.
#[derive(Debug)]
pub struct NewJob {
    pub id: String,
    pub shop_domain: String,
    pub shop_id: Option<String>,
    pub job_type: JobType,
    pub status: JobStatus,
    pub topic: String,
    pub provider: String,
    pub source: Source,
    /// Identifiers only; never an e-mail or a phone number.
    pub payload: serde_json::Value,
    /// The exact body, sealed.
    pub sealed_payload: Vec<u8>,
    /// Keyed digest of the body, hex.
    pub body_digest: String,
    pub hold_reason: Option<String>,
    /// What exactly does not fit, of one that is held for it.
    pub error_message: Option<String>,
    pub webhook_id: String,
    pub event_id: Option<String>,
    pub triggered_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub due_at: DateTime<Utc>,
}

/// That a row is being worked, said so that PostgreSQL does not read it as a reason to scan the small index of leases
/// instead of looking each id up: that index is full of entries of jobs that are done.
const PROCESSING: &str = r#"j."status" IS NOT DISTINCT FROM 'processing'"#;

/// Which row a claim speaks of, and with which right.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fenced {
    pub id: String,
    pub fence: i64,
}

/// What a finished job's row becomes.
#[derive(Debug)]
pub struct Completion {
    pub job: Fenced,
    pub outcome: Outcome,
    pub result: serde_json::Value,
    /// When the verifier found nothing; absent when there was nothing to verify.
    pub verified_at: Option<DateTime<Utc>>,
}

/// A compare-and-set of one job's status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusChange {
    pub from: JobStatus,
    pub to: JobStatus,
    /// Added to `attempts`.
    pub attempts: i32,
    /// When the job may be worked again; unchanged when absent.
    pub scheduled_at: Option<DateTime<Utc>>,
    pub hold_reason: Option<String>,
    pub error_message: Option<String>,
    pub outcome: Option<Outcome>,
    /// Whether the duty has ended: sets `completedAt` and destroys the sealed body.
    pub ends: bool,
}

/// Inserts jobs; a row that another transaction inserted first is left alone. Returns how many were inserted.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn insert(conn: &impl ConnectionTrait, jobs: Vec<NewJob>) -> Result<u64, StoreError> {
    if jobs.is_empty() {
        return Ok(0);
    }
    let backend = conn.get_database_backend();
    let json = if backend == DbBackend::Postgres { "::jsonb" } else { "" };
    let (sealed, jobs): (Vec<_>, Vec<_>) =
        jobs.into_iter().map(|mut job| (std::mem::take(&mut job.sealed_payload), job)).unzip();
    let triggered = jobs.iter().map(|job| job.triggered_at.unwrap_or(job.created_at));
    let rows = Rows::new()
        .text("id", jobs.iter().map(|job| job.id.clone()))
        .text("shopDomain", jobs.iter().map(|job| job.shop_domain.clone()))
        .text_or_null("shopId", jobs.iter().map(|job| job.shop_id.clone()))
        .text("jobType", jobs.iter().map(|job| job.job_type.as_str()))
        .text("status", jobs.iter().map(|job| job.status.as_str()))
        .text("topic", jobs.iter().map(|job| job.topic.clone()))
        .text("provider", jobs.iter().map(|job| job.provider.clone()))
        .text("source", jobs.iter().map(|job| job.source.as_str()))
        .text("payload", jobs.iter().map(|job| job.payload.to_string()))
        .bytes("sealedPayload", sealed)
        .text("bodyDigest", jobs.iter().map(|job| job.body_digest.clone()))
        .text_or_null("holdReason", jobs.iter().map(|job| job.hold_reason.clone()))
        .text_or_null("errorMessage", jobs.iter().map(|job| job.error_message.clone()))
        .text("webhookId", jobs.iter().map(|job| job.webhook_id.clone()))
        .text_or_null("eventId", jobs.iter().map(|job| job.event_id.clone()))
        .instant("triggeredAt", triggered)
        .instant("createdAt", jobs.iter().map(|job| job.created_at))
        .instant("dueAt", jobs.iter().map(|job| job.due_at));
    let mut values = Vec::new();
    let table = rows.table(backend, &mut values);
    let sql = format!(
        r#"INSERT INTO "GDPRJob" ("id","shopDomain","shopId","jobType","status","topic","provider","source","payload",
             "sealedPayload","bodyDigest","holdReason","errorMessage","attempts","fence","webhookId","eventId","triggeredAt",
             "createdAt","dueAt","scheduledAt","updatedAt")
           SELECT k."id",k."shopDomain",k."shopId",k."jobType",k."status",k."topic",k."provider",k."source",
             k."payload"{json},k."sealedPayload",k."bodyDigest",k."holdReason",k."errorMessage",0,0,k."webhookId",k."eventId",
             k."triggeredAt",k."createdAt",k."dueAt",k."createdAt",k."createdAt"
           FROM {table} AS k WHERE true ON CONFLICT DO NOTHING"#
    );
    Ok(conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?.rows_affected())
}

/// An instant `ahead_ms` from now as an SQL expression: by the database's own clock on PostgreSQL, so that workers
/// whose clocks disagree still agree on leases; by ours on SQLite, where there is one machine.
pub(super) fn from_now(backend: DbBackend, clock: &Clock, ahead_ms: i64, values: &mut Vec<Value>) -> String {
    if backend == DbBackend::Postgres {
        values.push(Value::from(clock.offset_ms() + ahead_ms));
        format!("(clock_timestamp() + ${} * interval '1 millisecond')", values.len())
    } else {
        values.push(Value::from(clock.now() + chrono::TimeDelta::milliseconds(ahead_ms)));
        format!("${}", values.len())
    }
}

/// Notes the plan that a claimed job would carry out. False when the claim no longer holds.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn note_plan(conn: &impl ConnectionTrait, job: &Fenced, hash: &str) -> Result<bool, StoreError> {
    let sql = format!(r#"UPDATE "GDPRJob" AS j SET "planHash"=$3 WHERE j."id"=$1 AND j."fence"=$2 AND {PROCESSING}"#);
    let values = vec![Value::from(job.id.as_str()), Value::from(job.fence), Value::from(hash)];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    Ok(conn.execute_raw(statement).await?.rows_affected() == 1)
}

/// Notes that an operator approved the plan that a job waits with.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn approve_plan(conn: &impl ConnectionTrait, id: &str, hash: &str) -> Result<(), StoreError> {
    let sql = r#"UPDATE "GDPRJob" SET "approvedPlan"=$2 WHERE "id"=$1 AND "planHash"=$2"#;
    let values = vec![Value::from(id), Value::from(hash)];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    super::error::exactly("approving a plan", 1, conn.execute_raw(statement).await?.rows_affected())
}

/// The sealed body of a job, with what it takes to read it.
#[derive(Clone, Debug)]
pub struct SealedBody {
    pub id: String,
    pub provider: String,
    pub topic: String,
    pub sealed: Option<Vec<u8>>,
}

/// Reads the sealed bodies of jobs.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn sealed_bodies(conn: &impl ConnectionTrait, ids: Vec<String>) -> Result<Vec<SealedBody>, StoreError> {
    let backend = conn.get_database_backend();
    let mut values = Vec::new();
    let wanted = Rows::new().text("wanted", ids).table(backend, &mut values);
    let sql = format!(
        r#"SELECT j."id","provider","topic","sealedPayload" FROM {wanted} AS k JOIN "GDPRJob" AS j ON j."id"=k."wanted""#
    );
    let rows = conn.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    rows.iter()
        .map(|row| {
            Ok(SealedBody {
                id: row.try_get("", "id")?,
                provider: row.try_get("", "provider")?,
                topic: row.try_get("", "topic")?,
                sealed: row.try_get("", "sealedPayload")?,
            })
        })
        .collect()
}

/// The first instant at which a waiting job becomes due, if any waits.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn next_due(store: &Store) -> Result<Option<DateTime<Utc>>, StoreError> {
    let sql = r#"SELECT "scheduledAt" FROM "GDPRJob" WHERE "status" IN ('queued','retrying')
                 ORDER BY "scheduledAt","id" LIMIT 1"#;
    let row = store.db().query_one_raw(Statement::from_string(store.backend(), sql)).await?;
    row.map(|row| row.try_get("", "scheduledAt").map_err(StoreError::from)).transpose()
}

/// Locks the rows of claims that are still ours until the transaction ends, and names them: the fence check that
/// every transaction of a job starts with. With `renew_ms` the lease is drawn out as well.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn hold_claims(
    conn: &impl ConnectionTrait,
    clock: &Clock,
    claims: &[Fenced],
    renew_ms: Option<i64>,
) -> Result<HashSet<String>, StoreError> {
    let backend = conn.get_database_backend();
    let mut values = Vec::new();
    let keys = fences(claims).table(backend, &mut values);
    let same = format!(r#"j."id"=k."keyId" AND j."fence"=k."keyFence" AND {PROCESSING}"#);
    let sql = if let Some(renew_ms) = renew_ms {
        let lease = from_now(backend, clock, renew_ms, &mut values);
        format!(r#"UPDATE "GDPRJob" AS j SET "leaseUntil"={lease} FROM {keys} AS k WHERE {same} RETURNING "id""#)
    } else {
        // SQLite has one writer, and this transaction is it: reading is enough.
        let lock = if backend == DbBackend::Postgres { "FOR NO KEY UPDATE OF j" } else { "" };
        format!(r#"SELECT j."id" FROM "GDPRJob" AS j JOIN {keys} AS k ON {same} ORDER BY j."id" {lock}"#)
    };
    ids(conn, sql, values).await
}

fn fences(claims: &[Fenced]) -> Rows {
    Rows::new().text("keyId", claims.iter().map(|c| c.id.clone())).int("keyFence", claims.iter().map(|c| c.fence))
}

async fn ids(conn: &impl ConnectionTrait, sql: String, values: Vec<Value>) -> Result<HashSet<String>, StoreError> {
    let rows = conn.query_all_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, values)).await?;
    rows.iter().map(|row| row.try_get("", "id").map_err(StoreError::from)).collect()
}

/// Stores the cumulative counters of jobs whose claims the caller holds, in the transaction of the deletes they count.
///
/// # Errors
/// [`StoreError::Count`] when a row is no longer there; otherwise when the database refuses or does not answer.
pub async fn save_progress(
    conn: &impl ConnectionTrait,
    progress: Vec<(Fenced, serde_json::Value)>,
) -> Result<(), StoreError> {
    if progress.is_empty() {
        return Ok(());
    }
    let backend = conn.get_database_backend();
    let json = if backend == DbBackend::Postgres { "::jsonb" } else { "" };
    let expected = progress.len() as u64;
    let (jobs, counters): (Vec<Fenced>, Vec<serde_json::Value>) = progress.into_iter().unzip();
    let mut values = Vec::new();
    let keys = fences(&jobs).text("counters", counters.iter().map(ToString::to_string)).table(backend, &mut values);
    let sql = format!(
        r#"UPDATE "GDPRJob" AS j SET "progress"=k."counters"{json} FROM {keys} AS k
           WHERE j."id"=k."keyId" AND j."fence"=k."keyFence" AND {PROCESSING}"#
    );
    let touched = conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?.rows_affected();
    super::error::exactly("saving the progress of claimed jobs", expected, touched)
}

/// Completes jobs whose claims are still ours, destroys their sealed bodies, and names those it completed.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn complete(
    conn: &impl ConnectionTrait,
    now: DateTime<Utc>,
    completions: &[Completion],
) -> Result<HashSet<String>, StoreError> {
    let backend = conn.get_database_backend();
    let (json, instant) = if backend == DbBackend::Postgres { ("::jsonb", "::timestamptz") } else { ("", "") };
    let mut values = vec![Value::from(now)];
    let keys = Rows::new()
        .text("keyId", completions.iter().map(|c| c.job.id.clone()))
        .int("keyFence", completions.iter().map(|c| c.job.fence))
        .text("outcome", completions.iter().map(|c| c.outcome.as_str()))
        .text("result", completions.iter().map(|c| c.result.to_string()))
        .text_or_null("verified", completions.iter().map(|c| c.verified_at.map(super::rows::instant_text)))
        .table(backend, &mut values);
    let sql = format!(
        r#"UPDATE "GDPRJob" AS j SET "status"='completed',"outcome"=k."outcome","result"=k."result"{json},
             "verifiedAt"=k."verified"{instant},"completedAt"=$1,"updatedAt"=$1,"leaseUntil"=NULL,"leaseOwner"=NULL,"progress"=NULL,"errorMessage"=NULL,
             "holdReason"=NULL,"sealedPayload"=NULL
           FROM {keys} AS k WHERE j."id"=k."keyId" AND j."fence"=k."keyFence" AND {PROCESSING}
           RETURNING "id""#
    );
    ids(conn, sql, values).await
}

/// Applies a status change to one job; with a fence, only while that claim still holds. False when the row was not
/// in that state any more, in which case nothing has changed.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn change_status(
    conn: &impl ConnectionTrait,
    now: DateTime<Utc>,
    id: &str,
    fence: Option<i64>,
    change: &StatusChange,
) -> Result<bool, StoreError> {
    let sql = r#"UPDATE "GDPRJob" SET "status"=$3,"attempts"="attempts"+$4,"scheduledAt"=COALESCE($5,"scheduledAt"),
          "holdReason"=$6,"errorMessage"=COALESCE($7,"errorMessage"),"outcome"=$8,"leaseUntil"=NULL,"leaseOwner"=NULL,
          "completedAt"=$9,"updatedAt"=$10,"sealedPayload"=CASE WHEN $11 THEN NULL ELSE "sealedPayload" END
        WHERE "id"=$1 AND "status"=$2 AND ($12<0 OR "fence"=$12)"#;
    let values = vec![
        Value::from(id),
        Value::from(change.from.as_str()),
        Value::from(change.to.as_str()),
        Value::from(change.attempts),
        Value::from(change.scheduled_at),
        Value::from(change.hold_reason.clone()),
        Value::from(change.error_message.clone()),
        Value::from(change.outcome.map(|outcome| outcome.as_str().to_owned())),
        Value::from(change.ends.then_some(now)),
        Value::from(now),
        Value::from(change.ends),
        Value::from(fence.unwrap_or(-1)),
    ];
    let backend = conn.get_database_backend();
    Ok(conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?.rows_affected() == 1)
}

/// A claim whose worker did not come back in time.
#[derive(Debug)]
pub struct Expired {
    pub job: Fenced,
    pub attempts: i32,
    pub shop_domain: String,
}

/// Locks up to `limit` jobs whose lease has run out; those in the middle of a transaction are passed over.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn expired(conn: &impl ConnectionTrait, clock: &Clock, limit: u64) -> Result<Vec<Expired>, StoreError> {
    let backend = conn.get_database_backend();
    let mut values = vec![Value::from(limit.cast_signed())];
    let now = from_now(backend, clock, 0, &mut values);
    let skip_locked = if backend == DbBackend::Postgres { "FOR UPDATE SKIP LOCKED" } else { "" };
    let sql = format!(
        r#"SELECT "id","fence","attempts","shopDomain" FROM "GDPRJob" WHERE "status"='processing' AND "leaseUntil"<{now}
           ORDER BY "leaseUntil" LIMIT $1 {skip_locked}"#
    );
    let rows = conn.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    // One that does not read back must keep no other from being rescued.
    let read = rows.iter().filter_map(|row| expired_claim(row).inspect_err(log_unreadable).ok());
    Ok(read.collect())
}

fn expired_claim(row: &QueryResult) -> Result<Expired, StoreError> {
    Ok(Expired {
        job: Fenced { id: row.try_get("", "id")?, fence: row.try_get("", "fence")? },
        attempts: row.try_get("", "attempts")?,
        // For the audit entry alone.
        shop_domain: row.try_get("", "shopDomain").unwrap_or_default(),
    })
}

/// Tells of a claimed row that nobody can name, or say anything about.
fn log_unreadable(error: &StoreError) {
    tracing::error!(error = %error, "a claimed row of \"GDPRJob\" has no id, fence or attempts that read back");
}
