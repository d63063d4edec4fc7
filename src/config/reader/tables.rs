//! Reads lists of tables, and sections whose names the operator chooses.

use serde_json::Value;

use super::super::layers::Raw;
use super::Reader;

impl Reader {
    /// Takes a list of tables apart, so that each field is read like any other key, `auth.tokens[0].name`; returns the
    /// prefixes. In the environment, and in the file of a `…_file` twin, the list is JSON.
    pub(in super::super) fn tables(&mut self, key: &str) -> Vec<String> {
        let Some(entry) = self.take_secret(key) else { return Vec::new() };
        let list = match &entry.raw {
            Raw::Typed(value) => Some(value.clone()),
            Raw::Text(text) if text.trim().is_empty() => Some(Value::Array(Vec::new())),
            Raw::Text(text) => serde_json::from_str(text).ok(),
        };
        let tables = list.and_then(|list| match list {
            Value::Array(items) => items
                .into_iter()
                .map(|item| if let Value::Object(table) = item { Some(table) } else { None })
                .collect::<Option<Vec<_>>>(),
            _ => None,
        });
        let Some(tables) = tables else {
            self.expected_unquoted(key, "a list of tables (as text: JSON, [{\"name\":…},…])", &entry);
            return Vec::new();
        };
        let mut prefixes = Vec::with_capacity(tables.len());
        for (i, table) in tables.into_iter().enumerate() {
            let prefix = format!("{key}[{i}].");
            for (field, value) in table {
                self.layers.put(format!("{prefix}{field}"), Raw::Typed(value), entry.origin.clone());
            }
            prefixes.push(prefix);
        }
        prefixes
    }

    /// Notes a list of tables for `config print`, once its fields were read.
    pub(in super::super) fn note_tables(&mut self, key: &str, value: Value) {
        if let Some(origin) = self.origin_of(key) {
            self.note(key, value, origin);
        }
    }

    /// The names of the sections under a prefix that the operator chose: `analytics` of `[stores.analytics]`.
    pub(in super::super) fn section_names(&mut self, prefix: &str) -> Vec<String> {
        self.layers.parts_under(prefix)
    }

    /// Everything that stands under a prefix, however deep: `quotes.org` of `policies.quotes.org`.
    pub(in super::super) fn names_under(&mut self, prefix: &str) -> Vec<String> {
        self.layers.keys_under(prefix)
    }

    /// The names of the secrets under a prefix that the operator chose: `crm` of `match_keys.crm` and `match_keys.crm_file`.
    pub(in super::super) fn secret_names(&mut self, prefix: &str) -> Vec<String> {
        self.layers.secrets_under(prefix)
    }
}
