//! What a verified webhook asks for, read from its signed body.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use thiserror::Error;

use super::external_id::ExternalId;
use super::signature::VerifiedWebhook;
use super::strict_json::{self, Fault, FieldPath, Json, Object};
use super::topic::Topic;
use crate::seal::pii::Pii;

mod person;
mod shape;
mod shop;

pub use shape::Mismatch;
pub use shop::shop_domain;

/// One genuine delivery of a webhook: all that intake needs.
///
/// The `Debug` form holds no personal data.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The provider's name.
    pub provider: &'static str,
    pub topic: Topic,
    /// From the body; lower-case, a host name. Of `app/uninstalled`: the permanent domain.
    pub shop_domain: String,
    /// The provider's id of the shop, as text.
    pub shop_id: Option<String>,
    /// Claimed by an unsigned header, as are the next three; at most 255 printable ASCII characters.
    pub webhook_id: Option<String>,
    pub event_id: Option<String>,
    pub triggered_at: Option<DateTime<Utc>>,
    pub api_version: Option<String>,
    /// Whom the topic is about; nobody in particular for `shop/redact` and `app/uninstalled`.
    pub subject: Subject,
    /// The orders to redact, or requested; each once, in the order sent.
    pub orders: Vec<ExternalId>,
    pub data_request_id: Option<ExternalId>,
    /// Set when the body is not one of this topic, or not of the shop that the header claims: the job must be held.
    pub mismatch: Option<Mismatch>,
    /// Fields this program does not know, at most 16: worth a warning, and nothing more.
    pub unknown_fields: Vec<String>,
    /// The exact bytes that were sent.
    pub body: Pii<Vec<u8>>,
}

/// Whom a webhook is about: every handle it gives, of which any may be missing.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    pub customer_id: Option<ExternalId>,
    pub email: Option<Pii<String>>,
    pub phone: Option<Pii<String>>,
}

impl Subject {
    pub fn is_empty(&self) -> bool {
        self.customer_id.is_none() && self.email.is_none() && self.phone.is_none()
    }
}

/// Why a genuine webhook cannot be read. Names fields, never what is in them.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    #[error("the header {0} is there twice, with and without X-, and says two things")]
    HeadersDisagree(&'static str),
    #[error("neither a header nor the path names a topic")]
    NoTopic,
    #[error("the topic is none of those answered here")]
    UnknownTopic,
    #[error("the topics of header and path disagree")]
    TopicsDisagree,
    #[error("the header {0} is longer than 255 characters or not printable ASCII")]
    BadHeader(&'static str),
    #[error("the body is not JSON, at {0}")]
    NotJson(FieldPath),
    #[error("the body is not a JSON object")]
    NotAnObject,
    #[error("the body has a field twice, at {0}")]
    DuplicateKey(FieldPath),
    #[error("the body is nested too deep")]
    TooDeep,
    #[error("the body holds too many values")]
    TooManyValues,
    #[error("the body names no shop")]
    NoShop,
    #[error("the body's shop is not a host name")]
    BadShop,
    #[error("an id is neither a whole number from 0 to 2^64-1 nor a short text, at {0}")]
    BadId(FieldPath),
}

impl Unreadable {
    /// The reason for metrics and parked messages.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::HeadersDisagree(_) => "headers_disagree",
            Self::NoTopic => "no_topic",
            Self::UnknownTopic => "unknown_topic",
            Self::TopicsDisagree => "topics_disagree",
            Self::BadHeader(_) => "bad_header",
            Self::NotJson(_) => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::DuplicateKey(_) => "duplicate_key",
            Self::TooDeep => "too_deep",
            Self::TooManyValues => "too_many_values",
            Self::NoShop => "no_shop",
            Self::BadShop => "bad_shop",
            Self::BadId(_) => "bad_id",
        }
    }
}

impl From<(Fault, FieldPath)> for Unreadable {
    fn from((fault, path): (Fault, FieldPath)) -> Self {
        match fault {
            Fault::NotJson => Self::NotJson(path),
            Fault::NotAnObject => Self::NotAnObject,
            Fault::DuplicateKey => Self::DuplicateKey(path),
            Fault::TooDeep => Self::TooDeep,
            Fault::TooManyValues => Self::TooManyValues,
        }
    }
}

