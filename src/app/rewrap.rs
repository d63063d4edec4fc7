//! Wraps content keys anew after the key-encryption key has changed. What they sealed is not touched.

use std::collections::BTreeMap;

use entity::audit_log::Action;
use serde_json::json;

use crate::audit::{self, Actor, Entry};
use crate::clock::Clock;
use crate::seal::{ContentKeyError, Keyring, WrappedKey};
use crate::store::{Store, content_key};

/// Keys of one transaction.
const BATCH: u64 = 100;

/// Wraps every living content key with the current key-encryption key of `keyring`, each with an entry in the audit log;
/// returns how many there were, by the key that wrapped them before. To be killed does no harm: what is done is done, and the
/// next call does the rest.
///
/// # Errors
/// When `keyring` lacks a key that wraps one of them, or the database does not answer.
pub async fn rewrap(
    store: &Store,
    clock: &Clock,
    keyring: &Keyring,
    actor: &Actor,
) -> Result<BTreeMap<String, u64>, ContentKeyError> {
    let mut rewrapped = BTreeMap::new();
    loop {
        let tx = store.begin_write().await?;
        let rows = content_key::wrapped_by_others(&*tx, keyring.encryption_key_id(), BATCH).await?;
        if rows.is_empty() {
            tx.rollback().await?;
            return Ok(rewrapped);
        }
        let mut entries = Vec::with_capacity(rows.len());
        for row in rows {
            let before = WrappedKey { kek_id: row.kek_id, bytes: row.wrapped_key.unwrap_or_default() };
            let secret = keyring.unwrap(row.id.as_bytes(), &before)?;
            let after = keyring.wrap(row.id.as_bytes(), &secret);
            if !content_key::rewrap(&*tx, &row.id, &before.kek_id, (after.bytes, &after.kek_id)).await? {
                // Destroyed, or wrapped anew by somebody else, since it was read.
                continue;
            }
            entries.push(Entry {
                actor: actor.clone(),
                action: Action::Update,
                resource_type: "SealingKey",
                resource_id: row.id,
                shop_domain: None,
                metadata: json!({ "keyEncryptionKey": after.kek_id, "before": before.kek_id }),
            });
            *rewrapped.entry(before.kek_id).or_default() += 1;
        }
        audit::append(&*tx, clock.now(), entries).await?;
        tx.commit().await?;
    }
}
