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
}

/// A message that will never become a job.
struct Unreadable {
    reason: &'static str,
    message: Incoming,
}

enum Read {
    Arrival(Box<Arrival>),
    Unreadable(Unreadable),
}

impl Receiver {
    /// Raw messages are verified with `secrets`, sealed ones are opened by `carrier`.
    pub fn new(carrier: Carrier, intake: Intake, secrets: Secrets, clock: Clock) -> Self {
        Self { carrier, intake, secrets, clock }
    }

    /// Takes in a batch. One answer per message, in order.
    ///
    /// # Errors
    /// [`BatchUnavailable`] when the database does not answer: nothing may be acknowledged then.
    pub async fn receive(&self, batch: Vec<Incoming>) -> Result<Vec<Disposition>, BatchUnavailable> {
        let mut dispositions = Vec::with_capacity(batch.len());
        let mut arrivals = Vec::with_capacity(batch.len());
        for message in batch {
            match self.read(message).await? {
                Read::Arrival(arrival) => {
                    arrivals.push(*arrival);
                    dispositions.push(Disposition::Done);
                }
                Read::Unreadable(unreadable) => dispositions.push(self.park(unreadable).await?),
            }
        }
        if !arrivals.is_empty() {
            self.intake.accept(arrivals).await.map_err(|error| unavailable(&error))?;
        }
        Ok(dispositions)
    }

    async fn read(&self, message: Incoming) -> Result<Read, BatchUnavailable> {
        if message.content_type.as_deref() == Some(CONTENT_TYPE_SEALED) {
            return match self.carrier.unpack(message.message_id.as_deref(), &message.body).await {
                Ok(arrival) => Ok(Read::Arrival(Box::new(arrival))),
                Err(Unpackable::Never(reason)) => Ok(Read::Unreadable(Unreadable { reason, message })),
                Err(Unpackable::NotNow(error)) => Err(unavailable(&error)),
            };
        }
        Ok(match self.read_raw(&message) {
            Ok(arrival) => Read::Arrival(Box::new(arrival)),
            Err(reason) => Read::Unreadable(Unreadable { reason, message }),
        })
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
