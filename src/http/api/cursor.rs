//! Marks a place in a list, so that the next page starts after it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Serialize, Serializer};

/// The last row of a page. Lists run from the newest to the oldest, which is by id: ids sort by the time they were made.
///
/// Outside it is opaque text; only what [`Cursor::parse`] reads back is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// That row's id.
    pub id: String,
}

impl Cursor {
    /// The text that callers see and send back.
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("1 {}", self.id))
    }

    /// Reads the text back; `None` when it is not one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (version, id) = plain.split_once(' ')?;
        (version == "1" && super::query::is_id(id)).then(|| Self { id: id.to_owned() })
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
        let cursor = Cursor { id: "gdpr_0197".into() };
        assert_eq!(Cursor::parse(&cursor.to_text()), Some(cursor));
        let foreign = |plain: &str| Cursor::parse(&URL_SAFE_NO_PAD.encode(plain));
        for plain in ["", "1", "1 ", "2 gdpr_1", "1 gdpr_1 gdpr_2", "1 a'b"] {
            assert_eq!(foreign(plain), None, "{plain}");
        }
        assert_eq!(Cursor::parse("%%%"), None);
    }
}
