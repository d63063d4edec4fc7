//! Reads keys as types, and collects every problem on the way instead of stopping at the first.
//!
//! A key that cannot be read yields the least value of its type: nobody sees it, because the load as a whole fails.

mod secrets;
mod suggestion;
mod tables;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::Effective;
use super::layers::{Entry, Layers, Origin, Raw};
use super::problem::{ConfigErrors, Problem};
use crate::erasure::data_map::Period;

pub(super) struct Reader {
    layers: Layers,
    problems: Vec<Problem>,
    effective: Vec<Effective>,
    /// Every key that exists, for suggestions.
    known: BTreeSet<String>,
    /// Where the keys read so far came from, for problems between keys.
    origins: Vec<(String, Origin)>,
}

impl Reader {
    pub(super) fn new(mut layers: Layers) -> Self {
        let problems = std::mem::take(&mut layers.problems);
        Self { layers, problems, effective: Vec::new(), known: BTreeSet::new(), origins: Vec::new() }
    }

    /// A switch: `true` or `false`.
    pub(super) fn switch(&mut self, key: &str) -> bool {
        self.parsed(key, "true or false", |raw| match raw {
            Raw::Typed(value) => value.as_bool(),
            Raw::Text(text) => text.trim().parse().ok(),
        })
        .unwrap_or_default()
    }

    /// A whole number within a range; the unit stands at the end of the key.
    pub(super) fn whole<T: TryFrom<u64> + Default>(&mut self, key: &str, range: RangeInclusive<u64>) -> T {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.parsed(key, &expected, |raw| {
            let number = match raw {
                Raw::Typed(value) => value.as_u64(),
                Raw::Text(text) => text.trim().parse().ok(),
            };
            T::try_from(number.filter(|number| range.contains(number))?).ok()
        })
        .unwrap_or_default()
    }

    /// A number of days within a range, or `never`.
    pub(super) fn days_or_never(&mut self, key: &str, range: RangeInclusive<u64>) -> Option<Period> {
        let expected = format!("a whole number of days from {} to {}, or \"never\"", range.start(), range.end());
        self.parsed(key, &expected, |raw| {
            let number = match raw {
                Raw::Typed(Value::String(text)) | Raw::Text(text) if text.trim() == "never" => {
                    return Some(Period::Never);
                }
                Raw::Typed(value) => value.as_u64(),
                Raw::Text(text) => text.trim().parse().ok(),
            };
            u32::try_from(number.filter(|number| range.contains(number))?).ok().map(Period::Days)
        })
    }

