//! Content keys that are derived instead of kept: nothing to store, and gone with the key-encryption key they hang from.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{Key, Keyring};
use crate::seal::envelope::{ContentKey, SealError};
use crate::seal::wrap::{self, KEY_LEN};

impl Keyring {
    /// The content key of `purpose` and `parts`, derived (HKDF-Expand, RFC 5869) from the current key-encryption key. Its
    /// id is that key's id, so that [`Keyring::derived_key_by_id`] finds it again after a rotation.
    ///
    /// # Panics
    /// Never: key lengths are those the algorithm asks for, and a keyring's ids fit an envelope.
    pub fn derived_key(&self, purpose: &str, parts: &[&[u8]]) -> ContentKey {
        derive(self.kek.current(), purpose, parts)
    }

    /// The same key, derived from the key-encryption key of that id.
    ///
    /// # Errors
    /// [`SealError::UnknownKey`] when the keyring has no such key.
    pub fn derived_key_by_id(&self, id: &str, purpose: &str, parts: &[&[u8]]) -> Result<ContentKey, SealError> {
        let kek = self.kek.find(id).ok_or_else(|| SealError::UnknownKey(id.to_owned()))?;
        Ok(derive(kek, purpose, parts))
    }
}

fn derive(kek: &Key, purpose: &str, parts: &[&[u8]]) -> ContentKey {
    let mut place = Vec::with_capacity(64);
    for part in [b"efface derived key v1".as_slice(), purpose.as_bytes()].iter().chain(parts) {
        wrap::push_part(&mut place, part);
    }
    let mut key = Zeroizing::new([0; KEY_LEN]);
    Hkdf::<Sha256>::from_prk(kek.secret.as_slice())
        .expect("a key-encryption key is as long as a SHA-256 output")
        .expand(&place, key.as_mut_slice())
        .expect("32 bytes are within what HKDF may expand to");
    ContentKey::new(kek.id.clone(), *key).expect("the ids of a keyring are checked when it is loaded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_key_depends_on_purpose_and_parts_and_on_where_they_end() {
        let keyring = Keyring::generate();
        let key = |purpose, parts: &[&[u8]]| *keyring.derived_key(purpose, parts).key();
        assert_eq!(key("p", &[b"ab", b"c"]), key("p", &[b"ab", b"c"]));
        assert_ne!(key("p", &[b"ab", b"c"]), key("q", &[b"ab", b"c"]));
        assert_ne!(key("p", &[b"ab", b"c"]), key("p", &[b"a", b"bc"]));
        assert_ne!(key("p", &[b"ab", b"c"]), *Keyring::generate().derived_key("p", &[b"ab", b"c"]).key());
        assert_ne!(key("p", &[]), *keyring.kek.current().secret);
    }

    #[test]
    fn a_derived_key_is_found_again_by_its_id_after_a_rotation() {
        let mut keyring = Keyring::generate();
        let before = keyring.derived_key("p", &[b"x"]);
        let mut fresh = Keyring::generate().kek.all;
        fresh[0].id = "kek-2".to_owned();
        keyring.kek.all.append(&mut fresh);
        keyring.kek.current = 1;
        assert_eq!(keyring.derived_key("p", &[b"x"]).id(), "kek-2");
        let found = keyring.derived_key_by_id(before.id(), "p", &[b"x"]).unwrap();
        assert_eq!((found.id(), found.key()), ("kek-1", before.key()));
        let error = keyring.derived_key_by_id("kek-0", "p", &[b"x"]).unwrap_err();
        assert!(matches!(error, SealError::UnknownKey(id) if id == "kek-0"));
    }
}
