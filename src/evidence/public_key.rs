//! Public keys of receipts: Ed25519, written as PEM, named by a digest.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

/// What precedes the key in its `SubjectPublicKeyInfo` (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";
/// Keys that one file may hold.
const KEYS_MAX: usize = 100;

/// A public Ed25519 key that can be trusted or not.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    id: String,
}

/// Why a text holds no public keys that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    #[error("it holds no public key: expected `{BEGIN}`")]
    None,
    #[error("a public key in it does not end, or is not base64")]
    Broken,
    #[error("a public key in it is not an Ed25519 key")]
    OtherAlgorithm,
    #[error("a public key in it is no point of the curve, or a weak one")]
    Weak,
    #[error("it holds more than {KEYS_MAX} public keys")]
    TooMany,
}

impl PublicKey {
    /// The key that belongs to a signing key.
    pub fn new(key: VerifyingKey) -> Self {
        let id = hex::encode(Sha256::digest(spki(&key)));
        Self { key, id }
    }

    /// Reads the 32 bytes of a key.
    ///
    /// # Errors
    /// [`PublicKeyError::Weak`] for bytes under which a signature proves nothing.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, PublicKeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| PublicKeyError::Weak)?;
        if key.is_weak() { Err(PublicKeyError::Weak) } else { Ok(Self::new(key)) }
    }

    /// Reads every key of a PEM text; what stands around them is ignored.
    ///
    /// # Errors
    /// When there is none, or one that cannot be used.
    pub fn read_all(pem: &str) -> Result<Vec<Self>, PublicKeyError> {
        let mut keys = Vec::new();
        for part in pem.split(BEGIN).skip(1) {
            let (body, _) = part.split_once(END).ok_or(PublicKeyError::Broken)?;
            let body: String = body.split_ascii_whitespace().collect();
            let der = STANDARD.decode(body).map_err(|_| PublicKeyError::Broken)?;
            let key = der.strip_prefix(&SPKI_PREFIX).ok_or(PublicKeyError::OtherAlgorithm)?;
            keys.push(Self::from_bytes(key.try_into().map_err(|_| PublicKeyError::OtherAlgorithm)?)?);
            if keys.len() > KEYS_MAX {
                return Err(PublicKeyError::TooMany);
            }
        }
        if keys.is_empty() { Err(PublicKeyError::None) } else { Ok(keys) }
    }

    /// SHA-256 of the key's `SubjectPublicKeyInfo` in DER, in lower-case hex.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key as `SubjectPublicKeyInfo` in PEM, with a newline at the end.
    pub fn to_pem(&self) -> String {
        format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(spki(&self.key)))
    }

    /// The raw key.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// The raw key in base64.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.key.as_bytes())
    }

    /// Whether this key signed `message`. Strict: a signature that only some verifiers would take is none.
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.key.verify_strict(message, &signature).is_ok())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id)
    }
}

fn spki(key: &VerifyingKey) -> [u8; 44] {
    let mut der = [0; 44];
    der[..12].copy_from_slice(&SPKI_PREFIX);
    der[12..].copy_from_slice(key.as_bytes());
    der
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From RFC 8410, section 10.1.
    const RFC_8410: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PUBLIC KEY-----\n";

    #[test]
    fn pem_goes_in_and_out() {
        let keys = PublicKey::read_all(&format!("some words\n{RFC_8410}\n\n{RFC_8410}")).unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!(keys[0].to_pem(), RFC_8410);
        assert_eq!(keys[0].to_base64(), "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=");
        let der = STANDARD.decode(RFC_8410.lines().nth(1).unwrap()).unwrap();
        assert_eq!(keys[0].id(), hex::encode(Sha256::digest(der)));
    }

    #[test]
    fn what_is_no_good_key_is_refused() {
        let pem = |der: &[u8]| format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(der));
        let with = |key: [u8; 32]| pem(&[&SPKI_PREFIX[..], &key].concat());
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut off_curve = [0; 32];
        off_curve[0] = 2;
        for (text, error) in [
            (String::new(), PublicKeyError::None),
            ("-----BEGIN PRIVATE KEY-----".to_owned(), PublicKeyError::None),
            (RFC_8410.replace(END, ""), PublicKeyError::Broken),
            (RFC_8410.replace("MCow", "MC!w"), PublicKeyError::Broken),
            (RFC_8410.replace("MCow", "MCow\u{a0}"), PublicKeyError::Broken),
            (pem(&[1, 2, 3]), PublicKeyError::OtherAlgorithm),
            (pem(&[&SPKI_PREFIX[..], &[9; 31]].concat()), PublicKeyError::OtherAlgorithm),
            (with(identity), PublicKeyError::Weak),
            (with(off_curve), PublicKeyError::Weak),
            (with([0; 32]), PublicKeyError::Weak),
            (RFC_8410.repeat(KEYS_MAX + 1), PublicKeyError::TooMany),
        ] {
            assert_eq!(PublicKey::read_all(&text).unwrap_err(), error, "{text}");
        }
    }
}
