//! The vectors, and what other tests of this room build on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::Sha256;

use super::*;
use crate::seal::pii::Pii;

pub(super) fn sign(secret: &str, body: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    mac.finalize().into_bytes().into()
}

/// A webhook as a door would make it, not signed yet.
pub(super) fn unverified(provider: &'static Provider, topic: &str, body: &[u8]) -> UnverifiedWebhook {
    let headers = WebhookHeaders { topic: Some(topic.to_owned()), ..WebhookHeaders::default() };
    UnverifiedWebhook { provider, headers, path_topic: None, body: Pii::new(body.to_vec()) }
}

/// A genuine webhook, which a test may still send under other headers.
pub(super) fn verified(topic: &str, body: &[u8], change: impl FnOnce(&mut UnverifiedWebhook)) -> VerifiedWebhook {
    let mut webhook = unverified(&SHOPIFY, topic, body);
    webhook.headers.hmac = Some(STANDARD.encode(sign("hush", body)));
    change(&mut webhook);
    webhook.verify(&Secrets::new(vec!["hush".to_owned()])).unwrap()
}

pub(super) fn read(topic: &str, body: &str) -> Result<Delivery, Unreadable> {
    verified(topic, body.as_bytes(), |_| ()).read()
}

#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    topic: String,
    body: String,
    hmac: Option<String>,
    expect: String,
}

const SHOPIFY_VECTORS: &str = include_str!("../../tests/vectors/shopify-webhooks.json");
const SHOPLINE_VECTORS: &str = include_str!("../../tests/vectors/shopline-webhooks.json");

fn vectors(file: &str) -> Vec<Vector> {
    serde_json::from_str::<Vectors>(file).unwrap().vectors
}

/// What becomes of a webhook, in the words of the vectors.
#[derive(Debug, PartialEq)]
enum Outcome {
    Accepted,
    Held(Mismatch),
    Rejected400(Unreadable),
    Rejected401(Unauthentic),
}

impl Vector {
    /// Delivers the vector as the provider would; the topic by header, or by path.
    fn deliver(&self, prefix: &str, by_path: bool, secrets: &[&str]) -> (Outcome, Option<Delivery>) {
        let header = |name: &str| match name.strip_prefix(prefix)? {
            "hmac-sha256" => self.hmac.as_deref(),
            "topic" if !by_path => Some(self.topic.as_str()),
            _ => None,
        };
        let provider = Provider::detect(&header).unwrap();
        let webhook = UnverifiedWebhook {
            provider,
            headers: WebhookHeaders::read(provider, header),
            path_topic: by_path.then(|| self.topic.clone()),
            body: Pii::new(self.body.clone().into_bytes()),
        };
        let secrets = Secrets::new(secrets.iter().map(|&secret| secret.to_owned()).collect());
        match webhook.verify(&secrets).map(VerifiedWebhook::read) {
            Err(unauthentic) => (Outcome::Rejected401(unauthentic), None),
            Ok(Err(unreadable)) => (Outcome::Rejected400(unreadable), None),
            Ok(Ok(delivery)) => {
                assert_eq!(delivery.body.expose(), self.body.as_bytes(), "{}: the exact bytes", self.name);
                assert_eq!(delivery.topic.as_str(), self.topic, "{}", self.name);
                assert!(delivery.unknown_fields.is_empty(), "{}", self.name);
                (delivery.mismatch.map_or(Outcome::Accepted, Outcome::Held), Some(delivery))
            }
        }
    }

    fn gets_what_it_says(&self, prefix: &str) {
        for by_path in [false, true] {
            let (outcome, _) = self.deliver(prefix, by_path, &["hush"]);
            let fits = match self.expect.as_str() {
                "accepted" => outcome == Outcome::Accepted,
                "held_payload_mismatch" => matches!(outcome, Outcome::Held(_)),
                "rejected_401" => matches!(outcome, Outcome::Rejected401(_)),
                "rejected_400_or_held" => matches!(outcome, Outcome::Rejected400(_) | Outcome::Held(_)),
                "accepted_while_old_secret_is_active" => {
                    outcome == Outcome::Rejected401(Unauthentic::Mismatch)
                        && self.deliver(prefix, by_path, &["hush", "hush_old"]).0 == Outcome::Accepted
                }
                other => panic!("{}: nobody knows what {other} means", self.name),
            };
            assert!(fits, "{} expects {}, got {outcome:?}", self.name, self.expect);
        }
    }
}

