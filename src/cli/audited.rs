//! Records what a person at the command line looked at or took out, before it is shown: without the entry nothing is.
//!
//! What changes something is recorded by its room, in the transaction of the change, with the actor [`OPERATOR`].

use entity::audit_log::Action;
use serde_json::json;

use crate::app::open_store;
use crate::audit::{self, Actor, Entry};
use crate::clock::Clock;
use crate::config::Config;
use crate::store::{Store, StoreError};
use crate::webhook::shop_domain;

/// Who acts on the command line, as rows and audit log name it.
pub const OPERATOR: &str = "cli";
/// The migration with which entries have all that they are written with.
const LOG_IS_THERE: &str = "m20261121_000010_audit_tree";

/// What was looked at or taken out.
#[derive(Debug)]
pub struct Seen<'a> {
    pub command: &'static str,
    pub action: Action,
    /// The table.
    pub what: &'static str,
    /// Its id, one of ours; `*` for many. Never what was typed: it could be a person's.
    pub id: &'a str,
    pub shop: Option<&'a str>,
}

/// The command line as an actor.
pub fn operator() -> Actor {
    Actor::Operator(OPERATOR.to_owned())
}

/// Appends the entry of what is about to be shown.
///
/// # Errors
/// When the database refuses or does not answer: then it must not be shown.
pub async fn seen(store: &Store, seen: Seen<'_>) -> Result<(), StoreError> {
    let entry = Entry {
        actor: operator(),
        action: seen.action,
        resource_type: seen.what,
        resource_id: seen.id.to_owned(),
        // A person may have typed anything: what is no shop's domain does not get into the log.
        shop_domain: seen.shop.and_then(shop_domain),
        metadata: json!({ "command": seen.command }),
    };
    audit::record(store, &Clock::system(), vec![entry]).await
}

/// The database of the configuration with its log, for commands that need none: no SQLite file is made for an entry.
///
/// # Errors
/// When it does not answer.
pub async fn log_at_hand(config: &Config) -> anyhow::Result<Option<Store>> {
    let is_missing = config.database.sqlite_file().is_some_and(|file| !file.exists());
    if is_missing || config.database.url.expose().contains(":memory:") {
        return Ok(None);
    }
    let store = open_store(config).await?;
    Ok(has_log(config, &store).await?.then_some(store))
}

/// Whether the tables of the log are there.
///
/// # Errors
/// When the database does not answer.
pub async fn has_log(config: &Config, store: &Store) -> anyhow::Result<bool> {
    let steps = migration::status(store.db(), config.database.reference_schema).await?;
    Ok(steps.iter().any(|step| step.applied && step.name == LOG_IS_THERE))
}
