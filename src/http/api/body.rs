//! Reads what a caller sends: one JSON object.

use serde::de::DeserializeOwned;

/// The object in a body; none when it is another one, or no object. A list would be taken for the fields in their order:
/// nobody may order an erasure or a run by sending `[]`.
pub(super) fn object<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    if !body.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    serde_json::from_slice(body).ok()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::object;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wish {
        dry: Option<bool>,
    }

    #[test]
    fn only_one_object_without_a_field_twice_is_taken() {
        assert_eq!(object(br#" {"dry": true} "#), Some(Wish { dry: Some(true) }));
        assert_eq!(object(b"{}"), Some(Wish { dry: None }));
        for other in ["", "[]", "[true]", "null", "true", r#"{"dry": true, "dry": false}"#, "{} {}", r#"{"wet": 1}"#] {
            assert_eq!(object::<Wish>(other.as_bytes()), None, "{other}");
        }
    }
}
