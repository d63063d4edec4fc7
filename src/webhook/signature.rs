//! The signature check: HMAC-SHA256 over the raw body, under any of the active secrets.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use super::headers::WebhookHeaders;
use super::provider::{Encodings, Provider};
use crate::seal::pii::Pii;

const DIGEST_LEN: usize = 32;

/// What a door received: nothing in it may be believed yet.
#[derive(Debug)]
pub struct UnverifiedWebhook {
    pub provider: &'static Provider,
    pub headers: WebhookHeaders,
    /// The topic named by the path of the URL, if it names one.
    pub path_topic: Option<String>,
    /// The exact bytes that were sent.
    pub body: Pii<Vec<u8>>,
}

/// A webhook whose body was signed with an active secret. Only [`UnverifiedWebhook::verify`] makes one.
#[derive(Debug)]
pub struct VerifiedWebhook(pub(super) UnverifiedWebhook);

impl VerifiedWebhook {
    /// A webhook that was verified before and has been sealed since: only a holder of the content keys can have
    /// written it, so the seal stands for the signature, which may be of a secret that is no longer active.
    pub fn vouched_for_by_seal(webhook: UnverifiedWebhook) -> Self {
        Self(webhook)
    }
}

/// Why a webhook is not believed. The sender is told none of this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unauthentic {
    #[error("the webhook carries no signature")]
    Missing,
    #[error("the signature is not written as this provider writes signatures")]
    Malformed,
    #[error("the webhook carries the signatures of two providers")]
    Ambiguous,
    #[error("the signature fits none of the active secrets")]
    Mismatch,
}

impl Unauthentic {
    /// The reason for metrics and parked messages.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "no_hmac",
            Self::Malformed => "malformed_hmac",
            Self::Ambiguous => "ambiguous_hmac",
            Self::Mismatch => "bad_hmac",
        }
    }
}

/// The active secrets, wiped on drop. The first is current; after a rotation, senders may use the old one for a while.
#[derive(Clone)]
pub struct Secrets(Arc<[Zeroizing<String>]>);

impl Secrets {
    /// Leaves out empty secrets: anybody could sign with them.
    pub fn new(secrets: Vec<String>) -> Self {
        Self(secrets.into_iter().map(Zeroizing::new).filter(|secret| !secret.trim().is_empty()).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} active)", self.0.len())
    }
}

impl UnverifiedWebhook {
    /// Checks the signature in constant time. Every secret is always tried, so that time does not tell which one fits.
    ///
    /// # Panics
    /// Never: HMAC takes keys of any length.
    pub fn verify(self, secrets: &Secrets) -> Result<VerifiedWebhook, Unauthentic> {
        let hmac = self.headers.hmac.as_deref().ok_or(Unauthentic::Missing)?;
        let digest = decode(self.provider.encodings, hmac).ok_or(Unauthentic::Malformed)?;
        let mut authentic = false;
        for secret in secrets.0.iter() {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
            mac.update(self.body.expose());
            authentic |= mac.verify_slice(&digest).is_ok();
        }
        if authentic { Ok(VerifiedWebhook(self)) } else { Err(Unauthentic::Mismatch) }
    }
}

/// Decodes strictly: the whole value, exactly 32 bytes. The two encodings differ in length, so none is tried twice.
fn decode(encodings: Encodings, written: &str) -> Option<[u8; DIGEST_LEN]> {
    const HEX_LEN: usize = 2 * DIGEST_LEN;
    const BASE64_LEN: usize = DIGEST_LEN.div_ceil(3) * 4;
    let mut decoded = [0; BASE64_LEN / 4 * 3];
    let len = match written.len() {
        HEX_LEN if encodings.hex => {
            hex::decode_to_slice(written, &mut decoded[..DIGEST_LEN]).ok()?;
            DIGEST_LEN
        }
        BASE64_LEN if encodings.base64 => STANDARD.decode_slice(written, &mut decoded).ok()?,
        _ => return None,
    };
    decoded[..len].try_into().ok()
}

#[cfg(test)]
mod tests;
