//! Turns verified webhooks into jobs, once.
//!
//! A batch is one transaction: `"WebhookLog"`, `"GDPRJob"` and audit entries commit together or not at all. The unique
//! keys of `"WebhookLog"` decide races between processes; whoever comes second starts over and finds the first.
//!
//! News that asks for no job takes a transaction of its own: see `intake/uninstallation.rs`.

mod uninstallation;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use entity::audit_log::Action;
use entity::gdpr_job::{JobStatus, JobType};
use entity::sealing_key::KeyPurpose;
use entity::source::Source;
use entity::webhook_log::WebhookStatus;
use serde_json::{Value, json};

use crate::audit::{self, Actor, Entry};
use crate::clock::{Clock, rfc3339};
use crate::evidence::pseudonym::Pseudonyms;
use crate::job;
use crate::job::wake::Wake;
use crate::seal::{Aad, ContentKey, ContentKeyError, ContentKeys, Keyring, seal};
use crate::store::gdpr_job::{self, NewJob};
use crate::store::target::ShopTable;
use crate::store::webhook_log::{self, DeliveryKey, NewWebhook, Recorded};
use crate::store::{Store, StoreError, id};
use crate::webhook::{Delivery, ExternalId, Topic};

/// How often a batch is started over because another process recorded one of its webhooks at the same time.
const RACES_MAX: u32 = 8;

/// The body does not fit its topic or its sender.
const PAYLOAD_MISMATCH: &str = "payload_mismatch";
/// An earlier webhook with the same id has another body.
const WEBHOOK_ID_CONFLICT: &str = "webhook_id_conflict";
/// Why intake holds a job: what the webhook says does not fit together. The row's `errorMessage` says what.
pub const MISFITS: [&str; 2] = [PAYLOAD_MISMATCH, WEBHOOK_ID_CONFLICT];

/// Why a batch was not taken: nothing of it is recorded.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the webhook cannot be sealed: {0}")]
    Key(#[from] ContentKeyError),
    /// Other processes recorded the same webhooks again and again.
    #[error("the batch kept meeting others; try again")]
    Contended,
}

/// A verified webhook at the door.
#[derive(Debug)]
pub struct Arrival {
    pub delivery: Delivery,
    pub source: Source,
    /// When the door received it: the duty's time runs from here.
    pub received_at: DateTime<Utc>,
}

/// What became of an arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The job that carries the duty; none when the topic asks for no job.
    pub job_id: Option<String>,
    /// Whether an earlier webhook had made the job, or told the same.
    pub duplicate: bool,
}

/// The room's tools. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Intake {
    store: Store,
    keyring: Arc<Keyring>,
    pseudonyms: Arc<Pseudonyms>,
    keys: ContentKeys,
    clock: Clock,
    shop: Option<ShopTable>,
    due: TimeDelta,
    wake: Wake,
}

/// An arrival with everything that can be worked out without the database.
struct Prepared {
    arrival: Arrival,
    key: DeliveryKey,
    body_digest: String,
    job_key: String,
}

/// Rows of one transaction.
#[derive(Default)]
struct Rows {
    webhooks: Vec<NewWebhook>,
    jobs: Vec<NewJob>,
    entries: Vec<Entry>,
}

impl Intake {
    /// `shop` is the table of shops, if there is one. Jobs are due `due_days` after receipt (GDPR Art. 12(3): within one month; Shopify: 30 days).
    pub fn new(
        store: Store,
        keyring: Arc<Keyring>,
        keys: ContentKeys,
        clock: Clock,
        shop: Option<ShopTable>,
        due_days: u32,
        wake: Wake,
    ) -> Self {
        let pseudonyms = Arc::new(Pseudonyms::new(&keyring));
        Self { store, keyring, pseudonyms, keys, clock, shop, due: TimeDelta::days(i64::from(due_days)), wake }
    }

