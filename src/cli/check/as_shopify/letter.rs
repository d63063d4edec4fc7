//! Webhooks as a check wants them: genuine by default, then changed in one respect.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Uri};
use uuid::Uuid;

use super::address::Address;
use super::bodies;
use super::expect::Expect;
use super::wire::Casing;
use crate::cli::webhook::{Delivery, signature};
use crate::config::Secret;
use crate::webhook::Topic;

const HMAC: &str = "x-shopify-hmac-sha256";
const TOPIC: &str = "x-shopify-topic";

/// One run: whom it is played to, and with which secrets.
#[derive(Debug)]
pub struct Play {
    pub address: Address,
    secret: Secret,
    pub old_secret: Option<Secret>,
    /// Eight hexadecimal digits, in the name of every shop of this run.
    pub id: String,
    now: DateTime<Utc>,
}

impl Play {
    pub fn new(address: Address, secret: Secret, old_secret: Option<Secret>, now: DateTime<Utc>) -> Self {
        let old_secret = old_secret.filter(|secret| !secret.expose().is_empty());
        Self { address, secret, old_secret, id: format!("{:08x}", rand::random::<u32>()), now }
    }

    /// Every check has a shop of its own, so that none stands in another's way.
    pub fn shop(&self, check: &str) -> String {
        format!("efface-conformance-{}-{check}.myshopify.com", self.id)
    }
}

/// What one check has at hand.
#[derive(Debug)]
pub struct Scene<'a> {
    pub play: &'a Play,
    pub shop: String,
}

impl<'a> Scene<'a> {
    pub fn new(play: &'a Play, check: &str) -> Self {
        Self { play, shop: play.shop(check) }
    }

    /// A genuine webhook of a topic, as Shopify sends it.
    pub fn ordinary(&self, topic: Topic) -> anyhow::Result<Letter> {
        self.letter(topic, bodies::of(topic, &self.shop, 0)?)
    }

    /// A genuine webhook with a body of the check's own.
    pub fn letter(&self, topic: Topic, body: impl Into<Bytes>) -> anyhow::Result<Letter> {
        let body = body.into();
        Ok(Letter {
            what: "genuine",
            expect: Expect::Taken,
            casing: Casing::Title,
            method: Method::POST,
            uri: self.play.address.of(topic.as_str())?,
            topic,
            other_topic: None,
            shop: self.shop.clone(),
            hmac: Some(signature(&self.play.secret, &body)?),
            content_type: HeaderValue::from_static("application/json"),
            webhook_id: Uuid::now_v7().to_string(),
            event_id: Uuid::now_v7().to_string(),
            triggered_at: self.play.now,
            body,
        })
    }
}

/// One webhook to send, and what its answer must be.
#[derive(Clone, Debug)]
pub struct Letter {
    what: &'static str,
    pub expect: Expect,
    pub casing: Casing,
    method: Method,
    uri: Uri,
    topic: Topic,
    /// A topic that is none of ours, in place of `topic`.
    other_topic: Option<&'static str>,
    shop: String,
    hmac: Option<String>,
    content_type: HeaderValue,
    webhook_id: String,
    event_id: String,
    triggered_at: DateTime<Utc>,
    body: Bytes,
}

impl Letter {
    /// Says how it differs from an ordinary one.
    pub fn saying(self, what: &'static str) -> Self {
        Self { what, ..self }
    }

    pub fn expecting(self, expect: Expect) -> Self {
        Self { expect, ..self }
    }

    pub fn unsigned(self) -> Self {
        Self { hmac: None, ..self }
    }

    pub fn with_empty_signature(self) -> Self {
        Self { hmac: Some(String::new()), ..self }
    }

    pub fn signed_with(self, secret: &Secret) -> anyhow::Result<Self> {
        Ok(Self { hmac: Some(signature(secret, &self.body)?), ..self })
    }

    /// The same signature, written in hexadecimal.
    pub fn signed_in_hex(self) -> anyhow::Result<Self> {
        let hmac = self.hmac.as_deref().map(|hmac| STANDARD.decode(hmac)).transpose()?;
        Ok(Self { hmac: hmac.map(hex::encode), ..self })
    }

