//! Makes the leaf of an audit entry: a commitment to each field, so that a field can be withheld and the leaf still
//! verifies.
//!
//! `docs/evidence-format.md` tells the same to whoever writes another verifier. Pure: nothing is read or stored here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use entity::audit_log;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::canonical::canonical;
use super::merkle::{self, Hash};

/// Bytes of the salt of a field.
pub const SALT_LEN: usize = 16;
/// What the name of a fact in the metadata begins with.
pub const METADATA: &str = "metadata.";

/// The random bytes of one entry, from which those of its fields are derived. `Debug` shows nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EntrySalt(pub [u8; 32]);

impl fmt::Debug for EntrySalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EntrySalt")
    }
}

/// The random bytes of one field.
pub type FieldSalt = [u8; SALT_LEN];

/// What an entry tells of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// The value, and the salt that shows that it is the one committed to.
    Open { value: Value, salt: FieldSalt },
    /// The commitment alone: the value is withheld.
    Withheld { commitment: Hash },
}

impl Field {
    /// What the leaf holds of the field called `name`.
    pub fn commitment(&self, name: &str) -> Hash {
        match self {
            Self::Open { value, salt } => commitment(name, salt, value),
            Self::Withheld { commitment } => *commitment,
        }
    }

    /// The value, if it is told.
    pub fn value(&self) -> Option<&Value> {
        match self {
            Self::Open { value, .. } => Some(value),
            Self::Withheld { .. } => None,
        }
    }
}

/// The fields of an entry, by name.
pub type Fields = BTreeMap<String, Field>;

/// The fields of a row of `"AuditLog"`, all of them told.
///
/// The facts of the metadata are fields of their own, `metadata.NAME`; metadata that holds no facts is one field, `metadata`.
pub fn fields(entry: &audit_log::Model, salt: &EntrySalt) -> Fields {
    let mut fields = Fields::new();
    let salts = FieldSalts::of(salt);
    let mut add = |name: String, value: Value| {
        let salt = salts.of_field(&name);
        fields.insert(name, Field::Open { value, salt });
    };
    let text = |text: &str| Value::from(text);
    let or_null = |text: Option<&str>| text.map_or(Value::Null, Value::from);
    for (name, value) in [
        ("id", text(&entry.id)),
        ("actorType", text(&entry.actor_type)),
        ("actorId", text(&entry.actor_id)),
        ("action", text(entry.action.as_str())),
        ("resourceType", text(&entry.resource_type)),
        ("resourceId", text(&entry.resource_id)),
        ("shopDomain", or_null(entry.shop_domain.as_deref())),
        ("ipAddress", or_null(entry.ip_address.as_deref())),
        ("createdAt", Value::from(crate::clock::rfc3339(entry.created_at))),
    ] {
        add(name.to_owned(), value);
    }
    match &entry.metadata {
        Some(Value::Object(facts)) if !facts.is_empty() => {
            for (name, value) in facts {
                add([METADATA, name].concat(), value.clone());
            }
        }
        other => add("metadata".to_owned(), other.clone().unwrap_or(Value::Null)),
    }
    fields
}

/// The leaf hash of a row: what the tree holds of it.
pub fn hash_of_entry(entry: &audit_log::Model, salt: &EntrySalt) -> Hash {
    hash(&fields(entry, salt))
}

/// The leaf hash of fields that are told or withheld.
pub fn hash(fields: &Fields) -> Hash {
    merkle::leaf_hash(data(fields).as_bytes())
}