    /// Records a batch. The answers stand in the order of the arrivals.
    ///
    /// # Errors
    /// See [`IntakeError`]: nothing of the batch is recorded then, and the senders must be told so.
    pub async fn accept(&self, arrivals: Vec<Arrival>) -> Result<Vec<Accepted>, IntakeError> {
        if arrivals.iter().all(|arrival| arrival.delivery.topic.is_duty()) {
            return self.accept_duties(arrivals).await;
        }
        let order: Vec<bool> = arrivals.iter().map(|arrival| arrival.delivery.topic.is_duty()).collect();
        let (duties, news): (Vec<_>, Vec<_>) = arrivals.into_iter().partition(|a| a.delivery.topic.is_duty());
        // A duty that is recorded and not acknowledged comes again as a duplicate, and no harm is done.
        let duties = if duties.is_empty() { Vec::new() } else { self.accept_duties(duties).await? };
        let (mut duties, mut news) = (duties.into_iter(), self.accept_news(news).await?.into_iter());
        Ok(order.into_iter().filter_map(|is_duty| if is_duty { duties.next() } else { news.next() }).collect())
    }

    async fn accept_duties(&self, arrivals: Vec<Arrival>) -> Result<Vec<Accepted>, IntakeError> {
        let key = self.keys.current(KeyPurpose::Payload).await?;
        let prepared: Vec<Prepared> = arrivals.into_iter().map(|arrival| self.prepare(arrival)).collect();
        for _ in 0..RACES_MAX {
            match self.try_accept(&prepared, &key).await {
                Ok(Some(accepted)) => {
                    count(&prepared, &accepted);
                    if accepted.iter().any(|accepted| !accepted.duplicate) {
                        self.wake.ring();
                    }
                    return Ok(accepted);
                }
                // Somebody recorded one of these a moment ago: look again, and find it.
                Ok(None) | Err(IntakeError::Store(StoreError::Conflict(_))) => {}
                Err(error) => return Err(error),
            }
        }
        Err(IntakeError::Contended)
    }

    fn prepare(&self, arrival: Arrival) -> Prepared {
        let delivery = &arrival.delivery;
        let body_digest = hex::encode(self.keyring.digest("body", &[delivery.body.expose()]));
        let key = DeliveryKey {
            shop_domain: delivery.shop_domain.clone(),
            webhook_id: delivery.webhook_id.clone().unwrap_or_else(|| format!("body-{body_digest}")),
            topic: delivery.topic.as_str().to_owned(),
        };
        let (kind, event) = match &delivery.event_id {
            Some(event) => ("event", event),
            None => ("webhook", &key.webhook_id),
        };
        let parts = [kind, event.as_str(), &key.topic, &key.shop_domain, &body_digest];
        let job_key = hex::encode(self.keyring.digest("job", &parts.map(str::as_bytes)));
        Prepared { arrival, key, body_digest, job_key }
    }

    /// A delivery's id as the audit log tells it: it comes from an unsigned header, which could hold anything.
    fn told(&self, key: &DeliveryKey) -> String {
        self.pseudonyms.unless_made_by_machine(&key.shop_domain, "webhook", &key.webhook_id)
    }

