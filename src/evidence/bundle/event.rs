//! A line of `events.ndjson`: an entry at its place, each field told or withheld.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::evidence::canonical;
use crate::evidence::leaf::{Field, Fields};

/// Bytes of a line at most.
pub const LINE_MAX: usize = 1 << 20;

/// Fields that every entry has.
pub const ALWAYS: [&str; 9] =
    ["action", "actorId", "actorType", "createdAt", "id", "ipAddress", "resourceId", "resourceType", "shopDomain"];
/// Fields that are told of every entry.
const TOLD: [&str; 3] = ["action", "createdAt", "resourceType"];
/// Further fields that are told of every entry about a job: without them nobody can see that its life was legal.
const TOLD_OF_JOBS: [&str; 9] = [
    "metadata.attempts",
    "metadata.from",
    "metadata.holdReason",
    "metadata.jobType",
    "metadata.outcome",
    "metadata.receipt",
    "metadata.rows",
    "metadata.status",
    "resourceId",
];
/// The table of jobs.
pub const JOBS: &str = "GDPRJob";

/// An entry of the log, as a bundle tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub index: u64,
    pub fields: Fields,
    /// What stands for withheld values: a hash or a mask, which nothing proves.
    pub masked: BTreeMap<String, Value>,
}

impl Event {
    /// A value that is told.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)?.value()
    }

    /// A text that is told.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.value(name)?.as_str()
    }

    /// Whether it is about a job.
    pub fn is_of_job(&self) -> bool {
        self.text("resourceType") == Some(JOBS)
    }

    /// The fields that are withheld.
    pub fn withheld(&self) -> usize {
        self.fields.values().filter(|field| field.value().is_none()).count()
    }

    /// A field that may not be withheld, and is.
    pub fn wrongly_withheld(&self) -> Option<&'static str> {
        let of_jobs: &[&'static str] = if self.is_of_job() { &TOLD_OF_JOBS } else { &[] };
        let mut withheld = self.fields.iter().filter(|(_, field)| field.value().is_none()).map(|(name, _)| name);
        withheld.find_map(|name| TOLD.iter().chain(of_jobs).find(|told| *told == name).copied())
    }

    /// Appends the line, with its end: the canonical text of
    /// `{"fields": {NAME: {"salt", "value"} or {"commitment", "masked"}}, "index"}`.
    pub fn write_line(&self, text: &mut String) {
        let mut fields: Vec<(&String, &Field)> = self.fields.iter().collect();
        if !fields.iter().all(|(name, _)| name.is_ascii()) {
            fields.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
        }
        text.push_str("{\"fields\":{");
        for (at, (name, field)) in fields.into_iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            canonical::string(name, text);
            match field {
                Field::Open { value, salt } => {
                    text.push_str(":{\"salt\":\"");
                    STANDARD.encode_string(salt, text);
                    text.push_str("\",\"value\":");
                    canonical::write(value, text);
                }
                Field::Withheld { commitment } => {
                    text.push_str(":{\"commitment\":\"");
                    STANDARD.encode_string(commitment, text);
                    text.push('"');
                    if let Some(masked) = self.masked.get(name) {
                        text.push_str(",\"masked\":");
                        canonical::write(masked, text);
                    }
                }
            }
            text.push('}');
        }
        let _ = writeln!(text, "}},\"index\":{}}}", self.index);
    }

    /// Reads a line without its end.
    ///
    /// # Errors
    /// What is wrong with it, without quoting it.
    pub fn parse(line: &str) -> Result<Self, &'static str> {
        if line.len() > LINE_MAX {
            return Err("it is too long");
        }
        let Value::Object(mut line) = canonical::read(line)? else { return Err("it is no object") };
        let (index, fields) = (line.remove("index"), line.remove("fields"));
        let index = index.as_ref().and_then(Value::as_u64).ok_or("it has no index")?;
        let Some(Value::Object(told)) = fields else { return Err("it has no fields") };
        if !line.is_empty() {
            return Err("it has a member that no entry has");
        }
        let mut event = Self { index, fields: Fields::new(), masked: BTreeMap::new() };
        for (name, field) in told {
            let field = event.field(&name, field).ok_or("a field is neither told nor withheld")?;
            event.fields.insert(name, field);
        }
        event.check()?;
        Ok(event)
    }

    fn field(&mut self, name: &str, told: Value) -> Option<Field> {
        let Value::Object(mut told) = told else { return None };
        let bytes = |value: Option<Value>| STANDARD.decode(value?.as_str()?).ok();
        let field = if let Some(value) = told.remove("value") {
            Field::Open { value, salt: bytes(told.remove("salt"))?.try_into().ok()? }
        } else {
            if let Some(masked) = told.remove("masked") {
                self.masked.insert(name.to_owned(), masked);
            }
            Field::Withheld { commitment: bytes(told.remove("commitment"))?.try_into().ok()? }
        };
        told.is_empty().then_some(field)
    }

    fn check(&self) -> Result<(), &'static str> {
        if ALWAYS.iter().any(|name| !self.fields.contains_key(*name)) {
            return Err("it lacks a field");
        }
        if self.wrongly_withheld().is_some() {
            return Err("it withholds a field that must be told");
        }
        let facts = self.fields.keys().filter(|name| !ALWAYS.contains(&name.as_str()));
        let known = |name: &String| name == "metadata" || name.starts_with("metadata.");
        if facts.clone().any(|name| !known(name)) {
            return Err("it has a field that no entry has");
        }
        let (facts, whole) = (facts.count(), self.fields.contains_key("metadata"));
        if (whole && facts > 1) || facts == 0 {
            return Err("its metadata is not told in one way");
        }
        let texts = ["action", "createdAt", "resourceType"];
        if texts.iter().any(|name| self.text(name).is_none()) || (self.is_of_job() && self.text("resourceId").is_none())
        {
            return Err("a field that must be a text is none");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event() -> Event {
        let mut event = Event { index: 7, fields: Fields::new(), masked: BTreeMap::new() };
        for name in ALWAYS.into_iter().chain(["metadata.status"]) {
            event.fields.insert(name.to_owned(), Field::Open { value: json!("x"), salt: [1; 16] });
        }
        event.fields.insert("resourceType".to_owned(), Field::Open { value: json!(JOBS), salt: [1; 16] });
        event
    }

    /// What a line says that tells an event changed like this.
    fn read(change: impl FnOnce(&mut Event)) -> Result<Event, &'static str> {
        let (mut event, mut line) = (event(), String::new());
        change(&mut event);
        event.write_line(&mut line);
        Event::parse(line.trim_end_matches('\n'))
    }

    fn told(value: Value) -> Field {
        Field::Open { value, salt: [1; 16] }
    }

    #[test]
    fn a_line_reads_back_and_no_other_form_does() {
        assert_eq!(read(|_| {}), Ok(event()));
        let withheld = Field::Withheld { commitment: [2; 32] };
        for name in ["action", "createdAt", "resourceType", "resourceId", "metadata.status"] {
            let refused = read(|event| drop(event.fields.insert(name.to_owned(), withheld.clone())));
            assert!(refused.is_err_and(|why| why.contains("withholds") || name == "resourceType"), "{name}");
        }
        assert!(read(|event| drop(event.fields.insert("actorId".to_owned(), withheld.clone()))).is_ok());
        for name in ALWAYS {
            assert_eq!(read(|event| drop(event.fields.remove(name))), Err("it lacks a field"), "{name}");
        }
        let unknown = read(|event| drop(event.fields.insert("secret".to_owned(), told(json!(1)))));
        assert_eq!(unknown, Err("it has a field that no entry has"));
        let both = read(|event| drop(event.fields.insert("metadata".to_owned(), told(json!({})))));
        let none = read(|event| drop(event.fields.remove("metadata.status")));
        assert_eq!((both, none.clone()), (none, Err("its metadata is not told in one way")));
        for name in ["action", "createdAt", "resourceId"] {
            let refused = read(|event| drop(event.fields.insert(name.to_owned(), told(json!(1)))));
            assert_eq!(refused, Err("a field that must be a text is none"), "{name}");
        }
        let long = read(|event| drop(event.fields.insert("actorId".to_owned(), told(json!("x".repeat(LINE_MAX))))));
        assert_eq!(long, Err("it is too long"));
        let mut line = String::new();
        event().write_line(&mut line);
        let more = line.trim_end_matches('\n').replace(",\"index\":7}", ",\"index\":7,\"note\":1}");
        assert_eq!(Event::parse(&more), Err("it has a member that no entry has"));
    }
}
