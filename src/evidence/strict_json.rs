//! Refuses JSON that two readers may read differently: a name twice in one object, or bytes after the end.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Reads a value; names that `T` does not know are passed over.
///
/// # Errors
/// What is wrong and where, without quoting the text.
pub(super) fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    NoNameTwice.deserialize(&mut deserializer).and_then(|()| deserializer.end()).map_err(|error| told(&error))?;
    serde_json::from_slice(text).map_err(|error| told(&error))
}

/// An error of the parser may quote what it read: only its kind and place go on.
fn told(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Syntax => "it is not JSON",
        serde_json::error::Category::Eof => "it is cut off",
        _ if error.to_string().starts_with(TWICE) => TWICE,
        _ => "a field is missing, unknown, twice there or not of its kind",
    };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

const TWICE: &str = "an object has a name twice";

/// Walks through a value and keeps nothing of it. Depth is bounded by the parser, size by the caller.
struct NoNameTwice;

impl<'de> DeserializeSeed<'de> for NoNameTwice {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NoNameTwice {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = fields.next_key::<String>()? {
            if !names.insert(name) {
                return Err(A::Error::custom(TWICE));
            }
            fields.next_value_seed(Self)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_name_twice_is_refused_wherever_it_stands() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"b":[{"a":1,"a":2}]}"#, r#"{"a":1,"\u0061":2}"#] {
            let error = read::<Value>(text.as_bytes()).unwrap_err();
            assert!(error.starts_with(TWICE), "{text}: {error}");
        }
        assert_eq!(read::<Value>(br#" {"a":{"a":[1,-2,0.5,null,true,"x"]}} "#).unwrap()["a"]["a"][0], 1);
    }

    #[test]
    fn what_is_wrong_is_told_without_quoting_it() {
        let error = |text: &str| read::<u64>(text.as_bytes()).unwrap_err();
        assert_eq!(error("1 1"), "it is not JSON (line 1, column 3)");
        assert_eq!(error("[1,"), "it is cut off (line 1, column 3)");
        assert!(!error(r#""jane@example.com""#).contains("jane"));
        assert!(read::<Value>("[".repeat(100_000).as_bytes()).is_err(), "no stack overflows");
    }
}