    async fn try_accept(&self, batch: &[Prepared], key: &ContentKey) -> Result<Option<Vec<Accepted>>, IntakeError> {
        let tx = self.store.begin_write().await?;
        let keys: Vec<&DeliveryKey> = batch.iter().map(|prepared| &prepared.key).collect();
        let mut recorded = webhook_log::recorded(&*tx, &keys).await?;
        let conflicting: Vec<DeliveryKey> = batch
            .iter()
            .filter(|p| recorded.get(&p.key).is_some_and(|known| known.body_digest != p.body_digest))
            .map(conflict_key)
            .collect();
        if !conflicting.is_empty() {
            recorded.extend(webhook_log::recorded(&*tx, &conflicting.iter().collect::<Vec<_>>()).await?);
        }
        let unseen = batch.iter().filter(|p| !recorded.contains_key(&p.key)).map(|p| p.job_key.clone()).collect();
        let mut jobs = webhook_log::jobs_of(&*tx, unseen).await?;

        let mut rows = Rows::default();
        let mut again: Vec<DeliveryKey> = Vec::new();
        let mut accepted = Vec::with_capacity(batch.len());
        for prepared in batch {
            let mut delivery_key = prepared.key.clone();
            let mut hold = prepared.arrival.delivery.mismatch.map(|_| PAYLOAD_MISMATCH);
            if recorded.get(&delivery_key).is_some_and(|known| known.body_digest != prepared.body_digest) {
                // The same webhook id with another body: one of the two is not what it says. A person decides.
                delivery_key = conflict_key(prepared);
                hold = Some(WEBHOOK_ID_CONFLICT);
            }
            if let Some(known) = recorded.get(&delivery_key) {
                accepted.push(Accepted { job_id: known.job_id.clone(), duplicate: true });
                again.push(delivery_key);
                continue;
            }
            let known_job = if hold == Some(WEBHOOK_ID_CONFLICT) { None } else { jobs.get(&prepared.job_key) };
            let duplicate = known_job.is_some();
            let job_id = known_job.cloned().unwrap_or_else(id::job);
            if !duplicate {
                rows.add_job(prepared, &job_id, &delivery_key, hold, (self, key));
                jobs.insert(prepared.job_key.clone(), job_id.clone());
            }
            rows.add_webhook(prepared, &job_id, &delivery_key, hold, duplicate);
            let body_digest = prepared.body_digest.clone();
            recorded.insert(delivery_key, Recorded { body_digest, job_id: Some(job_id.clone()) });
            accepted.push(Accepted { job_id: Some(job_id), duplicate });
        }
        // One order of unique keys for all transactions: those that meet wait for each other instead of deadlocking.
        rows.webhooks.sort_unstable_by(|a, b| {
            (&a.key.shop_domain, &a.key.webhook_id).cmp(&(&b.key.shop_domain, &b.key.webhook_id))
        });
        if webhook_log::insert(&*tx, &rows.webhooks).await? != rows.webhooks.len() as u64 {
            tx.rollback().await?;
            return Ok(None);
        }
        let made = rows.jobs.len() as u64;
        crate::store::error::exactly("recording jobs", made, gdpr_job::insert(&*tx, rows.jobs).await?)?;
        webhook_log::count_deliveries(&*tx, &again.iter().collect::<Vec<_>>()).await?;
        audit::append(&*tx, self.clock.now(), rows.entries).await?;
        tx.commit().await?;
        Ok(Some(accepted))
    }
}

/// Where the second body of a webhook id is recorded.
fn conflict_key(prepared: &Prepared) -> DeliveryKey {
    let mut key = prepared.key.clone();
    key.webhook_id = format!("{}#{}", key.webhook_id, &prepared.body_digest[..16]);
    key
}

impl Rows {
    fn add_webhook(
        &mut self,
        prepared: &Prepared,
        job_id: &str,
        key: &DeliveryKey,
        hold: Option<&str>,
        duplicate: bool,
    ) {
        let delivery = &prepared.arrival.delivery;
        self.webhooks.push(NewWebhook {
            id: id::row(),
            key: key.clone(),
            event_id: delivery.event_id.clone(),
            provider: delivery.provider.to_owned(),
            source: prepared.arrival.source,
            api_version: delivery.api_version.clone(),
            body_digest: prepared.body_digest.clone(),
            job_key: (!duplicate && hold != Some(WEBHOOK_ID_CONFLICT)).then(|| prepared.job_key.clone()),
            status: if duplicate { WebhookStatus::Duplicate } else { WebhookStatus::Accepted },
            reason: hold.map(str::to_owned),
            job_id: Some(job_id.to_owned()),
            triggered_at: delivery.triggered_at,
            received_at: prepared.arrival.received_at,
        });
    }

