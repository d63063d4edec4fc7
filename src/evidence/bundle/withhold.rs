//! Withholds fields of entries as a redaction policy says, so that the leaf still verifies.

use serde_json::{Map, Value};

use super::event::{ALWAYS, Event};
use crate::evidence::leaf::{Field, METADATA};
use crate::redaction::{Compiled, Engine, Policy};

/// The event type under which a policy has its rules for entries.
pub const EVENT_TYPE: &str = "audit_entry";

/// A field that a policy masks and that may not be withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the policy masks {0}, which must be told: nobody could check the course of a job without it")]
pub struct MustBeTold(pub &'static str);

/// Withholds in every entry what the policy masks.
///
/// # Errors
/// [`MustBeTold`].
pub fn withhold_all(policy: &Policy, engine: &Engine, events: &mut [Event]) -> Result<(), MustBeTold> {
    let mut withholder = Withholder::new(policy, engine);
    events.iter_mut().try_for_each(|event| withholder.withhold(event))
}

/// Withholds fields of many entries. Entries of a bundle are mostly of one shop, whose rules are put together once.
#[derive(Debug)]
struct Withholder<'a> {
    policy: &'a Policy,
    engine: &'a Engine,
    rules: Option<(String, Compiled)>,
}

impl<'a> Withholder<'a> {
    /// Under a policy's rules for entries.
    const fn new(policy: &'a Policy, engine: &'a Engine) -> Self {
        Self { policy, engine, rules: None }
    }

    /// Withholds what the policy masks: the whole field, also when only a part of it is masked. What the mask leaves stands
    /// beside the commitment.
    ///
    /// # Errors
    /// [`MustBeTold`].
    fn withhold(&mut self, event: &mut Event) -> Result<(), MustBeTold> {
        let shop = event.text("shopDomain").unwrap_or_default();
        let rules = match self.rules.take() {
            Some(rules) if rules.0 == shop => rules,
            _ => (shop.to_owned(), self.policy.for_event(EVENT_TYPE, Some(shop))),
        };
        let (shop, compiled) = self.rules.insert(rules);
        let touched: Vec<String> =
            event.fields.keys().filter(|name| is_touched(compiled, name)).map(String::clone).collect();
        let mut masked = document(event, &touched);
        self.engine.apply(compiled, shop, &mut masked);
        for name in touched {
            let Some(field) = event.fields.get_mut(&name) else { continue };
            let Some(told) = field.value() else { continue };
            let left = take(&mut masked, &name);
            if left.as_ref() == Some(told) {
                continue;
            }
            *field = Field::Withheld { commitment: field.commitment(&name) };
            if let Some(left) = left {
                event.masked.insert(name, left);
            }
        }
        event.wrongly_withheld().map_or(Ok(()), |name| Err(MustBeTold(name)))
    }
}

/// Whether a rule may change a field. Fields that no entry has are left alone.
fn is_touched(rules: &Compiled, name: &str) -> bool {
    match name.strip_prefix(METADATA) {
        Some(fact) => rules.touches(["metadata", fact]),
        None => rules.touches([name]) && (name == "metadata" || ALWAYS.contains(&name)),
    }
}

/// These fields of an entry, as the audit log shows it: the metadata as an object.
fn document(event: &Event, names: &[String]) -> Value {
    let (mut document, mut metadata) = (Map::new(), Map::new());
    for name in names {
        let Some(value) = event.value(name).cloned() else { continue };
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

fn take(document: &mut Value, name: &str) -> Option<Value> {
    match name.strip_prefix(METADATA) {
        // The metadata as a whole may be masked, and then is no object.
        Some(fact) => document.get_mut("metadata")?.as_object_mut()?.remove(fact),
        None => document.as_object_mut()?.remove(name),
    }
}
