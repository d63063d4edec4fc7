//! Masks documents and single values, and opens what it encrypted.

mod keys;
mod unseal;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;
use std::ops::AddAssign;
use std::sync::Arc;

use hmac::Mac as _;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::compiled::{self, At, Compiled, Node};
use super::json::canonical;
use super::mode::{self, HASHED, Mode, REDACTED, is_masked};
use super::shop;
use crate::seal::{self, Keyring};
use keys::{Recent, ShopKeys};

pub use unseal::{Failure, UnsealError, Unsealed};

/// Masks values under the keys of one installation. Shared between threads.
pub struct Engine {
    keyring: Arc<Keyring>,
    recent: Recent,
}

/// How many values one pass masked. What was masked already does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Applied {
    pub redacted: u64,
    pub hashed: u64,
    pub encrypted: u64,
    pub removed: u64,
}

impl Applied {
    /// All of them together.
    pub fn total(&self) -> u64 {
        self.redacted + self.hashed + self.encrypted + self.removed
    }

    fn count(&mut self, mode: &Mode) {
        match mode {
            Mode::Redact => self.redacted += 1,
            Mode::Hash | Mode::SaltedHash(_) => self.hashed += 1,
            Mode::Encrypt => self.encrypted += 1,
            Mode::Remove => self.removed += 1,
        }
    }
}

impl AddAssign for Applied {
    fn add_assign(&mut self, other: Self) {
        self.redacted += other.redacted;
        self.hashed += other.hashed;
        self.encrypted += other.encrypted;
        self.removed += other.removed;
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("keyring", &self.keyring).finish_non_exhaustive()
    }
}

/// What a mask makes of a value.
enum Masked {
    /// Nothing: it is null, or masked already.
    AsItWas,
    As(String),
    Gone,
}

/// What is left of a value that was told.
#[derive(Clone, Debug, PartialEq)]
pub enum Left {
    /// The value itself: no rule is for it, it is null, or masked already.
    AsItWas,
    /// This stands in its place.
    As(Value),
    /// Nothing.
    Gone,
}

/// The masks for one shop, whose keys are derived when the first of them is needed.
pub struct Hand<'a> {
    engine: &'a Engine,
    shop: Cow<'a, str>,
    keys: OnceCell<Arc<ShopKeys>>,
}

impl Engine {
    /// An engine that hashes and encrypts under keys derived from `keyring`.
    pub fn new(keyring: Arc<Keyring>) -> Self {
        Self { keyring, recent: Recent::default() }
    }

    /// Masks a document as the rules say, in place.
    ///
    /// A rule for a whole object or list covers all that is in it; inside a value that `encrypt` takes, inner rules work
    /// first. An element of a list is not taken out by `remove` but set to null, so that the others keep their places.
    pub fn apply(&self, rules: &Compiled, shop: &str, document: &mut Value) -> Applied {
        let mut applied = Applied::default();
        if !rules.is_empty() {
            self.hand(shop).descend(&[rules.root()], document, &mut applied);
        }
        applied
    }

    /// Masks one value: none when it goes. Null stays null, and what is masked already stays as it is.
    ///
    /// `place` says where the value stands, such as `LineItem.email`: what is encrypted opens only there. For a place
    /// inside of a JSON column use [`Compiled::at`] and [`Engine::apply`].
    pub fn mask(&self, mode: &Mode, shop: &str, place: &str, value: &Value) -> Option<Value> {
        match self.hand(shop).mask(mode, place, value) {
            Masked::AsItWas => Some(value.clone()),
            Masked::As(text) => Some(Value::String(text)),
            Masked::Gone => None,
        }
    }

    /// The masks for the documents of one shop.
    pub fn hand<'a>(&'a self, shop: impl Into<Cow<'a, str>>) -> Hand<'a> {
        let shop = match shop.into() {
            Cow::Borrowed(shop) => shop::normal_form(shop),
            Cow::Owned(shop) => Cow::Owned(shop::normal_form(&shop).into_owned()),
        };
        Hand { engine: self, shop, keys: OnceCell::new() }
    }
}

impl fmt::Debug for Hand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hand").field("engine", self.engine).finish_non_exhaustive()
    }
}

