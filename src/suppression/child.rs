//! The job that erases late rows: a job like any other, with a result and a receipt of its own.
//!
//! Its row shows ids only, as every job's does. E-mail addresses, phone numbers and the hashes of columns stand in the sealed
//! body, which has the shape of a webhook's.

use chrono::{DateTime, Utc};
use entity::audit_log::Action;
use entity::gdpr_job::{JobStatus, JobType};
use entity::source::Source;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::late::Late;
use super::{PARENT, Suppression, SuppressionError};
use crate::audit::{Actor, Entry};
use crate::erasure::data_map::By;
use crate::erasure::progress::Progress;
use crate::erasure::subject::{Scope, Spelling, Subject};
use crate::erasure::traces::plain_kind;
use crate::seal::{Aad, ContentKey, seal};
use crate::store::gdpr_job::NewJob;
use crate::store::id;
use crate::webhook::{ExternalId, SHOPIFY, Topic};

/// The table of jobs, as seals and the audit log write it.
const JOBS: &str = "GDPRJob";

/// The field of a child's body that holds what stands in hashed columns.
const STORED: &str = "efface_stored";

/// A child that is to be recorded.
#[derive(Debug)]
pub struct Child {
    pub job: NewJob,
    /// What the worker must know of the shop, when nobody can look it up.
    pub progress: Option<Value>,
    pub entry: Entry,
}

impl Suppression {
    /// Makes the child of a tombstone whose rows were found.
    ///
    /// # Errors
    /// When there is no key to seal with.
    pub async fn child(
        &self,
        late: &Late,
        source: Source,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Child, SuppressionError> {
        let key = self.keys.current(entity::sealing_key::KeyPurpose::Payload).await?;
        let id = id::job();
        let (row, shop) = (&late.row, &late.row.shop_domain);
        let (job_type, topic, mut payload, body) = match &late.target.scope {
            Scope::Subject(subject) => {
                let (payload, body) = customer(subject);
                (JobType::CustomerRedact, Topic::CustomersRedact, payload, body)
            }
            Scope::Shop => (JobType::ShopRedact, Topic::ShopRedact, shop_payload(late), Map::new()),
        };
        let (body, sealed_payload) = sealed(&key, &id, late, body);
        payload.insert(PARENT.to_owned(), Value::from(row.job_id.as_str()));
        let progress = (late.progress != Progress::default()).then(|| late.progress.to_json());
        let entry = Entry {
            actor: actor.clone(),
            action: Action::Create,
            resource_type: JOBS,
            resource_id: id.clone(),
            shop_domain: Some(shop.clone()),
            metadata: json!({
                "jobType": job_type, "source": source, "parent": row.job_id, "rows": late.rows(),
                "sweep": (source == Source::Sweep).then_some(row.sweeps_done + 1), "holdReason": late.hold,
            }),
        };
        let job = NewJob {
            webhook_id: format!("{source} {} of {}", row.sweeps_done + 1, row.job_id),
            id,
            shop_domain: shop.clone(),
            shop_id: late.target.shop_number.clone(),
            job_type,
            status: if late.hold.is_some() { JobStatus::Held } else { JobStatus::Queued },
            topic: topic.as_str().to_owned(),
            provider: SHOPIFY.name.to_owned(),
            source,
            payload: Value::Object(payload),
            body_digest: hex::encode(self.keyring.digest("body", &[&body])),
            sealed_payload,
            hold_reason: late.hold.map(str::to_owned),
            error_message: None,
            event_id: None,
            triggered_at: None,
            created_at: now,
            due_at: now + self.settings.due,
        };
        Ok(Child { job, progress, entry })
    }
}

/// The body that the child's digest is made of, and the same sealed.
fn sealed(key: &ContentKey, id: &str, late: &Late, mut body: Map<String, Value>) -> (Zeroizing<Vec<u8>>, Vec<u8>) {
    body.insert("shop_domain".to_owned(), Value::from(late.row.shop_domain.as_str()));
    body.insert("shop_id".to_owned(), json!(late.target.shop_number));
    let body = Zeroizing::new(Value::Object(body).to_string().into_bytes());
    let aad = Aad { table: JOBS, row: id, column: "sealedPayload", shop: &late.row.shop_domain };
    let sealed = seal(key, &aad, &body);
    (body, sealed)
}

fn shop_payload(late: &Late) -> Map<String, Value> {
    let mut payload = Map::new();
    payload.insert("shop_id".to_owned(), json!(late.target.shop_number));
    payload.insert("shop_domain".to_owned(), Value::from(late.row.shop_domain.as_str()));
    payload
}

/// What the row shows, and what the body holds.
fn customer(subject: &Subject) -> (Map<String, Value>, Map<String, Value>) {
    let first = |of: By| subject.identifiers().find(|(by, _)| *by == of).map(|(_, value)| value.to_owned());
    let orders: Vec<&str> =
        subject.identifiers().filter(|(by, _)| *by == By::OrderId).map(|(_, order)| order).collect();
    let stored: Vec<Value> = subject
        .stored()
        .filter_map(|(by, spelling, hash)| {
            let spelling = match spelling {
                Spelling::Sha256 => "sha256".to_owned(),
                Spelling::Hmac(key) => format!("hmac:{key}"),
                _ => return None,
            };
            Some(json!([plain_kind(by), spelling, hash]))
        })
        .collect();
    let (mut payload, mut body) = (Map::new(), Map::new());
    // As of a webhook: an id that is an address or a number of somebody's stays in the body.
    let shown = |id: &str| {
        let is_contact = ExternalId::parse(id).is_some_and(|id| id.is_contact());
        if is_contact { Value::Null } else { Value::from(id) }
    };
    payload.insert("customer_id".to_owned(), first(By::CustomerId).as_deref().map_or(Value::Null, shown));
    payload.insert("orders_to_redact".to_owned(), orders.iter().copied().map(shown).collect());
    let customer = json!({ "id": first(By::CustomerId), "email": first(By::Email), "phone": first(By::Phone) });
    body.insert("customer".to_owned(), customer);
    body.insert("orders_to_redact".to_owned(), json!(orders));
    body.insert(STORED.to_owned(), Value::Array(stored));
    (payload, body)
}

/// What a child's body says of hashed columns; nothing in the body of a webhook.
pub fn stored(body: &[u8]) -> Vec<(By, Spelling, String)> {
    let Ok(Value::Object(mut body)) = serde_json::from_slice(body) else { return Vec::new() };
    let Some(Value::Array(stored)) = body.remove(STORED) else { return Vec::new() };
    let read = |entry: Value| {
        let [by, spelling, hash] = serde_json::from_value::<[String; 3]>(entry).ok()?;
        let by = [By::OrderId, By::CustomerId, By::Email, By::Phone].into_iter().find(|of| plain_kind(*of) == by)?;
        let spelling = match spelling.strip_prefix("hmac:") {
            Some(key) => Spelling::Hmac(key.to_owned()),
            None => Spelling::Sha256,
        };
        Some((by, spelling, hash))
    };
    stored.into_iter().filter_map(read).collect()
}
