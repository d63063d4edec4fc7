//! Takes due jobs under a lease, in batches.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait as _, DbBackend, QueryResult, Statement, Value};

use super::{Fenced, from_now, log_unreadable};
use crate::clock::Clock;
use crate::store::{Store, StoreError};

/// A job that this process holds a lease on.
#[derive(Clone, Debug, Default)]
pub struct Claimed {
    pub id: String,
    pub fence: i64,
    pub attempts: i32,
    pub shop_domain: String,
    pub shop_id: Option<String>,
    pub job_type: String,
    pub topic: String,
    pub provider: String,
    pub source: String,
    pub webhook_id: String,
    pub event_id: Option<String>,
    pub payload: serde_json::Value,
    /// Cumulative counters of earlier attempts, by result key.
    pub progress: Option<serde_json::Value>,
    /// The plan that an operator approved.
    pub approved_plan: Option<String>,
    pub created_at: DateTime<Utc>,
    pub due_at: DateTime<Utc>,
}

/// What a look at the queue has claimed.
#[derive(Debug, Default)]
pub struct Claims {
    pub good: Vec<Claimed>,
    /// Rows that do not read back, so that nobody can work them: only what [`super::change_status`] asks for is there.
    pub unreadable: Vec<(Claimed, StoreError)>,
}

impl Claimed {
    /// The claim without its contents.
    pub fn fenced(&self) -> Fenced {
        Fenced { id: self.id.clone(), fence: self.fence }
    }
}

/// Takes up to `limit` due jobs under a lease of `lease_ms` milliseconds, oldest due first. A row that does not read back
/// costs its neighbours nothing.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn claim(store: &Store, clock: &Clock, owner: &str, lease_ms: i64, limit: u64) -> Result<Claims, StoreError> {
    let backend = store.backend();
    let mut values = vec![Value::from(clock.now()), Value::from(owner), Value::from(limit.cast_signed())];
    let lease = from_now(backend, clock, lease_ms, &mut values);
    let skip_locked = if backend == DbBackend::Postgres { "FOR UPDATE SKIP LOCKED" } else { "" };
    let sql = format!(
        r#"WITH due AS MATERIALIZED (SELECT "id" AS "dueId" FROM "GDPRJob"
             WHERE "status" IN ('queued','retrying') AND "scheduledAt"<=$1
             ORDER BY "scheduledAt","id" LIMIT $3 {skip_locked})
           UPDATE "GDPRJob" SET "status"='processing',"fence"="fence"+1,"attempts"="attempts"+1,"leaseUntil"={lease},
             "leaseOwner"=$2,"processedAt"=$1,"updatedAt"=$1
           FROM due WHERE "id"="dueId"
           RETURNING "id","fence","attempts","shopDomain","shopId","jobType","topic","provider","source","webhookId",
             "eventId","payload","progress","approvedPlan","createdAt","dueAt""#
    );
    let tx = store.begin_write().await?;
    let rows = tx.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    tx.commit().await?;
    let mut claims = Claims::default();
    for row in &rows {
        // The driver panics at an instant that chrono cannot hold, such as PostgreSQL's infinity.
        let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| claimed(row)));
        match read.unwrap_or_else(|_| Err(StoreError::Refused("an instant is out of range".to_owned()))) {
            Ok(claim) => claims.good.push(claim),
            Err(error) => match remains(row) {
                Ok(claim) => {
                    let error = error.of_row("GDPRJob", &claim.id);
                    claims.unreadable.push((claim, error));
                }
                // Nobody can say that it failed.
                Err(_) => log_unreadable(&error),
            },
        }
    }
    Ok(claims)
}

/// As much of a claim that does not read back as it takes to end it.
fn remains(row: &QueryResult) -> Result<Claimed, StoreError> {
    Ok(Claimed {
        id: row.try_get("", "id")?,
        fence: row.try_get("", "fence")?,
        attempts: row.try_get("", "attempts")?,
        // For the audit entry alone.
        shop_domain: row.try_get("", "shopDomain").unwrap_or_default(),
        ..Claimed::default()
    })
}

fn claimed(row: &QueryResult) -> Result<Claimed, StoreError> {
    Ok(Claimed {
        id: row.try_get("", "id")?,
        fence: row.try_get("", "fence")?,
        attempts: row.try_get("", "attempts")?,
        shop_domain: row.try_get("", "shopDomain")?,
        shop_id: row.try_get("", "shopId")?,
        job_type: row.try_get("", "jobType")?,
        topic: row.try_get("", "topic")?,
        provider: row.try_get("", "provider")?,
        source: row.try_get("", "source")?,
        webhook_id: row.try_get("", "webhookId")?,
        event_id: row.try_get("", "eventId")?,
        payload: row.try_get("", "payload")?,
        progress: row.try_get("", "progress")?,
        approved_plan: row.try_get("", "approvedPlan")?,
        created_at: row.try_get("", "createdAt")?,
        due_at: row.try_get("", "dueAt")?,
    })
}
