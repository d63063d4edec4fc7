//! Opens what `encrypt` left.

use serde_json::Value;

use super::{Engine, keys};
use crate::redaction::json::{self, ReadError};
use crate::redaction::path::{self, JsonPath, Segment};
use crate::redaction::{mode, shop};
use crate::seal::{self, SealError};

/// Why an encrypted value does not open. Names keys, never content.
#[derive(Debug, thiserror::Error)]
pub enum UnsealError {
    /// The key is missing, or shop or place are not those it was encrypted for, or it was altered.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// It opened, but holds no value: this engine did not make it.
    #[error("what was sealed is no JSON value")]
    NotAValue(#[from] ReadError),
}

/// An encrypted value that did not open, and where it stands.
#[derive(Debug)]
pub struct Failure {
    /// Names that are no plain words are left out: a key may be somebody's address.
    pub place: String,
    pub error: UnsealError,
}

/// What came of opening a document.
#[derive(Debug, Default)]
pub struct Unsealed {
    pub opened: u64,
    /// These were left as they are.
    pub failed: Vec<Failure>,
}

impl Engine {
    /// Opens one encrypted value, with its type. None when the text is no encrypted value.
    ///
    /// # Errors
    /// When its key is not in the keyring, or it was not encrypted for this shop and place.
    pub fn unseal(&self, shop: &str, place: &str, text: &str) -> Result<Option<Value>, UnsealError> {
        let Some(envelope) = mode::envelope(text) else { return Ok(None) };
        let shop = shop::normal_form(shop);
        let key = keys::seal_key(&self.keyring, seal::key_id(&envelope)?, &shop)?;
        let plain = seal::open(&key, &keys::aad(&shop, place), &envelope)?;
        Ok(Some(json::read(plain.expose())?))
    }

    /// Opens every encrypted value of a document, also inside of those that were opened.
    ///
    /// `at` is where the document itself stands: empty for one that [`Engine::apply`] masked, the table for a row
    /// whose columns were masked. `only` restricts it to what stands at or under these paths; empty: everywhere.
    pub fn unseal_document(&self, shop: &str, at: &str, only: &[JsonPath], document: &mut Value) -> Unsealed {
        let (place, shown) = (at.to_owned(), at.to_owned());
        let mut walk = Walk { engine: self, shop, place, shown, unsealed: Unsealed::default() };
        let only: Vec<&[Segment]> = only.iter().map(JsonPath::segments).collect();
        walk.value(&(!only.is_empty()).then_some(only), document);
        walk.unsealed
    }
}

struct Walk<'a> {
    engine: &'a Engine,
    shop: &'a str,
    place: String,
    /// The same for people.
    shown: String,
    unsealed: Unsealed,
}

/// What is left of the paths that values may be opened at; none: everything from here on.
type Only<'p> = Option<Vec<&'p [Segment]>>;

impl Walk<'_> {
    fn value(&mut self, only: &Only<'_>, value: &mut Value) {
        match value {
            Value::String(text) if only.is_none() => match self.engine.unseal(self.shop, &self.place, text) {
                Ok(None) => {}
                Ok(Some(opened)) => {
                    *value = opened;
                    self.unsealed.opened += 1;
                    self.value(&None, value);
                }
                Err(error) => self.unsealed.failed.push(Failure { place: self.shown.clone(), error }),
            },
            Value::Object(fields) => {
                for (key, value) in fields.iter_mut() {
                    let Some(only) = step(only, |segment| matches!(segment, Segment::Key(name) if name == key)) else {
                        continue;
                    };
                    self.inside(Some(key), &only, value);
                }
            }
            Value::Array(elements) => {
                for (index, value) in elements.iter_mut().enumerate() {
                    let matches = |segment: &Segment| match segment {
                        Segment::Each => true,
                        Segment::Index(wanted) => *wanted == index,
                        Segment::Key(_) => false,
                    };
                    let Some(only) = step(only, matches) else { continue };
                    self.inside(None, &only, value);
                }
            }
            _ => {}
        }
    }

    /// Goes into a field, or into an element of a list.
    fn inside(&mut self, key: Option<&str>, only: &Only<'_>, value: &mut Value) {
        let (place_len, shown_len) = (self.place.len(), self.shown.len());
        if let Some(key) = key {
            path::push_key(&mut self.place, key);
            path::push_key(&mut self.shown, if is_plain_word(key) { key } else { "(odd name)" });
        } else {
            self.place.push_str("[*]");
            self.shown.push_str("[*]");
        }
        self.value(only, value);
        self.place.truncate(place_len);
        self.shown.truncate(shown_len);
    }
}

fn is_plain_word(key: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=64).contains(&key.len()) && key.bytes().all(plain)
}

/// The paths that go on through this step; none when nothing may be opened there.
fn step<'p>(only: &Only<'p>, matches: impl Fn(&Segment) -> bool) -> Option<Only<'p>> {
    let Some(paths) = only else { return Some(None) };
    let rest: Vec<&[Segment]> = paths
        .iter()
        .filter_map(|path| path.split_first().filter(|(segment, _)| matches(segment)).map(|(_, rest)| rest))
        .collect();
    if rest.iter().any(|rest| rest.is_empty()) { Some(None) } else { (!rest.is_empty()).then_some(Some(rest)) }
}
