//! What a mask does to a value, and how its work is known again.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::seal;

/// What `redact` leaves.
pub const REDACTED: &str = "***REDACTED***";
/// What the work of `hash` begins with; 64 lower-case hexadecimal digits follow.
pub const HASHED: &str = "hash:";
/// What the work of `encrypt` begins with; an envelope of [`crate::seal`] in base64url follows.
pub const SEALED: &str = "enc:";

/// One way to mask a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `***REDACTED***` takes its place.
    Redact,
    /// A keyed hash takes its place: equal values of one shop stay equal, nobody without the key can try values.
    Hash,
    /// SHA-256 of salt and value, for what other systems computed that way. Whoever knows the salt can try values.
    SaltedHash(Salt),
    /// An envelope takes its place that only the keys open.
    Encrypt,
    /// The field goes.
    Remove,
}

/// A salt, which tells whoever knows it how to try values: never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Salt(String);

impl Salt {
    /// A salt; none when it is empty, which would be no salt at all.
    pub fn new(salt: &str) -> Option<Self> {
        (!salt.is_empty()).then(|| Self(salt.to_owned()))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(***)")
    }
}

impl Mode {
    /// The names that policies and data maps use.
    pub const NAMES: [&'static str; 4] = ["redact", "hash", "encrypt", "remove"];

    /// The mode of that name; `hash` is the keyed one.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "redact" => Some(Self::Redact),
            "hash" => Some(Self::Hash),
            "encrypt" => Some(Self::Encrypt),
            "remove" => Some(Self::Remove),
            _ => None,
        }
    }

    /// Its name in policies and data maps.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Redact => "redact",
            Self::Hash | Self::SaltedHash(_) => "hash",
            Self::Encrypt => "encrypt",
            Self::Remove => "remove",
        }
    }

    /// Whether it takes a key of the keyring, and so a shop to derive it for.
    pub fn is_keyed(&self) -> bool {
        matches!(self, Self::Hash | Self::Encrypt)
    }
}

/// Whether `text` is what `mode` leaves behind, by its form: such a text is masked already and left alone.
///
/// A form can be imitated: see "What it does not promise" in `docs/redaction.md`.
pub fn is_masked(mode: &Mode, text: &str) -> bool {
    match mode {
        Mode::Redact => text == REDACTED,
        Mode::Hash | Mode::SaltedHash(_) => text.strip_prefix(HASHED).is_some_and(is_digest),
        Mode::Encrypt => envelope(text).is_some(),
        Mode::Remove => false,
    }
}

fn is_digest(hex: &str) -> bool {
    hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The envelope that `encrypt` left, if the text has the form of one. Nothing is proven yet: opening does that.
pub(super) fn envelope(text: &str) -> Option<Vec<u8>> {
    let sealed = URL_SAFE_NO_PAD.decode(text.strip_prefix(SEALED)?).ok()?;
    seal::is_envelope(&sealed).then_some(sealed)
}

/// The text that stands for an envelope.
pub(super) fn sealed_text(envelope: &[u8]) -> String {
    let mut text = SEALED.to_owned();
    URL_SAFE_NO_PAD.encode_string(envelope, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_mode_of_that_name() {
        for name in Mode::NAMES {
            assert_eq!(Mode::parse(name).unwrap().as_str(), name);
        }
        assert_eq!(Mode::parse("Redact"), None);
    }

    #[test]
    fn only_the_whole_form_counts_as_masked() {
        let digest = "0123456789abcdef".repeat(4);
        let hash = format!("hash:{digest}");
        assert!(is_masked(&Mode::Redact, REDACTED));
        assert!(is_masked(&Mode::Hash, &hash));
        for text in ["***redacted***", "***REDACTED*** ", &hash] {
            assert!(!is_masked(&Mode::Redact, text), "{text}");
        }
        for text in [REDACTED, "hash:", &hash[..68], &format!("{hash}0"), &hash.to_uppercase(), &digest] {
            assert!(!is_masked(&Mode::Hash, text), "{text}");
        }
        for text in ["enc:", "enc:john@example.com", "enc:AWprZWstMQ", &hash, "enc:AQVrZWstMQ"] {
            assert!(!is_masked(&Mode::Encrypt, text), "{text}");
        }
        assert!(!is_masked(&Mode::Remove, REDACTED));
    }

    #[test]
    fn a_salt_is_not_printed() {
        let mode = Mode::SaltedHash(Salt::new("hunter2").unwrap());
        assert_eq!(format!("{mode:?}"), "SaltedHash(Salt(***))");
        assert!(Salt::new("").is_none());
    }
}
