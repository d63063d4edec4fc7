//! Ids of the outside world, exact: a 64-bit number or a text, never a float.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::de::{Error as _, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const TEXT_LEN_MAX: usize = 255;
/// Above this, JavaScript readers of JSON numbers would see another id.
const JSON_NUMBER_MAX: u64 = 1 << 53;

/// An id given by the provider: of a customer, an order, a shop, a data request.
///
/// The number `7` and the text `"7"` are the same id: providers and apps write it either way.
#[derive(Clone)]
pub enum ExternalId {
    Number(u64),
    /// As sent: `#72348`, `gid://shopify/Order/123`. 1 to 255 bytes, neither blank nor with control characters.
    Text(String),
}

impl ExternalId {
    /// Takes a text as id, exactly as it is. None when it is blank, too long, or holds control characters.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() <= TEXT_LEN_MAX && !text.trim().is_empty() && !text.chars().any(char::is_control);
        fits.then(|| Self::Text(text.to_owned()))
    }

    /// The id as apps store it in text columns.
    pub fn as_text(&self) -> Cow<'_, str> {
        match self {
            Self::Number(number) => Cow::Owned(number.to_string()),
            Self::Text(text) => Cow::Borrowed(text),
        }
    }

    /// The id without what is wrapped around it: `123` for `gid://shopify/Order/123`, else as [`Self::as_text`].
    pub fn plain(&self) -> Cow<'_, str> {
        match self {
            Self::Number(number) => Cow::Owned(number.to_string()),
            Self::Text(text) => Cow::Borrowed(plain_of(text)),
        }
    }

    /// Whether it is an e-mail address or a phone number that somebody uses as an id.
    pub fn is_contact(&self) -> bool {
        match self {
            Self::Number(_) => false,
            Self::Text(text) => text.contains('@') || text.trim_start().starts_with('+'),
        }
    }

    /// The id in our own JSON: a number only where every reader keeps it exact, else a string.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Number(number) if *number <= JSON_NUMBER_MAX => (*number).into(),
            _ => self.as_text().into(),
        }
    }

    /// What two spellings of one id have in common.
    fn key(&self) -> Result<u64, &str> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Text(text) => canonical_number(text).ok_or(text),
        }
    }
}

fn plain_of(text: &str) -> &str {
    let Some(path) = text.strip_prefix("gid://") else { return text };
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    match path.rsplit_once('/') {
        Some((_, id)) if !id.is_empty() => id,
        _ => text,
    }
}

/// The number that a text spells in the only way [`ExternalId::as_text`] would spell it.
fn canonical_number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) { None } else { text.parse().ok() }
}

/// Whether nothing but digits and `#` is in it.
fn is_numbered(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'#' || byte.is_ascii_digit())
}

impl PartialEq for ExternalId {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for ExternalId {}

impl Hash for ExternalId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// Prints only what can be nothing but an id: some sender may use an e-mail address as one.
impl fmt::Debug for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "Number({number})"),
            Self::Text(text) if !text.contains('@') && is_numbered(plain_of(text)) => write!(f, "Text({text:?})"),
            Self::Text(text) => write!(f, "Text([{} bytes])", text.len()),
        }
    }
}

impl Serialize for ExternalId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ExternalId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IdVisitor;

        impl Visitor<'_> for IdVisitor {
            type Value = ExternalId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id: a whole number from 0, or a text of 1 to 255 bytes")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<ExternalId, E> {
                Ok(ExternalId::Number(number))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ExternalId, E> {
                ExternalId::parse(text).ok_or_else(|| E::invalid_value(Unexpected::Other("another text"), &self))
            }
        }

        deserializer.deserialize_any(IdVisitor).map_err(|_| D::Error::custom("not an id"))
    }
}

#[cfg(test)]
mod tests;