#[test]
fn every_shopify_vector_gets_what_it_says() {
    let vectors = vectors(SHOPIFY_VECTORS);
    assert_eq!(vectors.len(), 19);
    for vector in vectors {
        vector.gets_what_it_says("x-shopify-");
        vector.gets_what_it_says("shopify-");
    }
}

#[test]
fn every_shopline_vector_gets_what_it_says() {
    let vectors = vectors(SHOPLINE_VECTORS);
    assert_eq!(vectors.len(), 8);
    for vector in vectors {
        vector.gets_what_it_says("x-shopline-");
    }
}

fn delivery(name: &str) -> Delivery {
    let vector = vectors(SHOPIFY_VECTORS).into_iter().find(|vector| vector.name == name).unwrap();
    vector.deliver("x-shopify-", false, &["hush"]).1.unwrap()
}

fn contact(contact: Option<&Pii<String>>) -> Option<&str> {
    contact.map(|contact| contact.expose().as_str())
}

#[test]
fn a_redaction_is_read_in_full() {
    let redact = delivery("customers_redact");
    assert_eq!(redact.provider, "shopify");
    assert_eq!(redact.shop_domain, "snowdevil.myshopify.com");
    assert_eq!(redact.shop_id.as_deref(), Some("954889"));
    assert_eq!(redact.subject.customer_id, Some(ExternalId::Number(191_167)));
    assert_eq!(contact(redact.subject.email.as_ref()), Some("john@example.com"));
    assert_eq!(contact(redact.subject.phone.as_ref()), Some("555-625-1199"));
    assert_eq!(redact.orders, [299_938, 280_263, 220_458].map(ExternalId::Number));
    assert!(redact.data_request_id.is_none());
}

#[test]
fn a_data_request_is_read_in_full() {
    let request = delivery("data_request");
    assert_eq!(request.orders, [299_938, 280_263, 220_458].map(ExternalId::Number));
    assert_eq!(request.data_request_id, Some(ExternalId::Number(9999)));
    assert_eq!(request.subject.customer_id, Some(ExternalId::Number(191_167)));
}

#[test]
fn a_shop_redaction_is_about_nobody_in_particular() {
    for name in ["shop_redact", "customers_redact_sent_as_shop_redact"] {
        let redact = delivery(name);
        assert!(redact.subject.is_empty() && redact.orders.is_empty(), "{name}");
    }
}

#[test]
fn ids_beyond_two_to_the_53_come_out_exact() {
    let redact = delivery("ids_beyond_2_53");
    assert_eq!(redact.subject.customer_id.unwrap().as_text(), "9007199254740993");
    assert_eq!(
        redact.orders.iter().map(ExternalId::as_text).collect::<Vec<_>>(),
        ["9007199254740993", "6043498840342"]
    );
}

#[test]
fn string_ids_come_out_as_they_are() {
    let redact = delivery("string_ids");
    assert_eq!(redact.shop_id.as_deref(), Some("954889"));
    assert!(matches!(redact.subject.customer_id, Some(ExternalId::Text(id)) if id == "200843728"));
    assert!(matches!(redact.orders.as_slice(), [ExternalId::Text(id)] if id == "#72348"));
    assert_eq!(contact(redact.subject.phone.as_ref()), Some("00165323713"));
}

#[test]
fn the_same_subject_comes_from_escaped_and_from_raw_unicode() {
    for name in ["unicode_escaped", "unicode_raw"] {
        assert_eq!(contact(delivery(name).subject.email.as_ref()), Some("jöhn@example.com"), "{name}");
    }
}

#[test]
fn a_delivery_prints_no_personal_data() {
    for name in ["customers_redact", "data_request", "unicode_raw", "string_ids"] {
        let printed = format!("{:?}", delivery(name));
        for personal in ["@", "example.com", "john", "jöhn", "555", "00165323713", "orders_to_redact"] {
            assert!(!printed.contains(personal), "{name}: {personal} in {printed}");
        }
    }
}
