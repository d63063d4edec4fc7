//! Finds out whom a job is about: what its row tells, and what only its sealed body knows, opened in memory.

use serde_json::Value;

use super::Identifier;
use crate::seal::{Aad, ContentKeyError, ContentKeys};
use crate::store::StoreError;
use crate::store::gdpr_job::holding::Body;
use crate::webhook::{ExternalId, PROVIDERS, Subject, UnverifiedWebhook, VerifiedWebhook, WebhookHeaders};

/// Whom a job is about.
pub(super) enum Person {
    /// All of their identifiers.
    Known(Vec<Identifier>),
    /// The sealed body cannot be read any more: nobody can say whom it names.
    Unknown,
}

/// Reads a job's row, and opens its sealed body when it has one.
///
/// # Errors
/// When the database that keeps the content keys does not answer.
pub(super) async fn of_job(keys: &ContentKeys, job: &Body) -> Result<Person, StoreError> {
    let mut identifiers = of_payload(&job.payload);
    if let Some(sealed) = &job.sealed {
        let aad = Aad { table: "GDPRJob", row: &job.id, column: "sealedPayload", shop: &job.shop_domain };
        let body = match keys.open(&aad, sealed).await {
            Ok(body) => body,
            Err(ContentKeyError::Store(error)) => return Err(error),
            Err(ContentKeyError::Seal(_) | ContentKeyError::Gone(_)) => return Ok(Person::Unknown),
        };
        let Some(provider) = PROVIDERS.iter().find(|provider| provider.name == job.provider) else {
            return Ok(Person::Unknown);
        };
        let headers = WebhookHeaders { topic: Some(job.topic.clone()), ..WebhookHeaders::default() };
        let webhook = UnverifiedWebhook { provider, headers, path_topic: None, body };
        let Ok(delivery) = VerifiedWebhook::vouched_for_by_seal(webhook).read() else { return Ok(Person::Unknown) };
        identifiers.extend(Identifier::all(&delivery.subject, &delivery.orders));
    }
    Ok(Person::Known(identifiers))
}

/// The ids that the row keeps in the clear.
fn of_payload(payload: &Value) -> Vec<Identifier> {
    let id = |value: &Value| match value {
        Value::Number(number) => number.as_u64().map(ExternalId::Number),
        Value::String(text) => ExternalId::parse(text),
        _ => None,
    };
    let customer_id = payload.get("customer_id").and_then(id);
    let lists = ["orders_to_redact", "orders_requested"].iter().filter_map(|name| payload.get(*name)?.as_array());
    let orders: Vec<ExternalId> = lists.flatten().filter_map(id).collect();
    Identifier::all(&Subject { customer_id, ..Subject::default() }, &orders)
}
