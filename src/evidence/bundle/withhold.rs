//! Withholds fields of entries as a redaction policy says, so that the leaf still verifies.

use serde_json::{Map, Value};

use super::event::{ALWAYS, Event};
use crate::evidence::leaf::{Field, METADATA};
use crate::redaction::{Engine, Policy};

/// The event type under which a policy has its rules for entries.
pub const EVENT_TYPE: &str = "audit_entry";

/// A field that a policy masks and that may not be withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the policy masks {0}, which must be told: nobody could check the course of a job without it")]
pub struct MustBeTold(pub &'static str);

/// Withholds what the policy masks: the whole field, also when only a part of it is masked. What the mask leaves stands
/// beside the commitment. Counts the fields.
///
/// # Errors
/// [`MustBeTold`].
pub fn withhold(event: &mut Event, policy: &Policy, engine: &Engine) -> Result<u64, MustBeTold> {
    let shop = event.text("shopDomain").unwrap_or_default().to_owned();
    let rules = policy.for_event(EVENT_TYPE, Some(&shop));
    let before = document(event);
    let mut after = before.clone();
    engine.apply(&rules, &shop, &mut after);
    if after == before {
        return Ok(0);
    }
    let mut count = 0;
    for (name, field) in &mut event.fields {
        let (was, is) = (at(&before, name), at(&after, name));
        if was == is {
            continue;
        }
        *field = Field::Withheld { commitment: field.commitment(name) };
        if let Some(masked) = is {
            event.masked.insert(name.clone(), masked.clone());
        }
        count += 1;
    }
    event.wrongly_withheld().map_or(Ok(count), |name| Err(MustBeTold(name)))
}

/// An entry as the audit log shows it: the metadata as an object.
fn document(event: &Event) -> Value {
    let (mut document, mut metadata) = (Map::new(), Map::new());
    for (name, field) in &event.fields {
        let Some(value) = field.value().cloned() else { continue };
        match name.strip_prefix(METADATA) {
            Some(fact) => metadata.insert(fact.to_owned(), value),
            None => document.insert(name.clone(), value),
        };
    }
    if !metadata.is_empty() {
        document.insert("metadata".to_owned(), Value::Object(metadata));
    }
    Value::Object(document)
}

fn at<'a>(document: &'a Value, name: &str) -> Option<&'a Value> {
    match name.strip_prefix(METADATA) {
        // The metadata as a whole may be masked, and then is no object.
        Some(fact) => document.get("metadata")?.get(fact),
        None if ALWAYS.contains(&name) || name == "metadata" => document.get(name),
        None => None,
    }
}
