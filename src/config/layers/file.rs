//! The TOML layers: the compiled-in defaults and the operator's file.

use std::path::Path;

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::super::problem::Problem;
use super::{Layers, Origin, Raw};

impl Layers {
    /// Adds every key of a TOML text; `path` is none for the compiled-in defaults. A text with errors adds none of its
    /// keys, as half a file is likely to mean something else.
    pub(super) fn add_toml(&mut self, text: &str, path: Option<&Path>) {
        let origin = |offset: usize| match path {
            None => Origin::Default,
            Some(path) => Origin::File { path: path.to_owned(), line: line_at(text, offset) },
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            self.add_table("", table.get_ref(), &origin);
        }
        // Only the message: the error's own `Display` quotes the line, which may hold a secret.
        self.problems.extend(errors.iter().map(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            Problem::new("", origin(offset), format!("not valid TOML: {}", error.message()))
        }));
    }

    fn add_table(&mut self, prefix: &str, table: &DeTable<'_>, origin: &impl Fn(usize) -> Origin) {
        for (name, value) in table {
            let key = format!("{prefix}{}", name.get_ref());
            match value.get_ref() {
                DeValue::Table(inner) if !inner.is_empty() => self.add_table(&format!("{key}."), inner, origin),
                DeValue::Table(_) => {}
                leaf => self.put(key, Raw::Typed(json(leaf)), origin(name.span().start)),
            }
        }
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|&byte| byte == b'\n').count() + 1
}

/// TOML in the terms of JSON, which the environment's lists of tables are written in. A number too large for 64 bits
/// and a date become text, which no key accepts by mistake.
fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::from(number.as_str()), Value::from),
        DeValue::Float(number) => {
            number.as_str().parse::<f64>().map_or_else(|_| Value::from(number.as_str()), Value::from)
        }
        DeValue::Boolean(switch) => Value::from(*switch),
        DeValue::Datetime(instant) => Value::from(instant.to_string()),
        DeValue::Array(list) => list.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(table) => {
            table.iter().map(|(name, item)| (name.get_ref().to_string(), json(item.get_ref()))).collect()
        }
    }
}
