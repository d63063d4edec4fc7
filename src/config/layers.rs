//! Gathers what each layer says, key by key; the last layer that names a key wins.

mod environment;
mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::LoadOptions;
use super::problem::Problem;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `config/default.toml`, compiled in.
    Default,
    File {
        path: PathBuf,
        line: usize,
    },
    /// An environment variable, by name.
    Variable(String),
    /// A command-line flag, by name.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// A value before it is read as a type: the environment has only text, a file has TOML's own types.
#[derive(Clone)]
pub(super) enum Raw {
    Text(String),
    Typed(Value),
}

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) raw: Raw,
    pub(super) origin: Origin,
    layer: usize,
}

impl Entry {
    /// The content of a file that `origin` named.
    pub(super) fn read_from_file(content: String, origin: Origin) -> Self {
        Self { raw: Raw::Text(content), origin, layer: 0 }
    }
}

/// What all layers together say: a flat map from dotted key to value. Lists are one value, tables are taken apart.
#[derive(Default)]
pub(super) struct Layers {
    entries: BTreeMap<String, Entry>,
    pub(super) problems: Vec<Problem>,
    /// Variables that look like ours but lack an underscore.
    pub(super) lookalikes: Vec<String>,
    layer: usize,
}

impl Layers {
    pub(super) fn gather(options: &LoadOptions) -> Self {
        let mut layers = Self::default();
        layers.add_toml(super::DEFAULTS, None);
        layers.next_layer();
        layers.add_fallbacks(&options.env);
        layers.next_layer();
        if let Some(path) = options.file.clone().or_else(|| environment::config_file(&options.env)) {
            layers.add_file(&path);
        }
        layers.next_layer();
        layers.add_environment(&options.env);
        layers.next_layer();
        for set in &options.overrides {
            layers.put(set.key.to_owned(), Raw::Text(set.value.clone()), Origin::Flag(set.flag));
        }
        layers
    }

    fn next_layer(&mut self) {
        self.layer += 1;
    }

    fn add_file(&mut self, path: &Path) {
        match std::fs::read_to_string(path) {
            Ok(text) => self.add_toml(&text, Some(path)),
            Err(error) => self.problems.push(Problem::missing(
                "",
                format!("the configuration file {} cannot be read: {error}", path.display()),
            )),
        }
    }

    /// Sets a key. A secret and the file it is read from (`url`, `url_file`) replace each other between layers; within
    /// one layer both are kept, for the reader to complain.
    pub(super) fn put(&mut self, key: String, raw: Raw, origin: Origin) {
        let twin = key.strip_suffix("_file").map_or_else(|| format!("{key}_file"), str::to_owned);
        if self.entries.get(&twin).is_some_and(|entry| entry.layer < self.layer) {
            self.entries.remove(&twin);
        }
        self.entries.insert(key, Entry { raw, origin, layer: self.layer });
    }

    pub(super) fn take(&mut self, key: &str) -> Option<Entry> {
        self.entries.remove(key)
    }

    /// The next parts of all keys under a prefix: `analytics` for `stores.analytics.url` under `stores.`.
    pub(super) fn parts_under(&self, prefix: &str) -> Vec<String> {
        let mut parts: Vec<String> = self
            .entries
            .range(prefix.to_owned()..)
            .map_while(|(key, _)| key.strip_prefix(prefix))
            .filter_map(|rest| rest.split_once('.').map(|(part, _)| part.to_owned()))
            .collect();
        parts.dedup();
        parts
    }

    /// All keys under a prefix, without it.
    pub(super) fn keys_under(&self, prefix: &str) -> Vec<String> {
        let under = self.entries.range(prefix.to_owned()..).map_while(|(key, _)| key.strip_prefix(prefix));
        under.map(str::to_owned).collect()
    }

    /// The names of all secrets right under a prefix, given directly or as files.
    pub(super) fn secrets_under(&self, prefix: &str) -> Vec<String> {
        let under = self.entries.range(prefix.to_owned()..).map_while(|(key, _)| key.strip_prefix(prefix));
        let names: BTreeSet<&str> =
            under.filter(|name| !name.contains('.')).map(|name| name.strip_suffix("_file").unwrap_or(name)).collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// What nobody took: keys that do not exist.
    pub(super) fn leftovers(self) -> impl Iterator<Item = (String, Origin)> {
        self.entries.into_iter().map(|(key, entry)| (key, entry.origin))
    }
}
