//! The sealed form of a payload: encrypted under a data key of its own, which a content key wraps.
//!
//! ```text
//! 1 byte    version (1)
//! 1 byte    length n of the content key's id
//! n bytes   the content key's id
//! 60 bytes  the data key, wrapped: nonce (12), encrypted key (32), tag (16)
//! 12 bytes  nonce
//! …         encrypted payload
//! 16 bytes  tag
//! ```
//!
//! Both encryptions are AES-256-GCM. Their associated data name the version, the content key and the [`Aad`], so a
//! sealed value moved to another row, column or shop does not open.

use std::fmt;

use chrono::NaiveDate;
use thiserror::Error;
use zeroize::Zeroizing;

use super::pii::Pii;
use super::wrap::{self, KEY_LEN, NONCE_LEN, TAG_LEN, WRAPPED_LEN};

const VERSION: u8 = 1;
const KEY_ID_MAX: usize = 255;

/// Why a sealed value does not open. Names keys and versions, never content.
#[derive(Debug, Error)]
pub enum SealError {
    #[error("the sealed value is cut short")]
    Truncated,
    #[error("sealed in version {0}, which this program does not know")]
    UnknownVersion(u8),
    #[error("a key id must be 1 to 255 printable ASCII characters")]
    BadKeyId,
    #[error("sealed under the key {sealed_under:?}, but {given:?} was given")]
    WrongKey { sealed_under: String, given: String },
    #[error("the key {0:?} is not in the keyring")]
    UnknownKey(String),
    #[error("the sealed value was altered, or belongs to another row, column or shop")]
    NotAuthentic,
}

impl From<wrap::NotAuthentic> for SealError {
    fn from(_: wrap::NotAuthentic) -> Self {
        Self::NotAuthentic
    }
}

/// A key that wraps the data keys of many payloads, and is destroyed when the last of them has done its duty.
///
/// Data keys are wrapped under random nonces: one content key serves for up to 2^32 payloads.
#[derive(Clone)]
pub struct ContentKey {
    id: String,
    key: Zeroizing<[u8; KEY_LEN]>,
}

impl ContentKey {
    /// A key read back from where it was kept. The id is part of every sealed value.
    pub fn new(id: impl Into<String>, key: [u8; 32]) -> Result<Self, SealError> {
        let (id, key) = (id.into(), Zeroizing::new(key));
        if is_key_id(id.as_bytes()) { Ok(Self { id, key }) } else { Err(SealError::BadKeyId) }
    }

