//! Writes into the audit log which keys an installation works with.
//!
//! Keys are made in a file, where no transaction is: they are recorded by the first process that works with them.

use entity::audit_log::Action;
use serde_json::json;

use crate::audit::query::{self, Filter};
use crate::audit::{self, Actor, Entry};
use crate::clock::Clock;
use crate::evidence::receipt::Signer;
use crate::seal::Keyring;
use crate::store::{Store, StoreError};

/// What entries about a keys file are about. Their id is that of the public key.
pub const KEYRING: &str = "Keyring";

/// Records these keys, unless the log names them already; returns whether they were new.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn record(
    store: &Store,
    clock: &Clock,
    (keyring, signer): (&Keyring, &Signer),
    actor: Actor,
) -> Result<bool, StoreError> {
    let id = signer.public_key().id().to_owned();
    let filter = Filter { resource_type: Some(KEYRING.to_owned()), resource_id: Some(id.clone()), ..Filter::default() };
    if !query::page(store, &filter, None, 1).await?.0.is_empty() {
        return Ok(false);
    }
    let entry = Entry {
        actor,
        action: Action::Create,
        resource_type: KEYRING,
        resource_id: id,
        shop_domain: None,
        metadata: json!({ "signingKey": keyring.signing_seed().0, "digestKey": keyring.digest_key_id() }),
    };
    audit::record(store, clock, vec![entry]).await?;
    Ok(true)
}
