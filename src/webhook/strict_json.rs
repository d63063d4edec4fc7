//! JSON read in one pass and strictly: no key twice, no trailing bytes, limits on depth and size.
//!
//! Two readers of a body with a doubled key may see two different customers; such a body is refused. Texts without
//! escapes are borrowed from the body; the others are wiped on drop.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroizing;

const DEPTH_MAX: usize = 32;
/// Bounds the memory that a body of many tiny values can take.
const VALUES_MAX: usize = 100_000;
const NAME_LEN_MAX: usize = 64;
const SHOWN_DIGITS_MAX: usize = 4;

/// A value as read. Whole numbers from 0 are exact; for all others it is only known that they are numbers.
pub(super) enum Json<'a> {
    Null,
    Bool,
    Integer(u64),
    OtherNumber,
    Text(Text<'a>),
    List(Vec<Json<'a>>),
    Object(Object<'a>),
}

pub(super) type Object<'a> = BTreeMap<Cow<'a, str>, Json<'a>>;

/// A text, as it stands in the body or with its escapes resolved.
pub(super) enum Text<'a> {
    Plain(&'a str),
    Unescaped(Zeroizing<String>),
}

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Unescaped(text) => text,
        }
    }
}

/// Where in a body something is: names of fields, never values. Names that are no plain words are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldPath(String);

impl FieldPath {
    pub(super) fn of(path: &'static str) -> Self {
        Self(path.to_owned())
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("the top level") } else { write!(f, "`{}`", self.0) }
    }
}

/// A field's name as it may be shown: a plain word of at most 64 letters, digits and `_-`, else a stand-in. With more than four
/// digits it may be a phone number or somebody's id.
pub(super) fn shown(name: &str) -> &str {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    if (1..=NAME_LEN_MAX).contains(&name.len()) && name.bytes().all(plain) && digits <= SHOWN_DIGITS_MAX {
        name
    } else {
        "(odd name)"
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    NotJson,
    NotAnObject,
    DuplicateKey,
    TooDeep,
    TooManyValues,
}

/// Reads a body whose top level must be an object.
pub(super) fn parse(body: &[u8]) -> Result<Object<'_>, (Fault, FieldPath)> {
    let reading = Reading::default();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = Seed { reading: &reading, depth: 0 }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    match value {
        Ok(Json::Object(object)) => Ok(object),
        Ok(_) => Err((Fault::NotAnObject, FieldPath::default())),
        // The parser's message is dropped: it may quote the body.
        Err(_) => Err((reading.fault.get().unwrap_or(Fault::NotJson), reading.path())),
    }
}

/// What one pass keeps count of, and, when it fails, why and where.
#[derive(Default)]
struct Reading {
    values: Cell<usize>,
    fault: Cell<Option<Fault>>,
    /// Innermost first: filled on the way out of a failure, so that success costs nothing.
    path: RefCell<Vec<String>>,
}

impl Reading {
    fn fail<E: serde::de::Error>(&self, fault: Fault) -> E {
        self.fault.set(Some(fault));
        E::custom("refused")
    }

    fn failed_in(&self, step: &str) {
        self.path.borrow_mut().push(step.to_owned());
    }

    fn path(&self) -> FieldPath {
        let mut path = String::new();
        for step in self.path.borrow().iter().rev() {
            if !path.is_empty() && step != "[]" {
                path.push('.');
            }
            path.push_str(step);
        }
        FieldPath(path)
    }
}

#[derive(Clone, Copy)]
struct Seed<'r> {
    reading: &'r Reading,
    depth: usize,
}

impl<'r> Seed<'r> {
    fn deeper<E: serde::de::Error>(self) -> Result<Seed<'r>, E> {
        let depth = self.depth + 1;
        if depth > DEPTH_MAX { Err(self.reading.fail(Fault::TooDeep)) } else { Ok(Seed { depth, ..self }) }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        let values = self.reading.values.get() + 1;
        self.reading.values.set(values);
        if values > VALUES_MAX {
            return Err(self.reading.fail(Fault::TooManyValues));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(Json::Integer(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json<'de>, E> {
        Ok(u64::try_from(number).map_or(Json::OtherNumber, Json::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json<'de>, E> {
        Ok(Json::OtherNumber)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Text::Plain(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Text::Unescaped(Zeroizing::new(text.to_owned()))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let seed = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(seed).inspect_err(|_| self.reading.failed_in("[]"))? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Json<'de>, A::Error> {
        let seed = self.deeper()?;
        let mut object = Object::new();
        while let Some(name) = fields.next_key_seed(NameSeed)? {
            if object.contains_key(&name) {
                self.reading.failed_in(shown(&name));
                return Err(self.reading.fail(Fault::DuplicateKey));
            }
            let value = fields.next_value_seed(seed).inspect_err(|_| self.reading.failed_in(shown(&name)))?;
            object.insert(name, value);
        }
        Ok(Json::Object(object))
    }
}

/// Reads a field's name, borrowed when it has no escapes.
struct NameSeed;

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for NameSeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

#[cfg(test)]
mod tests;
