//! Where in a JSON document something is: `line_items[*].email`, `a.b[0]`, `[*]`, `note["odd key"]`.
//!
//! A name is a key of an object; names follow one another with dots. Brackets hold `*` (each element of a list), a
//! number (one element, from 0), or a key in double quotes as JSON writes it, for keys that are no plain names. `*`
//! stands for elements of lists only, never for keys.

use std::fmt;
use std::str::FromStr;

/// More than any document needs; bounds how deep the engine goes.
const SEGMENTS_MAX: usize = 64;
const BYTES_MAX: usize = 4096;

/// One step down into a document.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Segment {
    /// The value of this key of an object.
    Key(String),
    /// This element of a list, counted from 0.
    Index(usize),
    /// Every element of a list.
    Each,
}

/// A way from the top of a document to values in it, at least one step long.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JsonPath(Vec<Segment>);

/// Why a text is no path. Quotes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {what}")]
pub struct PathError {
    /// Counted from 1.
    pub at: usize,
    pub what: &'static str,
}

impl JsonPath {
    /// Reads a path.
    ///
    /// # Errors
    /// [`PathError`] with the first character that does not fit.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        Reader { text, at: 0 }.path()
    }

    /// Its steps from the top down.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Its steps from the top down, one by one.
    pub fn iter(&self) -> std::slice::Iter<'_, Segment> {
        self.0.iter()
    }

    /// The path with every number replaced by `*`, after `at`, where the document stands (empty for the document alone):
    /// what an encrypted value is bound to, so that it still opens when elements before it are gone.
    pub fn place(&self, at: &str) -> String {
        let mut place = at.to_owned();
        for segment in &self.0 {
            match segment {
                Segment::Key(key) => push_key(&mut place, key),
                Segment::Index(_) | Segment::Each => place.push_str("[*]"),
            }
        }
        place
    }
}

impl<'a> IntoIterator for &'a JsonPath {
    type Item = &'a Segment;
    type IntoIter = std::slice::Iter<'a, Segment>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromStr for JsonPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) => {
                    let mut step = String::new();
                    push_step(&mut step, key, at == 0);
                    f.write_str(&step)?;
                }
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Each => f.write_str("[*]")?,
            }
        }
        Ok(())
    }
}

/// Appends the step to a key, as [`JsonPath`] prints it.
pub(super) fn push_key(path: &mut String, key: &str) {
    push_step(path, key, path.is_empty());
}