    fn add_job(
        &mut self,
        prepared: &Prepared,
        job_id: &str,
        key: &DeliveryKey,
        hold: Option<&str>,
        (intake, content_key): (&Intake, &ContentKey),
    ) {
        let Prepared { arrival, body_digest, .. } = prepared;
        let delivery = &arrival.delivery;
        let Some(job_type) = job_type(delivery.topic) else { return };
        let aad = Aad { table: job::TABLE, row: job_id, column: "sealedPayload", shop: &delivery.shop_domain };
        self.jobs.push(NewJob {
            id: job_id.to_owned(),
            shop_domain: delivery.shop_domain.clone(),
            shop_id: delivery.shop_id.clone(),
            job_type,
            status: if hold.is_some() { JobStatus::Held } else { JobStatus::Queued },
            topic: delivery.topic.as_str().to_owned(),
            provider: delivery.provider.to_owned(),
            source: arrival.source,
            payload: payload(delivery),
            sealed_payload: seal(content_key, &aad, delivery.body.expose()),
            body_digest: body_digest.clone(),
            hold_reason: hold.map(str::to_owned),
            error_message: hold.map(|_| match delivery.mismatch {
                Some(mismatch) => mismatch.to_string(),
                None => "an earlier webhook with this id has another body".to_owned(),
            }),
            webhook_id: key.webhook_id.clone(),
            event_id: delivery.event_id.clone(),
            triggered_at: delivery.triggered_at,
            created_at: arrival.received_at,
            due_at: arrival.received_at + intake.due,
        });
        self.entries.push(Entry {
            actor: if arrival.source == Source::Operator {
                Actor::Operator(delivery.provider.to_owned())
            } else {
                Actor::Webhook(delivery.provider.to_owned())
            },
            action: Action::Create,
            resource_type: job::TABLE,
            resource_id: job_id.to_owned(),
            shop_domain: Some(delivery.shop_domain.clone()),
            metadata: json!({
                "jobType": job_type,
                "source": arrival.source,
                "webhookId": intake.told(key),
                "receivedAt": rfc3339(arrival.received_at),
                "holdReason": hold,
                "mismatch": delivery.mismatch.map(|mismatch| mismatch.to_string()),
            }),
        });
    }
}

/// What a topic asks for, if it asks for anything.
fn job_type(topic: Topic) -> Option<JobType> {
    match topic {
        Topic::CustomersDataRequest => Some(JobType::DataRequest),
        Topic::CustomersRedact => Some(JobType::CustomerRedact),
        Topic::ShopRedact => Some(JobType::ShopRedact),
        Topic::AppUninstalled => None,
    }
}

/// What a job's row keeps in the clear: identifiers, never an e-mail or a phone number.
fn payload(delivery: &Delivery) -> Value {
    let shown = |id: &ExternalId| if id.is_contact() { Value::Null } else { id.to_json() };
    let customer = delivery.subject.customer_id.as_ref().map(shown);
    let orders: Vec<Value> = delivery.orders.iter().map(shown).collect();
    match delivery.topic {
        Topic::CustomersRedact => json!({ "customer_id": customer, "orders_to_redact": orders }),
        Topic::CustomersDataRequest => json!({
            "customer_id": customer,
            "orders_requested": orders,
            "data_request_id": delivery.data_request_id.as_ref().map(shown),
        }),
        Topic::ShopRedact | Topic::AppUninstalled => {
            json!({ "shop_id": delivery.shop_id, "shop_domain": delivery.shop_domain })
        }
    }
}

fn count(batch: &[Prepared], accepted: &[Accepted]) {
    for (prepared, accepted) in batch.iter().zip(accepted) {
        let delivery = &prepared.arrival.delivery;
        let duplicate = if accepted.duplicate { "true" } else { "false" };
        metrics::counter!("efface_intake_total", "topic" => delivery.topic.as_str(), "duplicate" => duplicate)
            .increment(1);
        if !delivery.unknown_fields.is_empty() {
            tracing::warn!(topic = delivery.topic.as_str(), fields = ?delivery.unknown_fields,
                "a webhook has fields that this version does not know; they are kept sealed and otherwise ignored");
        }
        if let Some(mismatch) = delivery.mismatch {
            tracing::warn!(job.id = accepted.job_id, reason = %mismatch, "a webhook does not fit its topic; its job is held");
        }
    }
}
