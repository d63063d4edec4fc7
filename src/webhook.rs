//! Tells a genuine webhook from a forged one, and what it asks for: pure functions, no IO, no clock.
//!
//! A door makes an [`UnverifiedWebhook`] from the raw bytes; [`UnverifiedWebhook::verify`] turns it into a
//! [`VerifiedWebhook`]; [`VerifiedWebhook::read`] turns that into a [`Delivery`]. The signature covers the body only,
//! so the body must show by its shape that it belongs to the topic that the unsigned headers claim.

pub mod external_id;
pub mod headers;
pub mod normal_form;
pub mod payload;
pub mod provider;
pub mod signature;
mod strict_json;
pub mod topic;

pub use external_id::ExternalId;
pub use headers::WebhookHeaders;
pub use payload::{Delivery, Mismatch, Subject, Unreadable, shop_domain};
pub use provider::{Encodings, PROVIDERS, Provider, SHOPIFY, SHOPLINE};
pub use signature::{Secrets, Unauthentic, UnverifiedWebhook, VerifiedWebhook};
pub use strict_json::FieldPath;
pub use topic::Topic;

#[cfg(test)]
mod tests;
