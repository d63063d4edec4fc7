//! Rows of `"WebhookLog"`: what was received, so that a second delivery finds the first one's job.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use entity::source::Source;
use entity::webhook_log::WebhookStatus;
use sea_orm::{ConnectionTrait, Statement};

use super::StoreError;
use super::rows::Rows;

/// What identifies one delivery: shop, webhook id and topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeliveryKey {
    pub shop_domain: String,
    pub webhook_id: String,
    pub topic: String,
}

/// A webhook as intake writes it.
#[derive(Debug)]
pub struct NewWebhook {
    pub id: String,
    pub key: DeliveryKey,
    pub event_id: Option<String>,
    pub provider: String,
    pub source: Source,
    pub api_version: Option<String>,
    pub body_digest: String,
    /// Only of those that make a job.
    pub job_key: Option<String>,
    pub status: WebhookStatus,
    pub reason: Option<String>,
    /// None: the webhook makes no job.
    pub job_id: Option<String>,
    pub triggered_at: Option<DateTime<Utc>>,
    pub received_at: DateTime<Utc>,
}

/// A webhook that is recorded already.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub body_digest: String,
    pub job_id: Option<String>,
}

/// Looks up which of these deliveries are recorded.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn recorded(
    conn: &impl ConnectionTrait,
    keys: &[&DeliveryKey],
) -> Result<HashMap<DeliveryKey, Recorded>, StoreError> {
    let backend = conn.get_database_backend();
    let mut values = Vec::new();
    let table = Rows::new()
        .text("shop", keys.iter().map(|key| key.shop_domain.clone()))
        .text("webhook", keys.iter().map(|key| key.webhook_id.clone()))
        .text("of", keys.iter().map(|key| key.topic.clone()))
        .table(backend, &mut values);
    let sql = format!(
        r#"SELECT w."shopDomain",w."webhookId",w."topic",w."bodyDigest",w."jobId" FROM {table} AS k
           JOIN "WebhookLog" AS w ON w."shopDomain"=k."shop" AND w."webhookId"=k."webhook" AND w."topic"=k."of""#
    );
    let rows = conn.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    rows.iter()
        .map(|row| {
            let key = DeliveryKey {
                shop_domain: row.try_get("", "shopDomain")?,
                webhook_id: row.try_get("", "webhookId")?,
                topic: row.try_get("", "topic")?,
            };
            let recorded = Recorded { body_digest: row.try_get("", "bodyDigest")?, job_id: row.try_get("", "jobId")? };
            Ok((key, recorded))
        })
        .collect()
}

/// Looks up the jobs of events that made one already, by job key.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn jobs_of(
    conn: &impl ConnectionTrait,
    job_keys: Vec<String>,
) -> Result<HashMap<String, String>, StoreError> {
    if job_keys.is_empty() {
        return Ok(HashMap::new());
    }
    let backend = conn.get_database_backend();
    let mut values = Vec::new();
    let table = Rows::new().text("wanted", job_keys).table(backend, &mut values);
    let sql = format!(
        r#"SELECT w."jobKey",w."jobId" FROM {table} AS k JOIN "WebhookLog" AS w ON w."jobKey"=k."wanted"
           WHERE w."jobId" IS NOT NULL"#
    );
    let rows = conn.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    rows.iter().map(|row| Ok((row.try_get("", "jobKey")?, row.try_get("", "jobId")?))).collect()
}

/// Inserts webhooks; one that another transaction recorded first is left alone. Returns how many were inserted.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn insert(conn: &impl ConnectionTrait, webhooks: &[NewWebhook]) -> Result<u64, StoreError> {
    if webhooks.is_empty() {
        return Ok(0);
    }
    let backend = conn.get_database_backend();
    let mut values = Vec::new();
    let table = Rows::new()
        .text("id", webhooks.iter().map(|w| w.id.clone()))
        .text("shopDomain", webhooks.iter().map(|w| w.key.shop_domain.clone()))
        .text("webhookId", webhooks.iter().map(|w| w.key.webhook_id.clone()))
        .text("topic", webhooks.iter().map(|w| w.key.topic.clone()))
        .text_or_null("eventId", webhooks.iter().map(|w| w.event_id.clone()))
        .text("provider", webhooks.iter().map(|w| w.provider.clone()))
        .text("source", webhooks.iter().map(|w| w.source.as_str()))
        .text_or_null("apiVersion", webhooks.iter().map(|w| w.api_version.clone()))
        .text("bodyDigest", webhooks.iter().map(|w| w.body_digest.clone()))
        .text_or_null("jobKey", webhooks.iter().map(|w| w.job_key.clone()))
        .text("status", webhooks.iter().map(|w| w.status.as_str()))
        .text_or_null("reason", webhooks.iter().map(|w| w.reason.clone()))
        .text_or_null("jobId", webhooks.iter().map(|w| w.job_id.clone()))
        .instant("triggeredAt", webhooks.iter().map(|w| w.triggered_at.unwrap_or(w.received_at)))
        .instant("receivedAt", webhooks.iter().map(|w| w.received_at))
        .table(backend, &mut values);
    let columns = r#""id","shopDomain","webhookId","topic","eventId","provider","source","apiVersion","bodyDigest",
        "jobKey","status","reason","jobId","triggeredAt","receivedAt""#;
    let sql = format!(
        r#"INSERT INTO "WebhookLog" ({columns},"deliveries") SELECT {columns},1 FROM {table} AS k WHERE true
           ON CONFLICT DO NOTHING"#
    );
    Ok(conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?.rows_affected())
}

/// Counts further deliveries of webhooks that are recorded already.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn count_deliveries(conn: &impl ConnectionTrait, keys: &[&DeliveryKey]) -> Result<(), StoreError> {
    if keys.is_empty() {
        return Ok(());
    }
    let backend = conn.get_database_backend();
    let mut per_key: Vec<(&DeliveryKey, i64)> = Vec::new();
    let mut sorted = keys.to_vec();
    // One order of locks for all transactions.
    sorted.sort_unstable_by_key(|key| (&key.shop_domain, &key.webhook_id, &key.topic));
    for key in sorted {
        match per_key.last_mut() {
            Some((last, n)) if *last == key => *n += 1,
            _ => per_key.push((key, 1)),
        }
    }
    let mut values = Vec::new();
    let table = Rows::new()
        .text("shop", per_key.iter().map(|(key, _)| key.shop_domain.clone()))
        .text("webhook", per_key.iter().map(|(key, _)| key.webhook_id.clone()))
        .text("of", per_key.iter().map(|(key, _)| key.topic.clone()))
        .int("more", per_key.iter().map(|(_, n)| *n))
        .table(backend, &mut values);
    let cast = if backend == sea_orm::DbBackend::Postgres { "::int4" } else { "" };
    let sql = format!(
        r#"UPDATE "WebhookLog" AS w SET "deliveries"=w."deliveries"+k."more"{cast} FROM {table} AS k
           WHERE w."shopDomain"=k."shop" AND w."webhookId"=k."webhook" AND w."topic"=k."of""#
    );
    conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    Ok(())
}
