//! Takes in what RabbitMQ hands over: verify or unseal, record, and only then let the broker forget it.
//!
//! What nobody can read is parked, sealed, with a reason: it never blocks its neighbours and is never lost.

use entity::sealing_key::KeyPurpose;
use entity::source::Source;
use serde_json::json;

use super::carrier::{Carrier, Unpackable};
use crate::broker::{BatchUnavailable, CONTENT_TYPE_SEALED, Disposition, Incoming};
use crate::clock::Clock;
use crate::intake::{Arrival, Intake};
use crate::seal::{Aad, Pii, seal};
use crate::store::id;
use crate::webhook::{Provider, Secrets, Unauthentic, UnverifiedWebhook, WebhookHeaders};

/// The other side of the queue. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Receiver {
    carrier: Carrier,
    intake: Intake,
    secrets: Secrets,
    clock: Clock,
    /// Webhooks of one transaction at most.
    batch_max: usize,
}

/// A message of which something will never become a job. It is parked whole: what of it could be read is known by then.
struct Unreadable {
    reason: &'static str,
    message: Incoming,
}

/// What a message held: webhooks, and what of it nobody can read.
struct Read {
    arrivals: Vec<Arrival>,
    unreadable: Option<Unreadable>,
}

impl Receiver {
    /// Raw messages are verified with `secrets`, sealed ones are opened by `carrier`; `batch_max` webhooks at most share a
    /// transaction.
    pub fn new(carrier: Carrier, intake: Intake, secrets: Secrets, clock: Clock, batch_max: usize) -> Self {
        Self { carrier, intake, secrets, clock, batch_max: batch_max.max(1) }
    }

    /// Takes in a batch, in as many transactions as its webhooks need. One answer per message, in order.
    ///
    /// # Errors
    /// [`BatchUnavailable`] when the database does not answer: nothing may be acknowledged then.
    pub async fn receive(&self, batch: Vec<Incoming>) -> Result<Vec<Disposition>, BatchUnavailable> {
        let mut dispositions = Vec::with_capacity(batch.len());
        let mut arrivals = Vec::with_capacity(batch.len());
        for message in batch {
            let read = self.read(message).await?;
            arrivals.extend(read.arrivals);
            dispositions.push(match read.unreadable {
                None => Disposition::Done,
                Some(unreadable) => self.park(unreadable).await?,
            });
            while arrivals.len() > self.batch_max {
                let later = arrivals.split_off(self.batch_max);
                self.record(std::mem::replace(&mut arrivals, later)).await?;
            }
        }
        self.record(arrivals).await?;
        Ok(dispositions)
    }

    async fn record(&self, arrivals: Vec<Arrival>) -> Result<(), BatchUnavailable> {
        if !arrivals.is_empty() {
            self.intake.accept(arrivals).await.map_err(|error| unavailable(&error))?;
        }
        Ok(())
    }

    async fn read(&self, message: Incoming) -> Result<Read, BatchUnavailable> {
        let (arrivals, reason) = if message.content_type.as_deref() == Some(CONTENT_TYPE_SEALED) {
            match self.carrier.unpack(message.message_id.as_deref(), &message.body).await {
                Ok(unpacked) => (unpacked.arrivals, unpacked.unreadable),
                Err(Unpackable::Never(reason)) => (Vec::new(), Some(reason)),
                Err(Unpackable::NotNow(error)) => return Err(unavailable(&error)),
            }
        } else {
            match self.read_raw(&message) {
                Ok(arrival) => (vec![arrival], None),
                Err(reason) => (Vec::new(), Some(reason)),
            }
        };
        Ok(Read { arrivals, unreadable: reason.map(|reason| Unreadable { reason, message }) })
    }

    /// Reads a message that somebody else published: the exact body, the provider's headers, the signature with them.
    fn read_raw(&self, message: &Incoming) -> Result<Arrival, &'static str> {
        let header = |name: &str| message.headers.get(name).map(String::as_str);
        let provider = Provider::detect(&header).map_err(Unauthentic::code)?;
        let mut headers = WebhookHeaders::read(provider, header);
        if headers.topic.is_none() {
            // The routing key names the topic as well, with dots for slashes.
            headers.topic = Some(message.routing_key.replace('.', "/")).filter(|topic| !topic.is_empty());
        }
        let webhook = UnverifiedWebhook { provider, headers, path_topic: None, body: Pii::new(message.body.clone()) };
        let delivery = webhook.verify(&self.secrets).map_err(Unauthentic::code)?;
        let delivery = delivery.read().map_err(|error| error.code())?;
        Ok(Arrival { delivery, source: Source::Amqp, received_at: self.clock.now() })
    }

    /// Seals what could not be read, headers and all, for a person to look at.
    async fn park(&self, Unreadable { reason, message }: Unreadable) -> Result<Disposition, BatchUnavailable> {
        let key = self.carrier.keys().current(KeyPurpose::Transport).await.map_err(|error| unavailable(&error))?;
        let row = id::row();
        let head = json!({
            "contentType": message.content_type,
            "routingKey": message.routing_key,
            "messageId": message.message_id,
            "headers": message.headers,
        });
        let mut plain = head.to_string().into_bytes();
        plain.push(b'\n');
        plain.reserve_exact(message.body.len());
        plain.extend_from_slice(&message.body);
        let plain = Pii::new(plain);
        tracing::warn!(reason, parked = %row, "a message that nobody can read goes to the dead-letter queue");
        let aad = Aad { table: "efface.dead-letter", row: &row, column: "body", shop: "" };
        let sealed = seal(&key, &aad, plain.expose());
        Ok(Disposition::Park { reason, sealed, headers: vec![("x-efface-parked-id".to_owned(), row)] })
    }
}

fn unavailable(error: &dyn std::error::Error) -> BatchUnavailable {
    metrics::counter!("efface_intake_failed_total").increment(1);
    tracing::warn!(error = %error, "messages cannot be recorded right now; they stay in the queue");
    BatchUnavailable
}
