//! The token of an export link: what it is bound to, and how it is told from every other.
//!
//! ```text
//! 1 byte    version (1)
//! 8 bytes   end of the link, seconds since 1970, big-endian
//! 32 bytes  nonce, random
//! 32 bytes  HMAC-SHA256 over package id, end and nonce, under a key derived from the installation's digest key
//! ```
//!
//! in base64url without padding. The package's row keeps the SHA-256 of the nonce only, so that whoever reads the database
//! cannot make the link; and a new link ends the one before it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::seal::Keyring;

const VERSION: u8 = 1;
const LEN: usize = 1 + 8 + 32 + 32;
/// What the key of the HMAC is derived for.
const PURPOSE: &str = "export link";

/// A link, ready to be sent to the merchant.
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    pub url: String,
    pub expires_at: DateTime<Utc>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// A fresh token and what the row keeps of it.
pub(super) struct Minted {
    pub(super) token: String,
    pub(super) digest: Vec<u8>,
}

/// A token that this installation made for the package that it came with.
#[derive(Debug)]
pub(super) struct Genuine {
    pub(super) expires_at: DateTime<Utc>,
    pub(super) digest: Vec<u8>,
}

/// Makes a token for a package that is good until `expires_at`, in whole seconds.
pub(super) fn mint(keyring: &Keyring, package_id: &str, expires_at: DateTime<Utc>) -> Minted {
    let mut nonce = [0; 32];
    rand::fill(&mut nonce);
    let end = expires_at.timestamp().to_be_bytes();
    let mut token = Vec::with_capacity(LEN);
    token.push(VERSION);
    token.extend_from_slice(&end);
    token.extend_from_slice(&nonce);
    token.extend_from_slice(&keyring.digest(PURPOSE, &[package_id.as_bytes(), &end, &nonce]));
    Minted { token: URL_SAFE_NO_PAD.encode(token), digest: Sha256::digest(nonce).to_vec() }
}

/// Reads a token that came with a package id; `None` when it was not made here for that package. Compares in constant
/// time, and looks into no table.
pub(super) fn read(keyring: &Keyring, package_id: &str, token: &str) -> Option<Genuine> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let bytes: &[u8; LEN] = bytes.as_slice().try_into().ok()?;
    let (version, rest) = bytes.split_first()?;
    let (end, rest) = rest.split_first_chunk::<8>()?;
    let (nonce, mac) = rest.split_first_chunk::<32>()?;
    let expected = keyring.digest(PURPOSE, &[package_id.as_bytes(), end, nonce]);
    if !bool::from(expected.ct_eq(mac)) || *version != VERSION {
        return None;
    }
    let expires_at = DateTime::from_timestamp(i64::from_be_bytes(*end), 0)?;
    Some(Genuine { expires_at, digest: Sha256::digest(nonce).to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_package_and_no_bit_of_it_may_differ() {
        let (keyring, at) = (Keyring::generate(), DateTime::from_timestamp(1_795_000_000, 0).unwrap());
        let Minted { token, digest } = mint(&keyring, "pkg_1", at);
        let genuine = read(&keyring, "pkg_1", &token).unwrap();
        assert_eq!((genuine.expires_at, &genuine.digest), (at, &digest));
        assert!(read(&keyring, "pkg_2", &token).is_none());
        assert!(read(&Keyring::generate(), "pkg_1", &token).is_none());
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut altered = bytes.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&keyring, "pkg_1", &URL_SAFE_NO_PAD.encode(altered)).is_none(), "bit {bit}");
        }
        for other in ["", "AQ", &token[1..], &format!("{token}A"), "=", "\u{e9}"] {
            assert!(read(&keyring, "pkg_1", other).is_none(), "{other}");
        }
        assert_ne!(mint(&keyring, "pkg_1", at).token, token);
    }
}
