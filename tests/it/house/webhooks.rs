//! Webhooks as a sender writes and signs them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use efface::seal::Pii;
use efface::webhook::{Delivery, SHOPIFY, Secrets, UnverifiedWebhook, WebhookHeaders};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

pub const SECRET: &str = "hush";
/// Of the customer that every webhook here is about.
pub const EMAIL: &str = "jane.doe.4711@example.com";
pub const PHONE: &str = "+49-555-0147-11";

/// A webhook with a new id, unless the test gives it one.
#[derive(Clone, Debug)]
pub struct Webhook {
    topic: &'static str,
    body: String,
    id: Option<String>,
    event: Option<String>,
}

impl Webhook {
    pub fn new(topic: &'static str, body: impl Into<String>) -> Self {
        Self { topic, body: body.into(), id: Some(efface::store::id::row()), event: None }
    }

    pub fn customers_redact(shop: &str, orders: &[impl ToOrder]) -> Self {
        let orders: Vec<Value> = orders.iter().map(ToOrder::order).collect();
        Self::new(
            "customers/redact",
            json!({
                "shop_id": 954_889, "shop_domain": shop,
                "customer": { "id": 191_167, "email": EMAIL, "phone": PHONE }, "orders_to_redact": orders,
            })
            .to_string(),
        )
    }

    pub fn data_request(shop: &str, orders: &[impl ToOrder]) -> Self {
        let orders: Vec<Value> = orders.iter().map(ToOrder::order).collect();
        Self::new(
            "customers/data_request",
            json!({
                "shop_id": 954_889, "shop_domain": shop,
                "customer": { "id": 191_167, "email": EMAIL, "phone": PHONE }, "orders_requested": orders,
                "data_request": { "id": 9_999 },
            })
            .to_string(),
        )
    }

    pub fn shop_redact(shop: &str) -> Self {
        Self::new("shop/redact", json!({ "shop_id": 954_889, "shop_domain": shop }).to_string())
    }

    pub fn id(self, id: &str) -> Self {
        Self { id: Some(id.to_owned()), ..self }
    }

    pub fn without_id(self) -> Self {
        Self { id: None, ..self }
    }

    pub fn event(self, event: &str) -> Self {
        Self { event: Some(event.to_owned()), ..self }
    }

    /// The body and its signature: what goes over a wire.
    pub fn signed(&self) -> (Vec<u8>, String) {
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(self.body.as_bytes());
        (self.body.clone().into_bytes(), STANDARD.encode(mac.finalize().into_bytes()))
    }

    /// Signed, verified and read: what a door hands over.
    pub fn delivery(&self) -> Delivery {
        let (body, hmac) = self.signed();
        let headers = WebhookHeaders {
            hmac: Some(hmac),
            topic: Some(self.topic.to_owned()),
            webhook_id: self.id.clone(),
            event_id: self.event.clone(),
            ..WebhookHeaders::default()
        };
        let body = Pii::new(body);
        let webhook = UnverifiedWebhook { provider: &SHOPIFY, headers, path_topic: None, body };
        webhook.verify(&Secrets::new(vec![SECRET.to_owned()])).unwrap().read().unwrap()
    }
}

/// An order as a body lists it: a number, or text.
pub trait ToOrder {
    fn order(&self) -> Value;
}

impl ToOrder for u64 {
    fn order(&self) -> Value {
        Value::from(*self)
    }
}

impl ToOrder for &str {
    fn order(&self) -> Value {
        Value::from(*self)
    }
}
