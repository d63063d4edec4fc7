//! Makes the pseudonyms by which a receipt names people and orders.
//!
//! A plain digest of an order number can be found by trying all numbers, so these are keyed: HMAC-SHA256 under a key of
//! the shop, which hangs from the installation's digest key. Whoever holds that key can still find the value by trying:
//! a pseudonym is personal data to the operator, and to nobody else. The audit log names odd ids of deliveries by them too.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::seal::Keyring;

/// Bytes of a pseudonym: half a digest, too many to meet by chance.
const LEN: usize = 16;
/// A text of hex digits (hyphens aside) from this length on was made by a machine: longer than any phone number or
/// customer id.
const MACHINE_DIGITS_MIN: usize = 24;
const MACHINE_LEN_MAX: usize = 128;

/// Makes pseudonyms of all shops. `Debug` shows nothing.
pub struct Pseudonyms {
    key: Zeroizing<[u8; 32]>,
}

/// Makes pseudonyms of one shop.
pub struct ShopPseudonyms {
    mac: Hmac<Sha256>,
}

impl std::fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pseudonyms")
    }
}

impl std::fmt::Debug for ShopPseudonyms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ShopPseudonyms")
    }
}

impl Pseudonyms {
    /// Under the current digest key.
    pub fn new(keyring: &Keyring) -> Self {
        Self { key: Zeroizing::new(keyring.digest("receipt pseudonyms", &[])) }
    }

    /// An id of a delivery or an event of a shop, as [`ShopPseudonyms::unless_made_by_machine`].
    pub fn unless_made_by_machine(&self, domain: &str, kind: &str, id: &str) -> String {
        // The usual case: no key of the shop is needed.
        if is_made_by_machine(id) { id.to_owned() } else { self.of_shop(domain).unless_made_by_machine(kind, id) }
    }

    /// Those of the shop at this domain, in lower case.
    pub fn of_shop(&self, domain: &str) -> ShopPseudonyms {
        let mut mac = keyed(&self.key);
        mac.update(domain.as_bytes());
        let key = Zeroizing::new(mac.finalize().into_bytes().into());
        ShopPseudonyms { mac: keyed(&key) }
    }
}

impl ShopPseudonyms {
    /// The pseudonym of a `value` of a kind (`customer`, `order`, …), in lower-case hex.
    pub fn of(&self, kind: &str, value: &str) -> String {
        let mut mac = self.mac.clone();
        mac.update(kind.as_bytes());
        mac.update(&[0]);
        mac.update(value.as_bytes());
        hex::encode(&mac.finalize().into_bytes()[..LEN])
    }

    /// An id of a delivery or an event: as it stands when a machine made it, else its pseudonym. It comes from an
    /// unsigned header, which could hold anything.
    pub fn unless_made_by_machine(&self, kind: &str, id: &str) -> String {
        if is_made_by_machine(id) { id.to_owned() } else { format!("pseudonym:{}", self.of(kind, id)) }
    }
}

/// UUIDs and the like. Our own ids of deliveries that came without one are not: `body-…`, and `…#…` for a conflict, hold a
/// digest of the body, which names people.
fn is_made_by_machine(id: &str) -> bool {
    id.len() <= MACHINE_LEN_MAX
        && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
        && id.bytes().filter(u8::is_ascii_hexdigit).count() >= MACHINE_DIGITS_MIN
}

/// HMAC under a key that is shorter than a block: RFC 2104 pads it with zeros.
fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    let mut block = Zeroizing::new([0; 64]);
    block[..32].copy_from_slice(key);
    Hmac::new((&*block).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_has_one_pseudonym_in_a_shop_and_another_in_every_other() {
        let pseudonyms = Pseudonyms::new(&Keyring::generate());
        let (ada, bea) = (pseudonyms.of_shop("ada.example"), pseudonyms.of_shop("bea.example"));
        assert_eq!(ada.of("order", "1001"), pseudonyms.of_shop("ada.example").of("order", "1001"));
        let all =
            [ada.of("order", "1001"), ada.of("customer", "1001"), ada.of("order", "1002"), bea.of("order", "1001")];
        for (i, one) in all.iter().enumerate() {
            assert_eq!(one.len(), 2 * LEN);
            assert!(!all[i + 1..].contains(one));
        }
        let elsewhere = Pseudonyms::new(&Keyring::generate());
        assert_ne!(elsewhere.of_shop("ada.example").of("order", "1001"), all[0], "the key is the installation's own");
    }

    #[test]
    fn a_pseudonym_is_the_hmac_that_the_document_says() {
        let pseudonyms = Pseudonyms { key: Zeroizing::new([7; 32]) };
        let hmac = |key: &[u8], message: &[u8]| -> Vec<u8> {
            let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
            mac.update(message);
            mac.finalize().into_bytes().to_vec()
        };
        let shop = hmac(&[7; 32], b"ada.example");
        let expected = hex::encode(&hmac(&shop, b"order\x001001")[..16]);
        assert_eq!(pseudonyms.of_shop("ada.example").of("order", "1001"), expected);
    }

    #[test]
    fn ids_that_a_machine_made_are_told_from_those_that_could_be_a_persons() {
        for id in ["b54557e4-bdd9-4b37-8a5f-bf7d70bcd043", "507f1f77bcf86cd799439011"] {
            assert!(is_made_by_machine(id), "{id}");
        }
        for id in [
            "",
            "jane@example.com",
            "+49-555-0147-11",
            "9007199254740993",
            "jane-doe-of-the-very-long-name-4711",
            "w-1",
            &format!("body-{}", "0f".repeat(32)),
            "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043#0123456789abcdef",
        ] {
            assert!(!is_made_by_machine(id), "{id}");
        }
    }
}