impl VerifiedWebhook {
    /// Reads topic and payload.
    ///
    /// A body that names its shop but does not have the shape of its topic is no error: it becomes a delivery with a
    /// [`Mismatch`], so that nothing is erased and nothing is lost.
    pub fn read(self) -> Result<Delivery, Unreadable> {
        let Self(webhook) = self;
        webhook.headers.check_agreement()?;
        let topic = topic_of(&webhook)?;
        webhook.headers.check_ids()?;

        let fields = strict_json::parse(webhook.body.expose())?;
        let shop_domain = shop::of_body(topic, &fields)?;
        // The body of `app/uninstalled` is the shop itself.
        let number = if topic == Topic::AppUninstalled { "id" } else { "shop_id" };
        let shop_id = id_at(&fields, number, number)?.map(|id| id.as_text().into_owned());
        let orders = match shape::orders_field(topic) {
            Some(field) => ids_in(&fields, field)?,
            None => Vec::new(),
        };
        let (subject, data_request_id, misfit) = person::read(topic, &fields)?;
        let is_contact =
            [&subject.customer_id, &data_request_id].into_iter().flatten().chain(&orders).any(ExternalId::is_contact);
        let misfit = misfit.or(is_contact.then_some(Mismatch::ContactAsId));
        let lost = topic.names_a_person() && subject.is_empty() && orders.is_empty();
        let mismatch = shape::misfit(topic, &fields)
            .or(misfit)
            .or_else(|| lost.then_some(Mismatch::NoSubject))
            .or_else(|| shop::of_header_differs(&webhook.headers, topic, &fields).then_some(Mismatch::OtherShop));
        let unknown_fields = shape::unknown_fields(topic, &fields);
        drop(fields);

        Ok(Delivery {
            provider: webhook.provider.name,
            topic,
            shop_domain,
            shop_id,
            triggered_at: webhook.headers.triggered_at(),
            api_version: webhook.headers.api_version().map(str::to_owned),
            webhook_id: webhook.headers.webhook_id,
            event_id: webhook.headers.event_id,
            subject,
            orders,
            data_request_id,
            mismatch,
            unknown_fields,
            body: webhook.body,
        })
    }
}

/// Header and path may each name the topic; when both do, they must agree.
fn topic_of(webhook: &super::UnverifiedWebhook) -> Result<Topic, Unreadable> {
    let parse = |name: &str| Topic::parse(webhook.provider, name).ok_or(Unreadable::UnknownTopic);
    match (webhook.headers.topic.as_deref(), webhook.path_topic.as_deref()) {
        (None, None) => Err(Unreadable::NoTopic),
        (Some(name), None) | (None, Some(name)) => parse(name),
        (Some(header), Some(path)) => {
            let topic = parse(header)?;
            if parse(path)? == topic { Ok(topic) } else { Err(Unreadable::TopicsDisagree) }
        }
    }
}

fn id(value: &Json<'_>, path: &'static str) -> Result<Option<ExternalId>, Unreadable> {
    match value {
        Json::Null => return Ok(None),
        Json::Integer(number) => Some(ExternalId::Number(*number)),
        Json::Text(text) => ExternalId::parse(text.as_str()),
        _ => None,
    }
    .map(Some)
    .ok_or_else(|| Unreadable::BadId(FieldPath::of(path)))
}

fn id_at(fields: &Object<'_>, name: &str, path: &'static str) -> Result<Option<ExternalId>, Unreadable> {
    fields.get(name).map_or(Ok(None), |value| id(value, path))
}

/// The ids of a list, each once. A field that is no list has none; its shape is judged elsewhere.
fn ids_in(fields: &Object<'_>, name: &'static str) -> Result<Vec<ExternalId>, Unreadable> {
    let Some(Json::List(items)) = fields.get(name) else { return Ok(Vec::new()) };
    let mut seen = HashSet::with_capacity(items.len());
    let mut ids = Vec::with_capacity(items.len());
    for item in items {
        let id = id(item, name)?.ok_or_else(|| Unreadable::BadId(FieldPath::of(name)))?;
        if seen.insert(id.clone()) {
            ids.push(id);
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests;
