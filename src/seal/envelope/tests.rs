use std::collections::HashSet;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Golden {
    envelope: GoldenEnvelope,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GoldenEnvelope {
    key_id: String,
    key: String,
    table: String,
    row: String,
    column: String,
    shop: String,
    random: String,
    plain: String,
    sealed: String,
}

impl GoldenEnvelope {
    fn load() -> Self {
        serde_json::from_str::<Golden>(include_str!("../../../tests/vectors/seal-v1.json")).unwrap().envelope
    }

    fn key(&self) -> ContentKey {
        ContentKey::new(self.key_id.as_str(), hex::decode(&self.key).unwrap().try_into().unwrap()).unwrap()
    }

    fn aad(&self) -> Aad<'_> {
        Aad { table: &self.table, row: &self.row, column: &self.column, shop: &self.shop }
    }

    fn sealed(&self) -> Vec<u8> {
        hex::decode(&self.sealed).unwrap()
    }
}

const AAD: Aad<'static> = Aad { table: "GDPRJob", row: "gdpr_1", column: "payload", shop: "a.example.com" };

fn key() -> ContentKey {
    ContentKey::random("test", NaiveDate::from_ymd_opt(2026, 11, 21).unwrap()).unwrap()
}

#[test]
fn a_value_sealed_by_an_earlier_version_still_opens() {
    let golden = GoldenEnvelope::load();
    let sealed = golden.sealed();
    assert_eq!(key_id(&sealed).unwrap(), golden.key_id);
    assert_eq!(open(&golden.key(), &golden.aad(), &sealed).unwrap().expose(), golden.plain.as_bytes());
}

#[test]
fn the_sealed_format_stays_as_it_is() {
    let golden = GoldenEnvelope::load();
    let random = hex::decode(&golden.random).unwrap().try_into().unwrap();
    let sealed = seal_with(&golden.key(), &golden.aad(), golden.plain.as_bytes(), &random);
    assert_eq!(hex::encode(sealed), golden.sealed);
}

#[test]
fn a_value_with_any_bit_flipped_does_not_open() {
    let golden = GoldenEnvelope::load();
    for at in 0..golden.sealed().len() {
        for bit in 0..8 {
            let mut altered = golden.sealed();
            altered[at] ^= 1 << bit;
            assert!(open(&golden.key(), &golden.aad(), &altered).is_err(), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn a_value_cut_short_or_with_a_tail_does_not_open() {
    let golden = GoldenEnvelope::load();
    let sealed = golden.sealed();
    for len in 0..sealed.len() {
        assert!(open(&golden.key(), &golden.aad(), &sealed[..len]).is_err(), "{len} bytes");
    }
    assert!(open(&golden.key(), &golden.aad(), &[sealed.as_slice(), b"\0"].concat()).is_err());
}

#[test]
fn a_value_opens_only_where_it_belongs() {
    let key = key();
    let sealed = seal(&key, &AAD, b"personal");
    assert_eq!(open(&key, &AAD, &sealed).unwrap().expose(), b"personal");
    let elsewhere = [
        Aad { table: "WebhookLog", ..AAD },
        Aad { row: "gdpr_2", ..AAD },
        Aad { column: "result", ..AAD },
        Aad { shop: "b.example.com", ..AAD },
        // The same letters, parted in another way.
        Aad { row: "gdpr_1p", column: "ayload", ..AAD },
    ];
    for aad in elsewhere {
        assert!(matches!(open(&key, &aad, &sealed), Err(SealError::NotAuthentic)), "{aad:?}");
    }
}

#[test]
fn the_key_is_picked_by_its_id() {
    let (one, other) = (key(), key());
    let sealed = seal(&one, &AAD, b"personal");
    assert_eq!(key_id(&sealed).unwrap(), one.id());
    assert!(matches!(open(&other, &AAD, &sealed), Err(SealError::WrongKey { .. })));
    // Another secret under the same id is found out as well.
    let impostor = ContentKey::new(one.id(), *other.key()).unwrap();
    assert!(matches!(open(&impostor, &AAD, &sealed), Err(SealError::NotAuthentic)));
}

#[test]
fn no_two_seals_share_a_data_key_or_a_nonce() {
    let key = key();
    let start = 2 + key.id().len();
    let mut seen = HashSet::new();
    for _ in 0..1000 {
        let sealed = seal(&key, &AAD, b"");
        let nonce_at = start + WRAPPED_LEN;
        assert!(seen.insert(sealed[start..start + NONCE_LEN].to_vec()));
        assert!(seen.insert(sealed[nonce_at..nonce_at + NONCE_LEN].to_vec()));
        let tag_at = sealed.len() - TAG_LEN;
        assert!(seen.insert(sealed[tag_at..].to_vec()));
    }
}

#[test]
fn a_key_id_that_could_not_be_stored_is_refused() {
    let long = "k".repeat(256);
    for id in ["", "a b", "ä", "a\0", &long] {
        assert!(matches!(ContentKey::new(id, [0; 32]), Err(SealError::BadKeyId)), "{id:?}");
    }
    assert!(ContentKey::new("k".repeat(255), [0; 32]).is_ok());
}

#[test]
fn a_content_keys_id_tells_its_purpose_and_day() {
    let key = key();
    let random = key.id().strip_prefix("test-2026-11-21-").unwrap();
    assert_eq!(random.len(), 8);
    assert!(random.bytes().all(|byte| byte.is_ascii_hexdigit()));
}

#[test]
fn a_content_key_is_not_printed() {
    let key = ContentKey::new("shown", [0xab; 32]).unwrap();
    assert_eq!(format!("{key:?}"), r#"ContentKey { id: "shown", .. }"#);
}

proptest! {
    #[test]
    fn every_payload_comes_back_as_it_was(plain: Vec<u8>) {
        let key = key();
        let sealed = seal(&key, &AAD, &plain);
        let opened = open(&key, &AAD, &sealed).unwrap();
        prop_assert_eq!(opened.expose(), &plain);
    }

    #[test]
    fn no_bytes_make_opening_panic(version in 0u8..3, mut bytes: Vec<u8>) {
        bytes.insert(0, version);
        let key = ContentKey::new("k", [0; 32]).unwrap();
        prop_assert!(open(&key, &AAD, &bytes).is_err());
    }
}