/// What the leaf hash is taken over: a line for each field, in the order of the escaped names.
pub fn data(fields: &Fields) -> String {
    let mut lines: Vec<(Cow<'_, str>, Hash)> =
        fields.iter().map(|(name, field)| (escaped(name), field.commitment(name))).collect();
    lines.sort_unstable();
    let mut data = "efface/entry/v1\n".to_owned();
    for (name, commitment) in lines {
        let _ = writeln!(data, "{name} {}", STANDARD.encode(commitment));
    }
    data
}

/// Derives the salts of an entry's fields: keyed once, as there are a dozen.
struct FieldSalts(Hmac<Sha256>);

impl FieldSalts {
    fn of(entry: &EntrySalt) -> Self {
        let mut block = [0; 64];
        block[..32].copy_from_slice(&entry.0);
        // RFC 2104 pads a short key with zeros.
        let mut mac: Hmac<Sha256> = Hmac::new((&block).into());
        mac.update(b"efface/field-salt/v1\0");
        Self(mac)
    }

    /// The salt of a field. Who knows it and the commitment can try values; who does not, learns nothing.
    fn of_field(&self, name: &str) -> FieldSalt {
        let mac = self.0.clone().chain_update(escaped(name).as_bytes());
        let mut salt = [0; SALT_LEN];
        salt.copy_from_slice(&mac.finalize().into_bytes()[..SALT_LEN]);
        salt
    }
}

/// The commitment to a value of the field called `name`.
pub fn commitment(name: &str, salt: &FieldSalt, value: &Value) -> Hash {
    Sha256::new_with_prefix(b"efface/field/v1\0")
        .chain_update(salt)
        .chain_update(escaped(name).as_bytes())
        .chain_update([0])
        .chain_update(canonical(value))
        .finalize()
        .into()
}

/// A name without spaces, control characters and other letters than ASCII's: their bytes, and `%`, are written `%XX`.
fn escaped(name: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'%';
    if name.bytes().all(is_plain) {
        return Cow::Borrowed(name);
    }
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if is_plain(byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use entity::audit_log::Action;
    use serde_json::json;

    use super::*;

    fn entry(metadata: Option<Value>) -> audit_log::Model {
        audit_log::Model {
            id: "0199".to_owned(),
            actor_type: "system".to_owned(),
            actor_id: "worker".to_owned(),
            action: Action::Update,
            resource_type: "GDPRJob".to_owned(),
            resource_id: "gdpr_1".to_owned(),
            shop_domain: Some("a.example".to_owned()),
            metadata,
            ip_address: None,
            created_at: chrono::DateTime::from_timestamp_millis(1_800_000_000_123).unwrap(),
            salt: vec![7; 32],
            ordinal: 1,
        }
    }

    const SALT: EntrySalt = EntrySalt([7; 32]);

    #[test]
    fn a_leaf_is_what_the_document_says() {
        let (mut mac, mut expected) = (Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap(), String::new());
        mac.update(b"efface/field-salt/v1\0metadata.a%20b");
        let salt = &mac.finalize().into_bytes()[..16];
        assert_eq!(FieldSalts::of(&SALT).of_field("metadata.a b"), salt);
        let digest = Sha256::digest([b"efface/field/v1\0", salt, b"metadata.a%20b\0{\"x\":1}"].concat());
        let _ = writeln!(expected, "metadata.a%20b {}", STANDARD.encode(digest));
        assert!(data(&fields(&entry(Some(json!({"a b": {"x": 1}}))), &SALT)).contains(&expected));
    }

    #[test]
    fn a_leaf_is_pinned() {
        let leaf = hash_of_entry(&entry(Some(json!({"status": "failed", "attempts": 3}))), &SALT);
        assert_eq!(hex::encode(leaf), "27284da0aa4882da413f5d15112fc383e58ba4f7bcadca4ea6edff5077683cce");
    }

    #[test]
    fn withholding_any_field_leaves_the_leaf_as_it_was_and_changing_any_does_not() {
        let whole = fields(&entry(Some(json!({"status": "failed", "attempts": 3}))), &SALT);
        assert_eq!(whole.len(), 11);
        for name in whole.keys() {
            let mut other = whole.clone();
            let commitment = whole[name].commitment(name);
            other.insert(name.clone(), Field::Withheld { commitment });
            assert_eq!(hash(&other), hash(&whole), "{name}");
            other.remove(name);
            assert_ne!(hash(&other), hash(&whole), "{name}");
            other.insert(name.clone(), Field::Open { value: json!("x"), salt: FieldSalts::of(&SALT).of_field(name) });
            assert_ne!(hash(&other), hash(&whole), "{name}");
            other.insert(name.clone(), Field::Withheld { commitment: [0; 32] });
            assert_ne!(hash(&other), hash(&whole), "{name}");
        }
    }

    #[test]
    fn names_cannot_run_into_one_another() {
        let leaves: Vec<Hash> = [
            None,
            Some(json!({})),
            Some(json!([])),
            Some(json!({"a": null})),
            Some(json!({"a": {}})),
            Some(json!({"a b": 1, "c": 2})),
            Some(json!({"a": 1, "b c": 2})),
            Some(json!({"a%20b": 1, "c": 2})),
            Some(json!({"a\nmetadata.c": 2})),
        ]
        .into_iter()
        .map(|metadata| hash_of_entry(&entry(metadata), &SALT))
        .collect();
        let different: std::collections::HashSet<&Hash> = leaves.iter().collect();
        assert_eq!(different.len(), leaves.len());
        assert_eq!(escaped("a b\u{e9}%\n"), "a%20b%C3%A9%25%0A");
    }

    #[test]
    fn a_salt_is_not_printed() {
        assert_eq!(format!("{SALT:?}"), "EntrySalt");
    }
}
