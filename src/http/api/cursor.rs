//! Marks a place in a list, so that the next page starts after it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

/// The last row of a page. Lists run from the newest to the oldest, and by id where two rows are equally old.
///
/// Outside it is opaque text; only what [`Cursor::parse`] reads back is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When that row was created.
    pub created_at: DateTime<Utc>,
    /// That row's id.
    pub id: String,
}

impl Cursor {
    /// The text that callers see and send back.
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("1 {} {}", self.created_at.timestamp_millis(), self.id))
    }

    /// Reads the text back; `None` when it is not one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (version, rest) = plain.split_once(' ')?;
        let (millis, id) = rest.split_once(' ')?;
        let created_at = DateTime::from_timestamp_millis(millis.parse().ok()?)?;
        (version == "1" && super::query::is_id(id)).then(|| Self { created_at, id: id.to_owned() })
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_is_one() {
        let created_at = DateTime::from_timestamp_millis(1_763_703_000_123).unwrap();
        let cursor = Cursor { created_at, id: "gdpr_0197".into() };
        assert_eq!(Cursor::parse(&cursor.to_text()), Some(cursor));
        let foreign = |plain: &str| Cursor::parse(&URL_SAFE_NO_PAD.encode(plain));
        for plain in ["", "1", "1 2", "2 3 gdpr_1", "1 x gdpr_1", "1 3 ", "1 3 a'b", "1 99999999999999999 gdpr_1"] {
            assert_eq!(foreign(plain), None, "{plain}");
        }
        assert_eq!(Cursor::parse("%%%"), None);
    }
}
