//! Works out what masked values become. What is masked already stays as it is, so that masking twice is masking once.

use std::sync::Arc;

use serde_json::Value;

use crate::seal::Keyring;
use crate::store::target::{Masked, MaskedColumn, REDACTED, Replacement, Replacing};

/// Replaces values. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Masker {
    keyring: Arc<Keyring>,
}

impl Masker {
    /// Hashes are keyed by `keyring` and the shop: the same value reads alike within a shop, and nowhere else.
    pub fn new(keyring: Arc<Keyring>) -> Self {
        Self { keyring }
    }

    /// What to write into a locked row of `shop`; none when nothing in it is left to replace.
    pub fn replacing(&self, shop: &str, masks: &[MaskedColumn], row: &Masked) -> Option<Replacing> {
        let mut replacing = row.replacing();
        let mut any = false;
        for (place, (mask, held)) in masks.iter().zip(&row.values).enumerate() {
            let Some(held) = held else { continue };
            let new = match mask.parts.as_slice() {
                [(None, replacement)] => self.replace(shop, *replacement, &Value::from(held.as_str())),
                parts => self.inside(shop, parts, held).map(Value::String),
            };
            if let Some(new) = new {
                replacing.set(place, new);
                any = true;
            }
        }
        any.then_some(replacing)
    }

    fn inside(
        &self,
        shop: &str,
        parts: &[(Option<crate::store::target::JsonPath>, Replacement)],
        held: &str,
    ) -> Option<String> {
        let mut document: Value = serde_json::from_str(held).ok()?;
        let mut any = false;
        for (path, replacement) in parts {
            let steps = path.as_ref().map(crate::store::target::JsonPath::steps).unwrap_or_default();
            any |= walk(&mut document, &steps, &mut |value| self.replace(shop, *replacement, value));
        }
        any.then(|| document.to_string())
    }

    /// The new value, null for one that goes; none for a value that holds nothing or is masked already.
    fn replace(&self, shop: &str, replacement: Replacement, value: &Value) -> Option<Value> {
        let text = match value {
            Value::Null => return None,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if text.is_empty() && replacement != Replacement::Remove {
            return None;
        }
        match replacement {
            Replacement::Remove => Some(Value::Null),
            Replacement::Redact => (text != REDACTED).then(|| REDACTED.into()),
            Replacement::Hash if text.starts_with("hash:") && text.len() == 69 => None,
            Replacement::Hash => {
                let digest = self.keyring.digest("mask", &[shop.as_bytes(), text.as_bytes()]);
                Some(format!("hash:{}", hex::encode(digest)).into())
            }
            Replacement::Encrypt if text.starts_with("enc:") => None,
            Replacement::Encrypt => Some(REDACTED.into()),
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
    use crate::store::target::JsonPath;

    #[test]
    fn masking_reaches_every_element_and_twice_is_once() {
        let masker = Masker::new(Arc::new(Keyring::generate()));
        let path = |path| JsonPath::parse(path);
        let parts = [(path("customers[*].email"), Replacement::Hash), (path("note"), Replacement::Remove)];
        let document = json!({"customers":[{"email":"a@example.com"},{"email":null},{"name":"x"}],"note":"secret"});
        let once = masker.inside("a.myshopify.com", &parts, &document.to_string()).unwrap();
        assert!(!once.contains("example.com") && !once.contains("secret") && once.contains("hash:"), "{once}");
        assert_eq!(masker.inside("a.myshopify.com", &parts, &once), None);
    }
}
