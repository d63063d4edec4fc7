//! DSSE envelopes: bytes with a type, signed together.
//!
//! Source: the DSSE protocol 1.0 and its JSON envelope. What the protocol leaves open is decided strictly here: base64
//! with padding and without stray bits, in either alphabet; no name twice; no member beside those of the envelope.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use ed25519_dalek::{Signer as _, SigningKey};
use serde::Deserialize;

use super::public_key::PublicKey;
use super::strict_json;

/// The type of every payload that Efface signs.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Signatures that an envelope may carry.
const SIGNATURES_MAX: usize = 16;

/// An envelope as it was read: nothing in it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    pub payload_type: String,
    pub payload: Vec<u8>,
    pub signatures: Vec<EnvelopeSignature>,
}

/// One signature of an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeSignature {
    /// Which key it says it is of: a hint, which may only narrow the keys that are tried.
    pub key_id: Option<String>,
    pub bytes: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEnvelope {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<RawSignature>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSignature {
    keyid: Option<String>,
    sig: String,
}

/// The bytes that are signed (pre-authentication encoding): type and payload, each with its length in front.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// Signs a payload and writes the envelope as JSON in one line. `key_id` and `payload_type` are plain words.
pub fn seal(key: &SigningKey, key_id: &str, payload_type: &str, payload: &[u8]) -> String {
    let signature = STANDARD.encode(key.sign(&pae(payload_type, payload)).to_bytes());
    let payload = STANDARD.encode(payload);
    format!(
        r#"{{"payload":"{payload}","payloadType":"{payload_type}","signatures":[{{"keyid":"{key_id}","sig":"{signature}"}}]}}"#
    )
}

impl Envelope {
    /// Reads an envelope.
    ///
    /// # Errors
    /// What is wrong with it, without quoting it.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let raw: RawEnvelope = strict_json::read(json)?;
        if raw.signatures.is_empty() {
            return Err("it carries no signature".to_owned());
        }
        if raw.signatures.len() > SIGNATURES_MAX {
            return Err(format!("it carries more than {SIGNATURES_MAX} signatures"));
        }
        let signatures = raw.signatures.into_iter().map(|signature| {
            let bytes = decode(&signature.sig).ok_or("a signature in it is not strict base64")?;
            Ok(EnvelopeSignature { key_id: signature.keyid.filter(|id| !id.is_empty()), bytes })
        });
        Ok(Self {
            payload: decode(&raw.payload).ok_or("its payload is not strict base64")?,
            payload_type: raw.payload_type,
            signatures: signatures.collect::<Result<_, String>>()?,
        })
    }

    /// Those of the trusted keys that signed type and payload, each once. Signatures of other keys, and those that do
    /// not fit, are passed over, as the protocol says.
    pub fn signers<'k>(&self, trusted: &'k [PublicKey]) -> Vec<&'k PublicKey> {
        let signed = pae(&self.payload_type, &self.payload);
        let mut signers: Vec<&PublicKey> = Vec::new();
        for signature in &self.signatures {
            let candidates = trusted.iter().filter(|key| signature.key_id.as_deref().is_none_or(|id| id == key.id()));
            for key in candidates {
                if !signers.contains(&key) && key.has_signed(&signed, &signature.bytes) {
                    signers.push(key);
                }
            }
        }
        signers
    }
}

/// Base64 in the one way to write it, in the standard alphabet or the one for URLs: verifiers must take either.
fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

#[cfg(test)]
mod tests;
