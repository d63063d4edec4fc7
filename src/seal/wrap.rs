//! AES-256-GCM as this room uses it: in place, with the nonce in front; and one key wrapped under another.

use aes_gcm::{AeadInOut as _, Aes256Gcm, KeyInit as _};
use zeroize::Zeroizing;

pub(super) const KEY_LEN: usize = 32;
pub(super) const NONCE_LEN: usize = 12;
pub(super) const TAG_LEN: usize = 16;
/// A wrapped key: nonce, encrypted key, tag.
pub(super) const WRAPPED_LEN: usize = NONCE_LEN + KEY_LEN + TAG_LEN;

/// The ciphertext, the associated data or the key is not the one that was sealed.
#[derive(Debug)]
pub(super) struct NotAuthentic;

/// Encrypts `text` where it lies and returns the tag.
///
/// # Panics
/// When `text` is longer than the 64 GiB that AES-GCM allows.
pub(super) fn encrypt(key: &[u8; KEY_LEN], nonce: &[u8; NONCE_LEN], aad: &[u8], text: &mut [u8]) -> [u8; TAG_LEN] {
    Aes256Gcm::new(key.into())
        .encrypt_inout_detached(nonce.into(), aad, text.into())
        .expect("payloads are far below the 64 GiB limit of AES-GCM")
        .into()
}

/// Decrypts `text` where it lies; leaves it as it was when the tag does not fit.
pub(super) fn decrypt(
    key: &[u8; KEY_LEN],
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    text: &mut [u8],
    tag: &[u8; TAG_LEN],
) -> Result<(), NotAuthentic> {
    Aes256Gcm::new(key.into())
        .decrypt_inout_detached(nonce.into(), aad, text.into(), tag.into())
        .map_err(|_| NotAuthentic)
}

/// Wraps `key` under `wrapping`. The random nonce allows 2^32 wraps under one wrapping key (NIST SP 800-38D, 8.3).
pub(super) fn wrap_key(
    wrapping: &[u8; KEY_LEN],
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    key: &[u8; KEY_LEN],
) -> [u8; WRAPPED_LEN] {
    let mut wrapped = [0; WRAPPED_LEN];
    wrapped[..NONCE_LEN].copy_from_slice(nonce);
    wrapped[NONCE_LEN..NONCE_LEN + KEY_LEN].copy_from_slice(key);
    let tag = encrypt(wrapping, nonce, aad, &mut wrapped[NONCE_LEN..NONCE_LEN + KEY_LEN]);
    wrapped[NONCE_LEN + KEY_LEN..].copy_from_slice(&tag);
    wrapped
}

pub(super) fn unwrap_key(
    wrapping: &[u8; KEY_LEN],
    aad: &[u8],
    wrapped: &[u8; WRAPPED_LEN],
) -> Result<Zeroizing<[u8; KEY_LEN]>, NotAuthentic> {
    let (nonce, rest) = wrapped.split_first_chunk::<NONCE_LEN>().ok_or(NotAuthentic)?;
    let (encrypted, tag) = rest.split_first_chunk::<KEY_LEN>().ok_or(NotAuthentic)?;
    let tag = tag.first_chunk::<TAG_LEN>().ok_or(NotAuthentic)?;
    let mut key = Zeroizing::new(*encrypted);
    decrypt(wrapping, nonce, aad, key.as_mut_slice(), tag)?;
    Ok(key)
}

/// Appends `part` with its length in front (four bytes, big-endian), so that no two lists of parts encode alike.
///
/// # Panics
/// When a part is 4 GiB or longer.
pub(super) fn push_part(encoded: &mut Vec<u8>, part: &[u8]) {
    let len = u32::try_from(part.len()).expect("parts of associated data are short");
    encoded.extend_from_slice(&len.to_be_bytes());
    encoded.extend_from_slice(part);
}
