//! Packs webhooks for the broker so that only Efface can read them there, and unpacks them again.
//!
//! A message holds one webhook or several of one topic. Each is a JSON line with what the door knows (ids and times, nothing
//! personal, and how long the body is) and then the exact body; all are sealed together under the day's transport key. A body that was acknowledged can stay on the broker's disk for a while:
//! sealed, it is worth nothing once the key is destroyed.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use entity::sealing_key::KeyPurpose;
use entity::source::Source;
use serde::{Deserialize, Serialize};

use crate::broker::{CONTENT_TYPE_SEALED, Outgoing};
use crate::intake::Arrival;
use crate::seal::{Aad, ContentKeyError, ContentKeys, Pii, seal};
use crate::store::id;
use crate::webhook::{Delivery, Mismatch, PROVIDERS, UnverifiedWebhook, VerifiedWebhook, WebhookHeaders};

/// Bytes that the line in front of a body may take, ids of the usual length assumed.
const FRAME_ROOM: usize = 640;

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
    webhook_id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    triggered_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<Cow<'a, str>>,
    /// Header and body named different shops.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    other_shop: bool,
    body_bytes: usize,
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

/// What a message held.
#[derive(Debug)]
pub struct Unpacked {
    pub arrivals: Vec<Arrival>,
    /// Why one of the webhooks could not be read, as a code; the others are in `arrivals`.
    pub unreadable: Option<&'static str>,
}

impl Carrier {
    /// Uses the daily transport keys.
    pub fn new(keys: ContentKeys) -> Self {
        Self { keys }
    }

    /// Packs verified webhooks, at least one, which all have the first one's topic.
    ///
    /// # Errors
    /// When no key can be had to seal them.
    pub async fn pack(&self, arrivals: &[Arrival]) -> Result<Outgoing, ContentKeyError> {
        let key = self.keys.current(KeyPurpose::Transport).await?;
        // Room for everything at once: a buffer that grows leaves copies of the bodies behind.
        let bytes = arrivals.iter().map(|arrival| arrival.delivery.body.expose().len() + FRAME_ROOM).sum();
        let mut plain = Vec::with_capacity(bytes);
        for arrival in arrivals {
            // Writing a struct of texts to memory cannot fail.
            let _ = serde_json::to_writer(&mut plain, &Frame::of(arrival));
            plain.push(b'\n');
            plain.extend_from_slice(arrival.delivery.body.expose());
        }
        let plain = Pii::new(plain);
        let message_id = id::row();
        let body = seal(&key, &aad(&message_id), plain.expose());
        Ok(Outgoing {
            routing_key: arrivals.first().map_or("", |first| first.delivery.topic.routing_key()).to_owned(),
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
    pub async fn unpack(&self, message_id: Option<&str>, sealed: &[u8]) -> Result<Unpacked, Unpackable> {
        const BAD_FRAME: Unpackable = Unpackable::Never("bad_frame");
        let message_id = message_id.ok_or(Unpackable::Never("no_message_id"))?;
        let plain = self.keys.open(&aad(message_id), sealed).await.map_err(|error| match error {
            ContentKeyError::Store(_) => Unpackable::NotNow(error),
            ContentKeyError::Gone(_) => Unpackable::Never("key_gone"),
            ContentKeyError::Seal(_) => Unpackable::Never("bad_seal"),
        })?;
        let mut rest = plain.expose().as_slice();
        if rest.is_empty() {
            return Err(BAD_FRAME);
        }
        let (mut arrivals, mut unreadable) = (Vec::new(), None);
        while !rest.is_empty() {
            let line = rest.iter().position(|byte| *byte == b'\n').ok_or(BAD_FRAME)?;
            let frame: Frame<'_> = serde_json::from_slice(&rest[..line]).map_err(|_| BAD_FRAME)?;
            let (body, others) = rest[line + 1..].split_at_checked(frame.body_bytes).ok_or(BAD_FRAME)?;
            let body = Pii::new(body.to_vec());
            let received_at = frame.received_at;
            match read(frame, body) {
                Ok(delivery) => arrivals.push(Arrival { received_at, source: Source::Http, delivery }),
                Err(reason) => unreadable = Some(reason),
            }
            rest = others;
        }
        Ok(Unpacked { arrivals, unreadable })
    }

    /// The keys, for those who park.
    pub fn keys(&self) -> &ContentKeys {
        &self.keys
    }
}

impl<'a> Frame<'a> {
    fn of(arrival: &'a Arrival) -> Self {
        let delivery = &arrival.delivery;
        Self {
            provider: delivery.provider,
            topic: delivery.topic.as_str(),
            received_at: arrival.received_at,
            webhook_id: delivery.webhook_id.as_deref().map(Cow::Borrowed),
            event_id: delivery.event_id.as_deref().map(Cow::Borrowed),
            triggered_at: delivery.triggered_at,
            api_version: delivery.api_version.as_deref().map(Cow::Borrowed),
            other_shop: delivery.mismatch == Some(Mismatch::OtherShop),
            body_bytes: delivery.body.expose().len(),
        }
    }
}

fn read(frame: Frame<'_>, body: Pii<Vec<u8>>) -> Result<Delivery, &'static str> {
    let provider = PROVIDERS.iter().find(|provider| provider.name == frame.provider);
    let webhook = UnverifiedWebhook {
        provider: provider.ok_or("unknown_provider")?,
        headers: WebhookHeaders {
            topic: Some(frame.topic.to_owned()),
            webhook_id: frame.webhook_id.map(Cow::into_owned),
            event_id: frame.event_id.map(Cow::into_owned),
            api_version: frame.api_version.map(Cow::into_owned),
            ..WebhookHeaders::default()
        },
        path_topic: None,
        body,
    };
    let delivery = VerifiedWebhook::vouched_for_by_seal(webhook).read();
    let mut delivery = delivery.map_err(|error| error.code())?;
    delivery.triggered_at = frame.triggered_at;
    if frame.other_shop {
        delivery.mismatch = delivery.mismatch.or(Some(Mismatch::OtherShop));
    }
    Ok(delivery)
}