impl Hand<'_> {
    /// Masks the value that stands at these keys of a document, as [`Engine::apply`] would mask the document.
    pub fn mask_at(&self, rules: &Compiled, keys: &[&str], value: &Value) -> Left {
        let node = match rules.at_keys(keys) {
            At::Untouched => return Left::AsItWas,
            At::Covered => return Left::Gone,
            At::Node(node) => node,
        };
        if value.is_object() || value.is_array() {
            let mut left = value.clone();
            return match self.visit(&[node], &mut left, &mut Applied::default()) {
                true => Left::Gone,
                false if left == *value => Left::AsItWas,
                false => Left::As(left),
            };
        }
        let Some(rule) = compiled::ending(&[node]) else { return Left::AsItWas };
        match self.mask(&rule.mode, &rule.place, value) {
            Masked::AsItWas => Left::AsItWas,
            Masked::As(text) => Left::As(Value::String(text)),
            Masked::Gone => Left::Gone,
        }
    }

    fn mask(&self, mode: &Mode, place: &str, value: &Value) -> Masked {
        match (mode, value) {
            (Mode::Remove, _) => Masked::Gone,
            (_, Value::Null) => Masked::AsItWas,
            (_, Value::String(text)) if is_masked(mode, text) => Masked::AsItWas,
            (Mode::Redact, _) => Masked::As(REDACTED.to_owned()),
            (Mode::Hash, _) => {
                let mac = self.keys().hash.clone().chain_update(hashed_bytes(value).as_bytes());
                Masked::As(hash_text(&mac.finalize().into_bytes()))
            }
            (Mode::SaltedHash(salt), _) => {
                let digest = Sha256::new_with_prefix(salt.as_bytes()).chain_update(hashed_bytes(value).as_bytes());
                Masked::As(hash_text(&digest.finalize()))
            }
            (Mode::Encrypt, _) => {
                let plain = Zeroizing::new(canonical(value));
                let aad = keys::aad(&self.shop, place);
                Masked::As(mode::sealed_text(&seal::seal(&self.keys().seal, &aad, plain.as_bytes())))
            }
        }
    }

    fn keys(&self) -> &ShopKeys {
        self.keys.get_or_init(|| self.engine.recent.keys(&self.engine.keyring, &self.shop))
    }

    /// Masks what stands at the end of these ways, or what the ways lead on to. True when the value is to go.
    fn visit(&self, nodes: &[&Node], value: &mut Value, applied: &mut Applied) -> bool {
        let Some(rule) = compiled::ending(nodes) else {
            self.descend(nodes, value, applied);
            return false;
        };
        if rule.mode == Mode::Encrypt {
            self.descend(nodes, value, applied);
        }
        match self.mask(&rule.mode, &rule.place, value) {
            Masked::AsItWas => false,
            Masked::As(text) => {
                *value = Value::String(text);
                applied.count(&rule.mode);
                false
            }
            Masked::Gone => true,
        }
    }

    fn descend(&self, nodes: &[&Node], value: &mut Value, applied: &mut Applied) {
        match value {
            Value::Object(fields) => {
                let mut field = |key: &str, nodes: &[&Node]| {
                    if fields.get_mut(key).is_some_and(|value| self.visit(nodes, value, applied)) {
                        fields.remove(key);
                        applied.count(&Mode::Remove);
                    }
                };
                match nodes {
                    [node] => node.keys.iter().for_each(|(key, node)| field(key, &[node])),
                    several => compiled::by_key(several).iter().for_each(|(key, nodes)| field(key, nodes)),
                }
            }
            Value::Array(elements) => {
                let Some(ways) = compiled::by_index(nodes) else { return };
                for (index, element) in elements.iter_mut().enumerate() {
                    if self.visit(&ways(index), element, applied) && !element.is_null() {
                        *element = Value::Null;
                        applied.count(&Mode::Remove);
                    }
                }
            }
            _ => {}
        }
    }
}

/// What a hash is taken over: a text itself, the canonical JSON of anything else.
fn hashed_bytes(value: &Value) -> Zeroizing<String> {
    Zeroizing::new(match value {
        Value::String(text) => text.clone(),
        other => canonical(other),
    })
}

fn hash_text(digest: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(HASHED.len() + 2 * digest.len());
    text.push_str(HASHED);
    for byte in digest {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests;
