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
        let is_touched = |name: &str| match name.strip_prefix(METADATA) {
            Some(fact) => compiled.touches(["metadata", fact]),
            None => (name == "metadata" || ALWAYS.contains(&name)) && compiled.touches([name]),
        };
        let mut masked = document(event, is_touched);
        self.engine.apply(compiled, shop, &mut masked);
        for (name, field) in &mut event.fields {
            let Some(told) = field.value().filter(|_| is_touched(name)) else { continue };
            let left = take(&mut masked, name);
            if left.as_ref() == Some(told) {
                continue;
            }
            *field = Field::Withheld { commitment: field.commitment(name) };
            if let Some(left) = left {
                event.masked.insert(name.clone(), left);
            }
        }
        event.wrongly_withheld().map_or(Ok(()), |name| Err(MustBeTold(name)))
    }
}

/// An entry as the audit log shows it, the metadata as an object: of its fields those that a rule may change.
fn document(event: &Event, is_touched: impl Fn(&str) -> bool) -> Value {
    let (mut document, mut metadata) = (Map::new(), Map::new());
    for (name, field) in &event.fields {
        let Some(value) = field.value().filter(|_| is_touched(name)).cloned() else { continue };
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
