//! Appends to the audit log in the transaction of what it speaks of.
//!
//! An entry names who did what to which resource, and never holds personal data: actors are roles, providers and
//! token names, resources are our own ids. Appending waits for nobody: an entry gets its place in the tree later
//! (`evidence::log`).

#[cfg(feature = "bench")]
mod bench;
pub mod caller;
pub mod query;

use chrono::{DateTime, Utc};
use entity::audit_log::Action;
use sea_orm::ConnectionTrait;
use serde_json::Value;

use crate::clock::Clock;
use crate::store::audit_log::{self, NewEntry};
use crate::store::{Store, StoreError, id};

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A sender of webhooks, by its provider's name.
    Webhook(String),
    /// A part of Efface: `worker`, `rescue`, `scheduler`.
    System(&'static str),
    /// A person or program with a token, by the token's name; `cli` for the command line.
    Operator(String),
    /// Somebody who was not let in.
    Stranger,
    /// Whoever held an export link; nothing more is known of them.
    LinkHolder,
}

/// Something that was done.
#[derive(Clone, Debug)]
pub struct Entry {
    pub actor: Actor,
    pub action: Action,
    /// The table of what it was done to.
    pub resource_type: &'static str,
    pub resource_id: String,
    pub shop_domain: Option<String>,
    /// Facts without personal data.
    pub metadata: Value,
}

/// Appends entries, in their order. What a caller's request makes carries the caller's masked address ([`caller`]).
///
/// # Errors
/// When the database refuses or does not answer: then what they speak of must not commit either.
pub async fn append(conn: &impl ConnectionTrait, now: DateTime<Utc>, entries: Vec<Entry>) -> Result<(), StoreError> {
    let count = entries.len();
    #[cfg(feature = "bench")]
    if bench::is_switched_off() {
        caller::count(count);
        return Ok(());
    }
    let rows: Vec<NewEntry> = entries
        .into_iter()
        .map(|entry| {
            let (actor_type, actor_id) = match entry.actor {
                Actor::Webhook(provider) => ("webhook", provider),
                Actor::System(part) => ("system", part.to_owned()),
                Actor::Operator(name) => ("operator", name),
                Actor::Stranger => ("stranger", "unknown".to_owned()),
                Actor::LinkHolder => ("link", "holder".to_owned()),
            };
            NewEntry {
                id: id::row(),
                actor_type,
                actor_id,
                action: entry.action,
                resource_type: entry.resource_type,
                resource_id: entry.resource_id,
                shop_domain: entry.shop_domain,
                metadata: entry.metadata,
                ip_address: caller::address(),
                salt: rand::random(),
                created_at: now,
            }
        })
        .collect();
    audit_log::append(conn, &rows).await?;
    caller::count(count);
    Ok(())
}

/// Appends entries in a transaction of their own, for acts that change nothing else: reads, and what was refused.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn record(store: &Store, clock: &Clock, entries: Vec<Entry>) -> Result<(), StoreError> {
    let tx = store.begin_write().await?;
    append(&*tx, clock.now(), entries).await?;
    tx.commit().await
}
