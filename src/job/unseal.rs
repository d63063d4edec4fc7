//! Whom a job concerns: from its row, and, when the map asks, from its sealed payload, in memory only.

use entity::gdpr_job::JobType;
use serde_json::Value;

use crate::erasure::data_map::By;
use crate::erasure::subject::{Scope, Spelling, Target, UnreadablePayload, may_withhold};
use crate::seal::{Aad, ContentKeyError, ContentKeys, Pii};
use crate::store::StoreError;
use crate::store::gdpr_job::SealedBody;
use crate::suppression::{PARENT, child};
use crate::webhook::{ExternalId, PROVIDERS, Subject, UnverifiedWebhook, VerifiedWebhook, WebhookHeaders};

/// What hashed columns hold of somebody of whom only the hash is known.
type Stored = Vec<(By, Spelling, String)>;

/// Reads the target from what a job's row keeps in the clear.
///
/// # Errors
/// [`UnreadablePayload`] when the row makes no sense.
pub fn target(
    id: &str,
    job_type: JobType,
    shop_domain: &str,
    shop_number: Option<String>,
    payload: &Value,
) -> Result<Target, UnreadablePayload> {
    let subject = |key| Target::of_subject(id, shop_domain, payload, key);
    let target = match job_type {
        JobType::ShopRedact => Target::of_shop(shop_domain),
        JobType::CustomerRedact => subject("orders_to_redact")?,
        JobType::DataRequest => subject("orders_requested")?,
    };
    Ok(target.with_shop_number(shop_number))
}

/// Whether the identifiers of a job are partly in its sealed payload alone, whatever the map asks: what found the rows of a
/// child is there, and ids that the row does not keep.
pub fn is_partly_sealed(payload: &Value) -> bool {
    payload.get(PARENT).is_some() || may_withhold(payload)
}

/// Adds to a target what only the sealed payload has. Whole shops need nothing from it.
///
/// # Errors
/// When the database does not answer. A payload that cannot be opened or read is the inner error: without it the erasure
/// could miss rows, and must not be said to be complete.
pub async fn add_personal(
    keys: &ContentKeys,
    target: &mut Target,
    id: &str,
    payload: &Value,
    body: Option<SealedBody>,
) -> Result<Result<(), UnreadablePayload>, StoreError> {
    let Scope::Subject(subject) = &mut target.scope else { return Ok(Ok(())) };
    let (sealed, orders, stored) = match unseal(keys, id, &target.shop_domain, payload, body).await? {
        Ok(sealed) => sealed,
        Err(reason) => return Ok(Err(UnreadablePayload::sealed(id, reason))),
    };
    for (by, spelling, hash) in stored {
        subject.add_stored(by, spelling, hash);
    }
    let exposed = |personal: &Option<Pii<String>>| personal.as_ref().map(|personal| personal.expose().clone());
    subject.add_personal(exposed(&sealed.email).as_deref(), exposed(&sealed.phone).as_deref());
    let customers = sealed.customer_id.iter().map(|id| (By::CustomerId, id));
    for (by, id) in customers.chain(orders.iter().map(|id| (By::OrderId, id))).filter(|(_, id)| id.is_contact()) {
        subject.add_id(by, &id.as_text());
    }
    Ok(Ok(()))
}

async fn unseal(
    keys: &ContentKeys,
    id: &str,
    shop: &str,
    payload: &Value,
    body: Option<SealedBody>,
) -> Result<Result<(Subject, Vec<ExternalId>, Stored), &'static str>, StoreError> {
    let Some(SealedBody { provider, topic, sealed: Some(sealed), .. }) = body else {
        return Ok(Err("the body is not there any more"));
    };
    let aad = Aad { table: super::TABLE, row: id, column: "sealedPayload", shop };
    let body = match keys.open(&aad, &sealed).await {
        Ok(body) => body,
        Err(ContentKeyError::Store(error)) => return Err(error),
        Err(ContentKeyError::Gone(_)) => return Ok(Err("the key was destroyed")),
        Err(ContentKeyError::Seal(_)) => return Ok(Err("the seal is broken")),
    };
    let Some(provider) = PROVIDERS.iter().find(|known| known.name == provider) else {
        return Ok(Err("the provider is unknown"));
    };
    // A child of an erasure also has hashes as the app's columns hold them.
    let stored = if payload.get(PARENT).is_some() { child::stored(body.expose()) } else { Vec::new() };
    let headers = WebhookHeaders { topic: Some(topic), ..WebhookHeaders::default() };
    let webhook = UnverifiedWebhook { provider, headers, path_topic: None, body };
    let read = VerifiedWebhook::vouched_for_by_seal(webhook).read();
    Ok(read.map(|read| (read.subject, read.orders, stored)).map_err(|_| "the body does not read"))
}
