//! The keys of one shop, derived from the keyring.

use std::sync::{Arc, Mutex, PoisonError};

use hmac::{Hmac, KeyInit as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::seal::{Aad, ContentKey, Keyring, SealError};

const PURPOSE_HASH: &str = "redaction hash";
const PURPOSE_SEAL: &str = "redaction seal";

/// What one shop's values are hashed and encrypted with.
pub(super) struct ShopKeys {
    shop: String,
    /// Under the current digest key. Cloned for each value.
    pub(super) hash: Hmac<Sha256>,
    /// Under the current key-encryption key.
    pub(super) seal: ContentKey,
}

impl ShopKeys {
    fn derive(keyring: &Keyring, shop: &str) -> Self {
        let key = Zeroizing::new(keyring.digest(PURPOSE_HASH, &[shop.as_bytes()]));
        let hash = Hmac::new_from_slice(key.as_slice()).expect("HMAC takes keys of any length");
        Self { shop: shop.to_owned(), hash, seal: keyring.derived_key(PURPOSE_SEAL, &[shop.as_bytes()]) }
    }
}

/// The keys last used: documents and rows of one shop come in a row.
#[derive(Default)]
pub(super) struct Recent(Mutex<Option<Arc<ShopKeys>>>);

impl Recent {
    pub(super) fn keys(&self, keyring: &Keyring, shop: &str) -> Arc<ShopKeys> {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*recent {
            Some(keys) if keys.shop == shop => Arc::clone(keys),
            _ => Arc::clone(recent.insert(Arc::new(ShopKeys::derive(keyring, shop)))),
        }
    }
}

/// The key that a value of a shop was encrypted under, by the id that its envelope names.
pub(super) fn seal_key(keyring: &Keyring, id: &str, shop: &str) -> Result<ContentKey, SealError> {
    keyring.derived_key_by_id(id, PURPOSE_SEAL, &[shop.as_bytes()])
}

/// What an encrypted value is bound to.
pub(super) fn aad<'a>(shop: &'a str, place: &'a str) -> Aad<'a> {
    Aad { table: "redaction", row: "", column: place, shop }
}