    /// A list of whole numbers within a range: comma-separated in text.
    pub(super) fn whole_list<T: TryFrom<u64>>(&mut self, key: &str, range: RangeInclusive<u64>) -> Vec<T> {
        let expected = format!("a list of whole numbers from {} to {}", range.start(), range.end());
        let fitting = |number: u64| T::try_from(Some(number).filter(|number| range.contains(number))?).ok();
        self.parsed(key, &expected, |raw| match raw {
            Raw::Typed(Value::Array(list)) => list.iter().map(|item| fitting(item.as_u64()?)).collect(),
            Raw::Typed(_) => None,
            Raw::Text(text) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                items.map(|item| fitting(item.parse().ok()?)).collect()
            }
        })
        .unwrap_or_default()
    }

    pub(super) fn seconds(&mut self, key: &str, range: RangeInclusive<u64>) -> Duration {
        Duration::from_secs(self.whole(key, range))
    }

    pub(super) fn milliseconds(&mut self, key: &str, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.whole(key, range))
    }

    /// An IP address with a port.
    pub(super) fn address(&mut self, key: &str) -> SocketAddr {
        self.parsed(key, "an IP address with a port, such as 127.0.0.1:8080", |raw| text(raw)?.trim().parse().ok())
            .unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// The path of a file; empty means none.
    pub(super) fn file(&mut self, key: &str) -> Option<PathBuf> {
        let path = self.parsed(key, "the path of a file, or nothing", |raw| text(raw).map(str::to_owned))?;
        (!path.is_empty()).then(|| PathBuf::from(path))
    }

    /// Any text that `parse` accepts.
    pub(super) fn text_as<T>(&mut self, key: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.parsed(key, expected, |raw| parse(text(raw)?.trim()))
    }

    /// Says what is wrong with a key that was read well by itself: it does not fit another key.
    pub(super) fn complain(&mut self, key: &str, message: impl Into<String>) {
        let origin = self.origin_of(key);
        self.problems.push(Problem { key: key.to_owned(), origin, message: message.into() });
    }

    /// Ends the reading: what nobody read is an unknown key.
    pub(super) fn finish(mut self) -> Result<Vec<Effective>, ConfigErrors> {
        for name in std::mem::take(&mut self.layers.lookalikes) {
            if let Some(known) = suggestion::meant_by_variable(&name, &self.known) {
                let message = format!("spell the variable EFFACE__{}", known.to_ascii_uppercase().replace('.', "__"));
                self.problems.push(Problem::new(known, Origin::Variable(name), message));
            }
        }
        for (key, origin) in self.layers.leftovers() {
            let message = match suggestion::nearest(&key, &self.known) {
                Some(known) => format!("unknown key; did you mean `{known}`?"),
                None => "unknown key; `efface config print` lists all".to_owned(),
            };
            self.problems.push(Problem::new(key, origin, message));
        }
        if self.problems.is_empty() { Ok(self.effective) } else { Err(ConfigErrors::new(self.problems)) }
    }

    /// Reads one key that holds no secret, and notes it for `config print`.
    fn parsed<T>(&mut self, key: &str, expected: &str, parse: impl FnOnce(&Raw) -> Option<T>) -> Option<T> {
        let entry = self.take(key)?;
        let Some(read) = parse(&entry.raw) else {
            self.expected(key, expected, &entry);
            return None;
        };
        self.note(key, shown(&entry.raw), entry.origin);
        Some(read)
    }

    /// Takes a key out of the layers. A key that is in no layer can only be one of a table's: top-level keys have a
    /// default.
    fn take(&mut self, key: &str) -> Option<Entry> {
        self.known.insert(key.to_owned());
        let entry = self.layers.take(key);
        if let Some(entry) = &entry {
            self.origins.push((key.to_owned(), entry.origin.clone()));
        } else {
            let list = key.split('[').next().unwrap_or(key);
            let origin = self.origin_of(list);
            self.problems.push(Problem { key: key.to_owned(), origin, message: "missing".to_owned() });
        }
        entry
    }

    fn origin_of(&self, key: &str) -> Option<Origin> {
        self.origins.iter().rev().find(|(read, _)| read == key).map(|(_, origin)| origin.clone())
    }

    /// Notes a key's value for `config print`; the parts of a table are noted with the whole.
    fn note(&mut self, key: &str, value: Value, origin: Origin) {
        if !key.contains('[') {
            self.effective.push(Effective { key: key.to_owned(), value, origin });
        }
    }

    /// Numbers and switches are repeated in the message, text never: it may be a secret in the wrong place.
    fn expected(&mut self, key: &str, expected: &str, entry: &Entry) {
        let found = match &entry.raw {
            Raw::Typed(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
            Raw::Typed(Value::Array(_)) => "a list".to_owned(),
            Raw::Typed(Value::Object(_)) => "a table".to_owned(),
            Raw::Text(text) if text.trim().parse::<i64>().is_ok() => text.trim().to_owned(),
            Raw::Text(text) | Raw::Typed(Value::String(text)) if text.is_empty() => "nothing".to_owned(),
            _ => "other text".to_owned(),
        };
        self.problems.push(Problem::new(key, entry.origin.clone(), format!("expected {expected}, found {found}")));
    }
}

fn text(raw: &Raw) -> Option<&str> {
    match raw {
        Raw::Text(text) | Raw::Typed(Value::String(text)) => Some(text),
        Raw::Typed(_) => None,
    }
}

/// A value as it is printed: text from the environment that is a number or a switch is printed as such.
fn shown(raw: &Raw) -> Value {
    match raw {
        Raw::Typed(value) => value.clone(),
        Raw::Text(text) => match serde_json::from_str(text.trim()) {
            Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
            _ => Value::from(text.as_str()),
        },
    }
}