    /// A fresh key whose id tells what it serves and since when, such as `transport-2026-11-21-5f0c9a1e`.
    pub fn random(purpose: &str, day: NaiveDate) -> Result<Self, SealError> {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        rand::fill(key.as_mut_slice());
        Self::new(format!("{purpose}-{day}-{:08x}", rand::random::<u32>()), *key)
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// The secret itself, to be wrapped by the keyring and for nothing else.
    pub fn key(&self) -> &[u8; 32] {
        &self.key
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContentKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Where a sealed value belongs. It opens nowhere else.
#[derive(Clone, Copy, Debug)]
pub struct Aad<'a> {
    pub table: &'a str,
    pub row: &'a str,
    pub column: &'a str,
    pub shop: &'a str,
}

/// What an encryption is for, as the last byte of its associated data: one can never stand in for the other.
const FOR_DATA_KEY: u8 = 1;
const FOR_PAYLOAD: u8 = 2;

impl Aad<'_> {
    fn encode(&self, key_id: &str) -> Vec<u8> {
        let parts = ["efface sealed", key_id, self.table, self.row, self.column, self.shop];
        let mut encoded = Vec::with_capacity(2 + parts.iter().map(|part| 4 + part.len()).sum::<usize>());
        encoded.push(VERSION);
        for part in parts {
            wrap::push_part(&mut encoded, part.as_bytes());
        }
        encoded
    }
}

/// Seals `plain` for the place that `aad` names, under a fresh data key.
///
/// # Panics
/// When `plain` is longer than the 64 GiB that AES-GCM allows.
pub fn seal(key: &ContentKey, aad: &Aad<'_>, plain: &[u8]) -> Vec<u8> {
    let mut random = Zeroizing::new([0; KEY_LEN + 2 * NONCE_LEN]);
    rand::fill(random.as_mut_slice());
    seal_with(key, aad, plain, &random)
}

/// Seals with the randomness given: data key, nonce of the wrapping, nonce of the payload.
fn seal_with(key: &ContentKey, aad: &Aad<'_>, plain: &[u8], random: &[u8; KEY_LEN + 2 * NONCE_LEN]) -> Vec<u8> {
    let (data_key, nonces) = random.split_first_chunk::<KEY_LEN>().expect("the array holds a key and two nonces");
    let (wrap_nonce, nonce) = nonces.split_first_chunk::<NONCE_LEN>().expect("the array holds a key and two nonces");
    let nonce = nonce.first_chunk::<NONCE_LEN>().expect("the array holds a key and two nonces");

    let id = key.id.as_bytes();
    let id_len = u8::try_from(id.len()).expect("the constructor limits the id");
    let mut sealed = Vec::with_capacity(2 + id.len() + WRAPPED_LEN + NONCE_LEN + plain.len() + TAG_LEN);
    sealed.push(VERSION);
    sealed.push(id_len);
    sealed.extend_from_slice(id);

    let mut aad = aad.encode(&key.id);
    aad.push(FOR_DATA_KEY);
    sealed.extend_from_slice(&wrap::wrap_key(&key.key, wrap_nonce, &aad, data_key));

    aad.pop();
    aad.push(FOR_PAYLOAD);
    sealed.extend_from_slice(nonce);
    let start = sealed.len();
    sealed.extend_from_slice(plain);
    let tag = wrap::encrypt(data_key, nonce, &aad, &mut sealed[start..]);
    sealed.extend_from_slice(&tag);
    sealed
}

/// The id of the content key that a value was sealed under: keys are picked by it, never by trial.
///
/// It is read before anything is authenticated; [`open`] proves it.
pub fn key_id(sealed: &[u8]) -> Result<&str, SealError> {
    split(sealed).map(|(id, _)| id)
}

/// Whether the bytes have the form that [`seal`] gives them. Proves nothing about who sealed them.
pub fn is_envelope(sealed: &[u8]) -> bool {
    split(sealed).is_ok_and(|(_, rest)| rest.len() >= WRAPPED_LEN + NONCE_LEN + TAG_LEN)
}

/// Opens what [`seal`] made, when key and place are the same.
pub fn open(key: &ContentKey, aad: &Aad<'_>, sealed: &[u8]) -> Result<Pii<Vec<u8>>, SealError> {
    let (id, rest) = split(sealed)?;
    if id != key.id {
        return Err(SealError::WrongKey { sealed_under: id.to_owned(), given: key.id.clone() });
    }
    let (wrapped, rest) = rest.split_first_chunk::<WRAPPED_LEN>().ok_or(SealError::Truncated)?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Truncated)?;
    let (text, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(SealError::Truncated)?;

    let mut aad = aad.encode(&key.id);
    aad.push(FOR_DATA_KEY);
    let data_key = wrap::unwrap_key(&key.key, &aad, wrapped)?;
    aad.pop();
    aad.push(FOR_PAYLOAD);
    let mut plain = text.to_vec();
    wrap::decrypt(&data_key, nonce, &aad, &mut plain, tag)?;
    Ok(Pii::new(plain))
}

/// Reads version and key id off the front.
fn split(sealed: &[u8]) -> Result<(&str, &[u8]), SealError> {
    let (&version, rest) = sealed.split_first().ok_or(SealError::Truncated)?;
    if version != VERSION {
        return Err(SealError::UnknownVersion(version));
    }
    let (&id_len, rest) = rest.split_first().ok_or(SealError::Truncated)?;
    let (id, rest) = rest.split_at_checked(usize::from(id_len)).ok_or(SealError::Truncated)?;
    if !is_key_id(id) {
        return Err(SealError::BadKeyId);
    }
    let id = str::from_utf8(id).map_err(|_| SealError::BadKeyId)?;
    Ok((id, rest))
}

pub(super) fn is_key_id(id: &[u8]) -> bool {
    (1..=KEY_ID_MAX).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests;
