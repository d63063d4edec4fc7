//! A request with the headers and the signature that Shopify sends.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http_body_util::Full;
use hyper::{Method, Request, Uri};
use sha2::Sha256;

use crate::config::Secret;
use crate::webhook::Topic;

/// The version of Shopify's API that the bodies follow.
const API_VERSION: &str = "2026-10";

/// What one delivery carries in its headers.
#[derive(Debug)]
pub struct Delivery<'a> {
    pub topic: Topic,
    pub shop: &'a str,
    pub webhook_id: &'a str,
    pub event_id: &'a str,
    pub triggered_at: DateTime<Utc>,
}

/// The signature of a body: base64 of HMAC-SHA256.
///
/// # Errors
/// Never: HMAC takes keys of any length.
pub fn signature(secret: &Secret, body: &[u8]) -> anyhow::Result<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())?;
    mac.update(body);
    Ok(STANDARD.encode(mac.finalize().into_bytes()))
}

impl Delivery<'_> {
    /// # Errors
    /// When the shop or the webhook id cannot stand in a header.
    pub fn request(&self, address: &Uri, signature: &str, body: Bytes) -> anyhow::Result<Request<Full<Bytes>>> {
        Ok(Request::builder()
            .method(Method::POST)
            .uri(address)
            .header("content-type", "application/json")
            .header("user-agent", concat!("efface/", env!("CARGO_PKG_VERSION")))
            .header("x-shopify-topic", self.topic.as_str())
            .header("x-shopify-hmac-sha256", signature)
            .header("x-shopify-shop-domain", self.shop)
            .header("x-shopify-webhook-id", self.webhook_id)
            .header("x-shopify-event-id", self.event_id)
            .header("x-shopify-triggered-at", self.triggered_at.to_rfc3339_opts(SecondsFormat::Millis, true))
            .header("x-shopify-api-version", API_VERSION)
            .body(Full::new(body))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_shopify_makes() {
        let body = br#"{"shop_id":954889,"shop_domain":"snowdevil.myshopify.com"}"#;
        let signature = signature(&Secret::new("hush"), body).unwrap();
        assert_eq!(signature, "unXxOs41nqtk5v6Btqh9qz9Dh6mprKtn5eLN4XfJwSY=");
    }
}
