//! Webhooks as Shopify sends them: over HTTP, and as raw messages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::Value;
use sha2::Sha256;

/// The app's secret in these tests.
pub const SECRET: &str = "hush";

pub fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    STANDARD.encode(mac.finalize().into_bytes())
}

/// One delivery.
#[derive(Clone)]
#[expect(clippy::struct_field_names, reason = "a webhook's id is called so everywhere")]
pub struct Webhook {
    pub topic: &'static str,
    pub shop: String,
    pub webhook_id: String,
    pub event_id: String,
    pub body: Vec<u8>,
    pub secret: &'static str,
}

impl Webhook {
    pub fn new(topic: &'static str, id: &str, body: &Value) -> Self {
        let shop = body["shop_domain"].as_str().unwrap().to_owned();
        let body = serde_json::to_vec(body).unwrap();
        Self { topic, shop, webhook_id: format!("w-{id}"), event_id: format!("e-{id}"), body, secret: SECRET }
    }

    /// Signed with a secret that is not the app's.
    pub fn forged(mut self) -> Self {
        self.secret = "guess";
        self
    }

    fn headers(&self) -> [(&'static str, String); 6] {
        [
            ("X-Shopify-Topic", self.topic.to_owned()),
            ("X-Shopify-Hmac-Sha256", sign(self.secret, &self.body)),
            ("X-Shopify-Shop-Domain", self.shop.clone()),
            ("X-Shopify-Webhook-Id", self.webhook_id.clone()),
            ("X-Shopify-Event-Id", self.event_id.clone()),
            ("X-Shopify-API-Version", "2026-10".to_owned()),
        ]
    }

    /// As an HTTP request.
    pub fn request(&self) -> Vec<u8> {
        let mut head = "POST /webhooks HTTP/1.1\r\nHost: efface\r\nContent-Type: application/json\r\n".to_owned();
        for (name, value) in self.headers() {
            head.extend([name, ": ", &value, "\r\n"]);
        }
        let mut request = format!("{head}Content-Length: {}\r\n\r\n", self.body.len()).into_bytes();
        request.extend_from_slice(&self.body);
        request
    }

    /// As the properties of a raw AMQP message.
    pub fn properties(&self) -> BasicProperties {
        let mut headers = FieldTable::default();
        for (name, value) in self.headers() {
            headers.insert(name.into(), AMQPValue::LongString(value.into()));
        }
        BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(2)
            .with_message_id(self.webhook_id.as_str().into())
            .with_headers(headers)
    }

    pub fn routing_key(&self) -> String {
        self.topic.replace('/', ".")
    }
}

/// The body of a `customers/redact`, with an e-mail that must be seen nowhere.
pub fn customer_redact(shop: &str, customer: u64, orders: &[u64]) -> Value {
    serde_json::json!({
        "shop_id": 954_889, "shop_domain": shop, "orders_to_redact": orders,
        "customer": { "id": customer, "email": format!("person{customer}@mail.example"), "phone": "+15550100" },
    })
}

/// The body of a `customers/data_request`.
pub fn data_request(shop: &str, customer: u64, orders: &[u64]) -> Value {
    serde_json::json!({
        "shop_id": 954_889, "shop_domain": shop, "orders_requested": orders, "data_request": { "id": 9999 },
        "customer": { "id": customer, "email": format!("person{customer}@mail.example"), "phone": "+15550100" },
    })
}

/// The body of a `shop/redact`.
pub fn shop_redact(shop: &str) -> Value {
    serde_json::json!({ "shop_id": 954_889, "shop_domain": shop })
}