fn push_step(path: &mut String, key: &str, first: bool) {
    if is_plain(key) && !(first && key == "$") {
        if !first {
            path.push('.');
        }
        path.push_str(key);
    } else {
        path.push('[');
        path.push_str(&serde_json::Value::from(key).to_string());
        path.push(']');
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.chars().all(is_plain_char)
}

fn is_plain_char(c: char) -> bool {
    !matches!(c, '.' | '[' | ']' | '"' | '*') && !c.is_whitespace() && !c.is_control()
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn path(mut self) -> Result<JsonPath, PathError> {
        if self.text.len() > BYTES_MAX {
            return Err(self.wrong("a path is at most 4096 bytes long"));
        }
        let mut segments = Vec::new();
        while segments.is_empty() || !self.rest().is_empty() {
            if segments.len() == SEGMENTS_MAX {
                return Err(self.wrong("a path has at most 64 steps"));
            }
            let segment = if self.takes("[") {
                self.bracket()?
            } else if segments.is_empty() || self.takes(".") {
                self.name(segments.is_empty())?
            } else {
                return Err(self.wrong("expected `.`, `[` or the end"));
            };
            segments.push(segment);
        }
        Ok(JsonPath(segments))
    }

    fn name(&mut self, first: bool) -> Result<Segment, PathError> {
        let rest = self.rest();
        let name = &rest[..rest.find(|c| !is_plain_char(c)).unwrap_or(rest.len())];
        if name.is_empty() {
            let what = match rest.chars().next() {
                Some('*') => "`*` stands for the elements of a list and in brackets: `[*]`",
                None => "the path ends where a name is expected",
                Some(_) => "expected a name; a key that is no plain name is written [\"…\"]",
            };
            return Err(self.wrong(what));
        }
        if first && name == "$" {
            return Err(
                self.wrong("a path begins with the first name, without `$`; a key of that name is written [\"$\"]")
            );
        }
        let name = name.to_owned();
        self.at += name.len();
        Ok(Segment::Key(name))
    }

    /// What follows an opening bracket, with the closing one.
    fn bracket(&mut self) -> Result<Segment, PathError> {
        let rest = self.rest();
        let segment = if self.takes("*") {
            Segment::Each
        } else if rest.starts_with('"') {
            let mut quoted = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            match quoted.next() {
                Some(Ok(key)) => {
                    self.at += quoted.byte_offset();
                    Segment::Key(key)
                }
                _ => return Err(self.wrong("expected a key in double quotes, as JSON writes it")),
            }
        } else {
            let digits = &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())];
            match digits.parse() {
                Ok(index) => {
                    self.at += digits.len();
                    Segment::Index(index)
                }
                Err(_) => return Err(self.wrong("expected `*`, a number or a key in double quotes")),
            }
        };
        if self.takes("]") { Ok(segment) } else { Err(self.wrong("expected `]`")) }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn takes(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn wrong(&self, what: &'static str) -> PathError {
        PathError { at: self.text[..self.at].chars().count() + 1, what }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(name: &str) -> Segment {
        Segment::Key(name.to_owned())
    }

    #[test]
    fn paths_are_read_step_by_step() {
        for (text, steps) in [
            ("email", vec![key("email")]),
            ("line_items[*].email", vec![key("line_items"), Segment::Each, key("email")]),
            ("a.b[0]", vec![key("a"), key("b"), Segment::Index(0)]),
            ("[*]", vec![Segment::Each]),
            ("[*][2].c", vec![Segment::Each, Segment::Index(2), key("c")]),
            (r#"note["a.b"]["c\"d"].e"#, vec![key("note"), key("a.b"), key("c\"d"), key("e")]),
            (r#"[""]"#, vec![key("")]),
            ("größe.2.x-y_z", vec![key("größe"), key("2"), key("x-y_z")]),
            (r#"["$"].$ref"#, vec![key("$"), key("$ref")]),
        ] {
            let path = JsonPath::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(path.segments(), steps, "{text}");
            assert_eq!(path.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_path_is_refused_where_it_goes_wrong() {
        for (text, at) in [
            ("", 1),
            (".a", 1),
            ("a.", 3),
            ("a..b", 3),
            ("a.*", 3),
            ("*", 1),
            ("$.a", 1),
            ("a[", 3),
            ("a[1", 4),
            ("a[-1]", 3),
            ("a[b]", 3),
            ("a[\"b]", 3),
            ("a[*]b", 5),
            ("a b", 2),
            ("ä b", 2),
            ("a]", 2),
            ("a[99999999999999999999]", 3),
        ] {
            let error = JsonPath::parse(text).unwrap_err();
            assert_eq!(error.at, at, "{text}: {error}");
        }
        assert!(JsonPath::parse(&"[*]".repeat(65)).is_err());
        assert!(JsonPath::parse(&"a".repeat(5000)).is_err());
    }

    #[test]
    fn a_place_has_no_numbers() {
        let place = |at: &str, text: &str| JsonPath::parse(text).unwrap().place(at);
        assert_eq!(place("", "a[3].b[*][0]"), "a[*].b[*][*]");
        assert_eq!(place("", r#"["a b"].c"#), r#"["a b"].c"#);
        assert_eq!(place("Order.payload", "a[3]"), "Order.payload.a[*]");
        assert_eq!(place("Order.payload", "[3].a"), "Order.payload[*].a");
    }

    pub(super) fn segment() -> impl Strategy<Value = Segment> {
        prop_oneof![any::<String>().prop_map(Segment::Key), (0usize..9).prop_map(Segment::Index), Just(Segment::Each)]
    }

    proptest! {
        #[test]
        fn a_printed_path_reads_back_the_same(segments in prop::collection::vec(segment(), 1..6)) {
            let path = JsonPath(segments);
            prop_assert_eq!(JsonPath::parse(&path.to_string()), Ok(path));
        }

        #[test]
        fn no_text_makes_reading_panic(text: String) {
            let _ = JsonPath::parse(&text);
        }
    }
}
