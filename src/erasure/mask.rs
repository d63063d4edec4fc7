//! Works out what masked values become. What is masked already stays as it is, so that masking twice is masking once.

use std::sync::Arc;

use serde_json::Value;

use crate::redaction::{Engine, Mode, is_masked, json};
use crate::seal::Keyring;
use crate::store::target::{Ident, JsonPath, Masked, MaskedColumn, Replacement, Replacing};

/// Replaces values, with the redaction engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Masker {
    engine: Arc<Engine>,
}

fn mode(replacement: Replacement) -> Mode {
    match replacement {
        Replacement::Redact => Mode::Redact,
        Replacement::Hash => Mode::Hash,
        Replacement::Encrypt => Mode::Encrypt,
        Replacement::Remove => Mode::Remove,
    }
}

impl Masker {
    /// Hashes and encrypted values are keyed by `keyring` and the shop: the same value hashes alike within a shop, and
    /// nowhere else.
    pub fn new(keyring: Arc<Keyring>) -> Self {
        Self { engine: Arc::new(Engine::new(keyring)) }
    }

    /// What to write into a locked row of `shop`; none when nothing in it is left to replace.
    pub fn replacing(&self, shop: &str, table: &Ident, masks: &[MaskedColumn], row: &Masked) -> Option<Replacing> {
        let mut replacing = row.replacing();
        let mut any = false;
        for (place, (mask, held)) in masks.iter().zip(&row.values).enumerate() {
            let Some(held) = held else { continue };
            let column = format!("{}.{}", table.as_str(), mask.column.as_str());
            let new = match mask.parts.as_slice() {
                [(None, replacement)] => self.replace(shop, &column, *replacement, &Value::from(held.as_str())),
                parts => self.inside(shop, &column, parts, held).map(Value::String),
            };
            if let Some(new) = new {
                replacing.set(place, new);
                any = true;
            }
        }
        any.then_some(replacing)
    }

    /// A document that cannot be read exactly stays as it is: it is found again, and its job does not complete.
    fn inside(
        &self,
        shop: &str,
        column: &str,
        parts: &[(Option<JsonPath>, Replacement)],
        held: &str,
    ) -> Option<String> {
        let mut document = json::read(held.as_bytes()).ok()?;
        let mut any = false;
        for (path, replacement) in parts {
            let Some(path) = path else { continue };
            let place = format!("{column}.{path}");
            any |= walk(&mut document, &path.steps(), &mut |value| self.replace(shop, &place, *replacement, value));
        }
        any.then(|| json::canonical(&document))
    }

    /// The new value, null for one that goes; none for a value that holds nothing or is masked already.
    fn replace(&self, shop: &str, place: &str, replacement: Replacement, value: &Value) -> Option<Value> {
        let mode = mode(replacement);
        match value {
            Value::Null => None,
            Value::String(text) if text.is_empty() && replacement != Replacement::Remove => None,
            Value::String(text) if is_masked(&mode, text) => None,
            value => Some(self.engine.mask(&mode, shop, place, value).unwrap_or(Value::Null)),
        }
    }
}

/// Applies `replace` to every value at a path; null takes a field out of its object, and stands in an array.
fn walk(value: &mut Value, steps: &[Option<&str>], replace: &mut dyn FnMut(&Value) -> Option<Value>) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        return match replace(value) {
            Some(new) => {
                *value = new;
                true
            }
            None => false,
        };
    };
    match (step, value) {
        (Some(name), Value::Object(fields)) => {
            let Some(field) = fields.get_mut(*name) else { return false };
            let changed = walk(field, rest, replace);
            if changed && rest.is_empty() && field.is_null() {
                fields.remove(*name);
            }
            changed
        }
        (None, Value::Array(items)) => {
            let mut changed = false;
            for item in items {
                changed |= walk(item, rest, replace);
            }
            changed
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn masking_reaches_every_element_and_twice_is_once() {
        let masker = Masker::new(Arc::new(Keyring::generate()));
        let path = |path| JsonPath::parse(path);
        let parts = [(path("customers[*].email"), Replacement::Hash), (path("note"), Replacement::Remove)];
        let document = json!({"customers":[{"email":"a@example.com"},{"email":null},{"name":"x"}],"note":"secret"});
        let once = masker.inside("a.myshopify.com", "t.c", &parts, &document.to_string()).unwrap();
        assert!(!once.contains("example.com") && !once.contains("secret") && once.contains("hash:"), "{once}");
        assert_eq!(masker.inside("a.myshopify.com", "t.c", &parts, &once), None);
    }
}
