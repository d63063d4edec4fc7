//! Packs webhooks for the broker so that only Efface can read them there, and unpacks them again.
//!
//! The frame is a JSON line with what the door knows (ids and times, nothing personal) and then the exact body, sealed
//! together under the day's transport key. A body that was acknowledged can stay on the broker's disk for a while:
//! sealed, it is worth nothing once the key is destroyed.

use chrono::{DateTime, Utc};
use entity::sealing_key::KeyPurpose;
use entity::source::Source;
use serde::{Deserialize, Serialize};

use crate::broker::{CONTENT_TYPE_SEALED, Outgoing};
use crate::intake::Arrival;
use crate::seal::{Aad, ContentKeyError, ContentKeys, Pii, seal};
use crate::store::id;
use crate::webhook::{Delivery, Mismatch, PROVIDERS, UnverifiedWebhook, VerifiedWebhook, WebhookHeaders};

/// What a sealed body is bound to: it opens only as the message it was packed for.
fn aad(message_id: &str) -> Aad<'_> {
    Aad { table: "efface.webhooks", row: message_id, column: "body", shop: "" }
}

/// Packs and unpacks. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Carrier {
    keys: ContentKeys,
}

/// The line in front of the body.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Frame<'a> {
    provider: &'a str,
    topic: &'a str,
    received_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    triggered_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<String>,
    /// Header and body named different shops.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    other_shop: bool,
}

/// Why a sealed message could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum Unpackable {
    /// Its key may be had later.
    #[error(transparent)]
    NotNow(ContentKeyError),
    /// It will never open. The text is a code for metrics and parked messages.
    #[error("{0}")]
    Never(&'static str),
}

impl Carrier {
    /// Uses the daily transport keys.
    pub fn new(keys: ContentKeys) -> Self {
        Self { keys }
    }

    /// Packs a verified webhook.
    ///
    /// # Errors
    /// When no key can be had to seal it.
    pub async fn pack(&self, arrival: &Arrival) -> Result<Outgoing, ContentKeyError> {
        let key = self.keys.current(KeyPurpose::Transport).await?;
        let delivery = &arrival.delivery;
        let frame = Frame {
            provider: delivery.provider,
            topic: delivery.topic.as_str(),
            received_at: arrival.received_at,
            webhook_id: delivery.webhook_id.clone(),
            event_id: delivery.event_id.clone(),
            triggered_at: delivery.triggered_at,
            api_version: delivery.api_version.clone(),
            other_shop: delivery.mismatch == Some(Mismatch::OtherShop),
        };
        let body = delivery.body.expose();
        // Room for everything at once: a buffer that grows leaves copies of the body behind.
        let mut plain = Vec::with_capacity(body.len() + 2_048);
        // Writing a struct of texts to memory cannot fail.
        let _ = serde_json::to_writer(&mut plain, &frame);
        plain.push(b'\n');
        plain.extend_from_slice(body);
        let plain = Pii::new(plain);
        let message_id = id::row();
        let body = seal(&key, &aad(&message_id), plain.expose());
        Ok(Outgoing {
            routing_key: delivery.topic.routing_key().to_owned(),
            message_id,
            content_type: CONTENT_TYPE_SEALED,
            headers: Vec::new(),
            body,
        })
    }

    /// Unpacks what [`Carrier::pack`] made.
    ///
    /// # Errors
    /// See [`Unpackable`].
    pub async fn unpack(&self, message_id: Option<&str>, sealed: &[u8]) -> Result<Arrival, Unpackable> {
        let message_id = message_id.ok_or(Unpackable::Never("no_message_id"))?;
        let plain = self.keys.open(&aad(message_id), sealed).await.map_err(|error| match error {
            ContentKeyError::Store(_) => Unpackable::NotNow(error),
            ContentKeyError::Gone(_) => Unpackable::Never("key_gone"),
            ContentKeyError::Seal(_) => Unpackable::Never("bad_seal"),
        })?;
        let line = plain.expose().iter().position(|byte| *byte == b'\n').ok_or(Unpackable::Never("bad_frame"))?;
        let (frame, body) = plain.expose().split_at(line);
        let frame: Frame<'_> = serde_json::from_slice(frame).map_err(|_| Unpackable::Never("bad_frame"))?;
        let body = Pii::new(body[1..].to_vec());
        Ok(Arrival { received_at: frame.received_at, source: Source::Http, delivery: read(frame, body)? })
    }

    /// The keys, for those who park.
    pub fn keys(&self) -> &ContentKeys {
        &self.keys
    }
}

fn read(frame: Frame<'_>, body: Pii<Vec<u8>>) -> Result<Delivery, Unpackable> {
    let provider = PROVIDERS.iter().find(|provider| provider.name == frame.provider);
    let webhook = UnverifiedWebhook {
        provider: provider.ok_or(Unpackable::Never("unknown_provider"))?,
        headers: WebhookHeaders {
            topic: Some(frame.topic.to_owned()),
            webhook_id: frame.webhook_id,
            event_id: frame.event_id,
            api_version: frame.api_version,
            ..WebhookHeaders::default()
        },
        path_topic: None,
        body,
    };
    let delivery = VerifiedWebhook::vouched_for_by_seal(webhook).read();
    let mut delivery = delivery.map_err(|error| Unpackable::Never(error.code()))?;
    delivery.triggered_at = frame.triggered_at;
    if frame.other_shop {
        delivery.mismatch = delivery.mismatch.or(Some(Mismatch::OtherShop));
    }
    Ok(delivery)
}
