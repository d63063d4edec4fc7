//! Rows of `"AuditLog"`: append only. [`place`] tells which have no place in the tree yet, [`span`] where the others stand,
//! [`query`] reads them, [`prune`] takes away what the tree's minimum index has passed; triggers refuse everything else.

pub mod place;
pub mod prune;
pub mod query;
pub mod span;

use chrono::{DateTime, Utc};
use entity::audit_log::Action;
use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::StoreError;
use super::rows::Rows;

/// An entry as it is appended.
#[derive(Debug)]
pub struct NewEntry {
    pub id: String,
    pub actor_type: &'static str,
    pub actor_id: String,
    pub action: Action,
    pub resource_type: &'static str,
    pub resource_id: String,
    pub shop_domain: Option<String>,
    pub metadata: serde_json::Value,
    pub ip_address: Option<String>,
    /// 32 random bytes.
    pub salt: [u8; 32],
    pub created_at: DateTime<Utc>,
}

/// Appends entries in the caller's transaction.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn append(conn: &impl ConnectionTrait, entries: &[NewEntry]) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    let backend = conn.get_database_backend();
    let json = if backend == DbBackend::Postgres { "::jsonb" } else { "" };
    let mut values = Vec::new();
    let table = Rows::new()
        .text("id", entries.iter().map(|e| e.id.clone()))
        .text("actorType", entries.iter().map(|e| e.actor_type))
        .text("actorId", entries.iter().map(|e| e.actor_id.clone()))
        .text("action", entries.iter().map(|e| e.action.as_str()))
        .text("resourceType", entries.iter().map(|e| e.resource_type))
        .text("resourceId", entries.iter().map(|e| e.resource_id.clone()))
        .text_or_null("shopDomain", entries.iter().map(|e| e.shop_domain.clone()))
        .text("metadata", entries.iter().map(|e| e.metadata.to_string()))
        .text_or_null("ipAddress", entries.iter().map(|e| e.ip_address.clone()))
        .bytes("salt", entries.iter().map(|e| e.salt.to_vec()))
        .instant("createdAt", entries.iter().map(|e| e.created_at))
        .table(backend, &mut values);
    let sql = format!(
        r#"INSERT INTO "AuditLog" ("id","actorType","actorId","action","resourceType","resourceId","shopDomain",
             "metadata","ipAddress","salt","createdAt")
           SELECT "id","actorType","actorId","action","resourceType","resourceId","shopDomain","metadata"{json},
             "ipAddress","salt","createdAt" FROM {table} AS k"#
    );
    let appended = conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?.rows_affected();
    super::error::exactly("appending to the audit log", entries.len() as u64, appended)
}
