//! The keys file: the long-lived secrets that all others hang from.
//!
//! Each kind holds several keys, of which one is current: new work uses the current key, old work finds its key by id.

use std::fmt;
use std::path::Path;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::envelope::{SealError, is_key_id};
use super::wrap::{self, KEY_LEN, NONCE_LEN, WRAPPED_LEN};

mod derived;
mod error;
mod file;
mod rotate;

pub use error::KeyringError;

/// The key-encryption, signing and digest keys of one installation.
///
/// `Debug` names the ids only; all secrets are wiped on drop.
pub struct Keyring {
    /// Wrap content keys (AES-256-GCM).
    kek: Keys,
    /// Seeds of Ed25519 signing keys.
    sign: Keys,
    /// Make keyed digests of personal data comparable within this installation, and only there.
    digest: Keys,
}

/// The keys of one kind; `current` always names one of them.
struct Keys {
    current: usize,
    all: Vec<Key>,
}

struct Key {
    id: String,
    secret: Zeroizing<[u8; KEY_LEN]>,
    /// As the file says; kept when the file is written again.
    created_at: Option<String>,
}

impl Keys {
    fn generate(id: &str) -> Self {
        let mut secret = Zeroizing::new([0; KEY_LEN]);
        rand::fill(secret.as_mut_slice());
        Self { current: 0, all: vec![Key { id: id.to_owned(), secret, created_at: None }] }
    }

    fn current(&self) -> &Key {
        &self.all[self.current]
    }

    fn find(&self, id: &str) -> Option<&Key> {
        self.all.iter().find(|key| key.id == id)
    }
}

/// A content key as it may be stored: encrypted under the key-encryption key that `kek_id` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    pub kek_id: String,
    /// Nonce (12 bytes), encrypted key (32), tag (16).
    pub bytes: Vec<u8>,
}

impl Keyring {
    /// Fresh keys: `kek-1`, `sign-1`, `digest-1`.
    pub fn generate() -> Self {
        Self { kek: Keys::generate("kek-1"), sign: Keys::generate("sign-1"), digest: Keys::generate("digest-1") }
    }

    /// Reads a keys file. Warns when others than its owner may read it.
    pub fn load(path: &Path) -> Result<Self, KeyringError> {
        file::load(path)
    }

    /// Writes the file anew, with mode 0400, and flushes file and folder to disk.
    ///
    /// # Errors
    /// [`KeyringError::Exists`] when something is there already: keys are never overwritten. No half-written file is
    /// ever visible under `path`.
    pub fn write_new(&self, path: &Path) -> Result<(), KeyringError> {
        file::write_new(self, path)
    }

    /// HMAC-SHA256 of `parts` under a key derived for `purpose` (HKDF-Expand, RFC 5869) from the current digest key.
    ///
    /// Each part is fed with its length in front: `["ab", "c"]` and `["a", "bc"]` differ. The result is a pseudonym:
    /// whoever holds the key can find the value again by trying.
    ///
    /// # Panics
    /// Never: key and output lengths are those the algorithms ask for.
    pub fn digest(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        mac(&expand(self.digest.current(), purpose), parts)
    }

    /// The id of the digest key that new digests hang from.
    pub fn digest_key_id(&self) -> &str {
        &self.digest.current().id
    }

    /// The ids of all digest keys: what was digested long ago may hang from any.
    pub fn digest_key_ids(&self) -> impl Iterator<Item = &str> {
        self.digest.all.iter().map(|key| key.id.as_str())
    }

    /// A key of its own for `purpose` and `of` (a shop, say), from the digest key of that id; none when there is no such key.
    ///
    /// It is what [`Keyring::digest`] would make of the one part `of`: whoever is given it learns nothing of other shops' keys.
    ///
    /// # Panics
    /// Never: key and output lengths are those the algorithms ask for.
    pub fn digest_subkey(&self, key_id: &str, purpose: &str, of: &[u8]) -> Option<Zeroizing<[u8; KEY_LEN]>> {
        Some(Zeroizing::new(mac(&expand(self.digest.find(key_id)?, purpose), &[of])))
    }

    /// Wraps a content key under the current key-encryption key, bound to `aad`.
    pub fn wrap(&self, aad: &[u8], key: &[u8; 32]) -> WrappedKey {
        let kek = self.kek.current();
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce);
        let bytes = wrap::wrap_key(&kek.secret, &nonce, &wrap_aad(&kek.id, aad), key);
        WrappedKey { kek_id: kek.id.clone(), bytes: bytes.to_vec() }
    }

    /// Unwraps what [`Keyring::wrap`] made, with the key-encryption key it names and the same `aad`.
    pub fn unwrap(&self, aad: &[u8], wrapped: &WrappedKey) -> Result<Zeroizing<[u8; 32]>, SealError> {
        let kek = self.kek.find(&wrapped.kek_id).ok_or_else(|| SealError::UnknownKey(wrapped.kek_id.clone()))?;
        let bytes = <&[u8; WRAPPED_LEN]>::try_from(wrapped.bytes.as_slice()).map_err(|_| SealError::Truncated)?;
        Ok(wrap::unwrap_key(&kek.secret, &wrap_aad(&kek.id, aad), bytes)?)
    }

    /// The Ed25519 seeds of all signing keys: what was signed long ago was signed with any.
    pub fn signing_seeds(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.sign.all.iter().map(|key| &*key.secret)
    }

    /// Id and Ed25519 seed of the current signing key.
    pub fn signing_seed(&self) -> (&str, &[u8; 32]) {
        let key = self.sign.current();
        (&key.id, &key.secret)
    }
}

/// HMAC-SHA256 of `parts`, each fed with its length in front.
///
/// # Panics
/// Never: HMAC takes keys of any length.
pub fn mac(key: &[u8; KEY_LEN], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// HKDF-Expand (RFC 5869) of a digest key, for one purpose.
fn expand(digest: &Key, purpose: &str) -> Zeroizing<[u8; KEY_LEN]> {
    let mut key = Zeroizing::new([0; KEY_LEN]);
    Hkdf::<Sha256>::from_prk(digest.secret.as_slice())
        .expect("a digest key is as long as a SHA-256 output")
        .expand_multi_info(&[b"efface digest v1 ", purpose.as_bytes()], key.as_mut_slice())
        .expect("32 bytes are within what HKDF may expand to");
    key
}

fn wrap_aad(kek_id: &str, aad: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(64 + aad.len());
    for part in [b"efface wrapped key v1".as_slice(), kek_id.as_bytes(), aad] {
        wrap::push_part(&mut encoded, part);
    }
    encoded
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("kek", &self.kek)
            .field("sign", &self.sign)
            .field("digest", &self.digest)
            .finish()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all.iter().map(|key| &key.id)).finish()
    }
}

#[cfg(test)]
mod tests;