    /// Keeps its signature, whatever its body is now.
    pub fn with_body_of(self, other: &Self) -> Self {
        Self { body: other.body.clone(), ..self }
    }

    /// Nothing in the body, as a GET has it.
    pub fn without_body(self) -> Self {
        Self { body: Bytes::new(), ..self }
    }

    pub fn method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    pub fn to(self, uri: Uri) -> Self {
        Self { uri, ..self }
    }

    /// Claims a topic that no app subscribes to.
    pub fn under_topic(self, topic: &'static str) -> Self {
        Self { other_topic: Some(topic), ..self }
    }

    pub fn typed(self, content_type: &'static str) -> Self {
        Self { content_type: HeaderValue::from_static(content_type), ..self }
    }

    pub fn in_lower_case(self) -> Self {
        Self { casing: Casing::Lower, ..self }
    }

    /// The same event as a second subscription delivers it.
    pub fn with_a_new_webhook_id(self) -> Self {
        Self { webhook_id: Uuid::now_v7().to_string(), ..self }
    }

    pub fn triggered_before(self, age: TimeDelta) -> Self {
        Self { triggered_at: self.triggered_at - age, ..self }
    }

    /// For people and reports: neither signature nor body is in it.
    pub fn sent(&self) -> String {
        format!("{} {}, {}", self.method, self.other_topic.unwrap_or(self.topic.as_str()), self.what)
    }

    /// # Errors
    /// Never: the shop's name and the ids are made to stand in headers.
    pub fn request(&self) -> anyhow::Result<Request<Full<Bytes>>> {
        let delivery = Delivery {
            topic: self.topic,
            shop: &self.shop,
            webhook_id: &self.webhook_id,
            event_id: &self.event_id,
            triggered_at: self.triggered_at,
        };
        let hmac = self.hmac.as_deref().unwrap_or_default();
        let mut request = delivery.request(&self.uri, hmac, self.body.clone())?;
        *request.method_mut() = self.method.clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, self.content_type.clone());
        if self.hmac.is_none() {
            headers.remove(HMAC);
        }
        if let Some(topic) = self.other_topic {
            headers.insert(TOPIC, HeaderValue::from_static(topic));
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play() -> Play {
        let address = Address::new(&"https://app.example.com/hooks".parse().unwrap(), false).unwrap();
        Play::new(address, Secret::new("hush"), Some(Secret::new("")), DateTime::UNIX_EPOCH)
    }

    #[test]
    fn a_shop_is_recognised_by_its_name_and_is_a_name_that_hosts_may_have() {
        let play = play();
        for check in super::super::checks::all() {
            let shop = play.shop(check.id);
            assert_eq!(crate::webhook::shop_domain(&shop).as_deref(), Some(shop.as_str()), "{shop}");
            assert!(shop.starts_with("efface-conformance-"));
        }
        assert_ne!(play.id, self::play().id, "runs do not share shops");
    }

    #[test]
    fn an_empty_old_secret_is_none() {
        assert!(play().old_secret.is_none());
    }

    #[test]
    fn a_letter_carries_what_shopify_sends_and_prints_no_secret() {
        let play = play();
        let scene = Scene::new(&play, "x");
        let letter = scene.ordinary(Topic::ShopRedact).unwrap();
        let request = letter.request().unwrap();
        for name in [HMAC, TOPIC, "x-shopify-shop-domain", "x-shopify-webhook-id", "x-shopify-event-id"] {
            assert!(!request.headers()[name].is_empty(), "{name}");
        }
        assert_eq!(letter.sent(), "POST shop/redact, genuine");
        assert!(!format!("{play:?}{letter:?}").contains("hush"));
        assert!(!letter.clone().unsigned().request().unwrap().headers().contains_key(HMAC));
        assert_eq!(letter.with_empty_signature().request().unwrap().headers()[HMAC], "");
    }

    #[test]
    fn a_hexadecimal_signature_is_the_same_digest() {
        let play = play();
        let letter = Scene::new(&play, "x").letter(Topic::ShopRedact, "body").unwrap().signed_in_hex().unwrap();
        let digest = STANDARD.decode(signature(&Secret::new("hush"), b"body").unwrap()).unwrap();
        assert_eq!(letter.hmac.unwrap(), hex::encode(digest));
    }
}
