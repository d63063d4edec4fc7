//! The headers of a webhook, read in the provider's dialect. None of them is covered by the signature.

use std::fmt;

use chrono::{DateTime, Utc};

use super::payload::Unreadable;
use super::provider::Provider;

const ID_LEN_MAX: usize = 255;
const VERSION_LEN_MAX: usize = 64;

/// What the sender claims beside the body. Empty values count as missing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct WebhookHeaders {
    /// The signature, as written.
    pub hmac: Option<String>,
    pub topic: Option<String>,
    pub shop_domain: Option<String>,
    /// Identifies the delivery.
    pub webhook_id: Option<String>,
    /// Identifies what happened, the same over all deliveries of it.
    pub event_id: Option<String>,
    pub triggered_at: Option<String>,
    pub api_version: Option<String>,
    /// The name of the subscription.
    pub name: Option<String>,
    /// A header that is there with and without `X-`, and does not say the same.
    pub contradicts_itself: Option<&'static str>,
}

impl WebhookHeaders {
    /// Reads each header with and without `X-`. `header` is asked for lower-case names.
    pub fn read<'h>(provider: &Provider, header: impl Fn(&str) -> Option<&'h str>) -> Self {
        let read = |name: &str| {
            let value = provider.lookup(name, &header)?.trim();
            (!value.is_empty()).then(|| value.to_owned())
        };
        Self {
            hmac: read("hmac-sha256"),
            topic: read("topic"),
            shop_domain: read("shop-domain"),
            webhook_id: read("webhook-id"),
            event_id: read("event-id"),
            triggered_at: read("triggered-at"),
            api_version: read("api-version"),
            name: read("name"),
            contradicts_itself: [
                ("topic", "Topic"),
                ("shop-domain", "Shop-Domain"),
                ("webhook-id", "Webhook-Id"),
                ("event-id", "Event-Id"),
            ]
            .into_iter()
            .find(|(name, _)| provider.contradicts(name, &header))
            .map(|(_, shown)| shown),
        }
    }

    /// Refuses two headers of one meaning that say two things: which of them holds must not be the sender's choice.
    pub(super) fn check_agreement(&self) -> Result<(), Unreadable> {
        self.contradicts_itself.map_or(Ok(()), |name| Err(Unreadable::HeadersDisagree(name)))
    }

    /// Refuses ids that no column should hold: longer than 255 bytes, or not printable ASCII.
    pub(super) fn check_ids(&self) -> Result<(), Unreadable> {
        for (name, id) in [("Webhook-Id", &self.webhook_id), ("Event-Id", &self.event_id)] {
            if id.as_ref().is_some_and(|id| !is_printable(id, ID_LEN_MAX)) {
                return Err(Unreadable::BadHeader(name));
            }
        }
        Ok(())
    }

    /// The claimed time; one that cannot be read is no reason to lose a webhook.
    pub(super) fn triggered_at(&self) -> Option<DateTime<Utc>> {
        DateTime::parse_from_rfc3339(self.triggered_at.as_ref()?).ok().map(|at| at.to_utc())
    }

    /// The claimed version of the sender's API, unless it is no such thing.
    pub(super) fn api_version(&self) -> Option<&str> {
        self.api_version.as_deref().filter(|version| is_printable(version, VERSION_LEN_MAX))
    }
}

fn is_printable(text: &str, len_max: usize) -> bool {
    text.len() <= len_max && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

/// Leaves out the signature and the values that a sender could fill with anything.
impl fmt::Debug for WebhookHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookHeaders")
            .field("signed", &self.hmac.is_some())
            .field("topic", &self.topic)
            .field("webhook_id", &self.webhook_id)
            .field("event_id", &self.event_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::{SHOPIFY, SHOPLINE};

    #[test]
    fn headers_are_read_with_and_without_the_x() {
        let read = |provider, prefix: &str| {
            let sent: Vec<(String, String)> = [
                "hmac-sha256",
                "topic",
                "shop-domain",
                "webhook-id",
                "event-id",
                "triggered-at",
                "api-version",
                "name",
            ]
            .iter()
            .map(|name| (format!("{prefix}-{name}"), format!(" the {name} ")))
            .collect();
            WebhookHeaders::read(provider, |name| {
                sent.iter().find(|(sent, _)| sent == name).map(|(_, value)| value.as_str())
            })
        };
        let expected = WebhookHeaders {
            hmac: Some("the hmac-sha256".into()),
            topic: Some("the topic".into()),
            shop_domain: Some("the shop-domain".into()),
            webhook_id: Some("the webhook-id".into()),
            event_id: Some("the event-id".into()),
            triggered_at: Some("the triggered-at".into()),
            api_version: Some("the api-version".into()),
            name: Some("the name".into()),
            contradicts_itself: None,
        };
        assert!(read(&SHOPIFY, "x-shopify") == expected);
        assert!(read(&SHOPIFY, "shopify") == expected);
        assert!(read(&SHOPLINE, "x-shopline") == expected);
        assert!(read(&SHOPLINE, "x-shopify") == WebhookHeaders::default());
    }

    #[test]
    fn a_header_with_and_without_the_x_must_say_the_same() {
        let check = |with: &'static str, without: &'static str| {
            WebhookHeaders::read(&SHOPIFY, |name| match name {
                "x-shopify-topic" => Some(with),
                "shopify-topic" => Some(without),
                _ => None,
            })
            .check_agreement()
        };
        assert_eq!(check("shop/redact", "customers/redact"), Err(Unreadable::HeadersDisagree("Topic")));
        assert_eq!(check("shop/redact", " shop/redact"), Ok(()));
    }

    #[test]
    fn empty_headers_count_as_missing() {
        assert!(WebhookHeaders::read(&SHOPIFY, |_| Some(" ")) == WebhookHeaders::default());
    }

    #[test]
    fn ids_that_no_column_should_hold_are_refused() {
        let with = |id: &str| WebhookHeaders { event_id: Some(id.to_owned()), ..WebhookHeaders::default() }.check_ids();
        assert!(with(&"x".repeat(255)).is_ok());
        for id in ["x".repeat(256), "a\u{0}b".into(), "a\nb".into(), "ä".into()] {
            assert_eq!(with(&id).unwrap_err(), Unreadable::BadHeader("Event-Id"));
        }
    }

    #[test]
    fn a_time_or_version_that_cannot_be_read_is_left_out() {
        let headers = |at: &str, version: &str| WebhookHeaders {
            triggered_at: Some(at.to_owned()),
            api_version: Some(version.to_owned()),
            ..WebhookHeaders::default()
        };
        let good = headers("2026-11-21T10:00:00.123456789+01:00", "2026-10");
        assert_eq!(good.triggered_at().unwrap().to_rfc3339(), "2026-11-21T09:00:00.123456789+00:00");
        assert_eq!(good.api_version(), Some("2026-10"));
        let bad = headers("yesterday", "a\u{0}");
        assert_eq!(bad.triggered_at(), None);
        assert_eq!(bad.api_version(), None);
    }
}
