//! Reads the configuration: typed, validated, all problems at once.
//!
//! Later layers win: compiled-in `config/default.toml` < fallback variables (`DATABASE_URL`, …) < the file given by
//! `--config` or `EFFACE_CONFIG` < environment `EFFACE__SECTION__KEY` < command-line flags. A fallback variable stands
//! *below* the file: one that a developer's shell happens to carry must not point an erasure at another database than
//! the file names.
//!
//! `layers` gathers what each layer says, key by key; `reader` turns text and TOML into types and collects every
//! problem; one file per section names its keys and their ranges.

mod auth;
mod broker;
mod data_map;
mod database;
mod evidence;
mod export;
mod http;
mod jobs;
mod keys;
mod layers;
mod log;
mod problem;
mod reader;
mod retention;
mod secret;
mod stores;
mod suppression;
mod webhooks;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

pub use auth::{Auth, Role, Token};
pub use broker::Broker;
pub use data_map::DataMap;
pub use database::Database;
pub use evidence::{Evidence, Horizon};
pub use export::Export;
pub use http::Http;
pub use jobs::{Approval, Jobs};
pub use keys::Keys;
pub use layers::Origin;
pub use log::Log;
pub use problem::{ConfigErrors, Problem};
pub use retention::Retention;
pub use secret::{Secret, ServiceUrl};
pub use stores::StoreEntry;
pub use suppression::Suppression;
pub use webhooks::Webhooks;

use layers::Layers;
use reader::Reader;

/// The compiled-in defaults, which are also the reference of every key.
pub const DEFAULTS: &str = include_str!("../config/default.toml");

/// The whole configuration, valid. Printing it with `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Config {
    pub http: Http,
    pub database: Database,
    /// Further databases that the data map erases in, by name; `default` is [`Config::database`].
    pub stores: BTreeMap<String, StoreEntry>,
    pub broker: Broker,
    pub webhooks: Webhooks,
    pub data_map: DataMap,
    pub auth: Auth,
    pub keys: Keys,
    pub jobs: Jobs,
    pub export: Export,
    pub evidence: Evidence,
    pub suppression: Suppression,
    pub retention: Retention,
    pub log: Log,
    effective: Vec<Effective>,
}

/// One key as it is in force, for `efface config print`: secrets are `***` already.
#[derive(Clone, Debug)]
pub struct Effective {
    /// The dotted key, `http.listen`.
    pub key: String,
    pub value: Value,
    pub origin: Origin,
}

/// Everything [`Config::load`] looks at: it asks neither the process environment nor the command line by itself.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The file of `--config`; wins over `EFFACE_CONFIG`.
    pub file: Option<PathBuf>,
    /// Environment variables, usually [`process_environment`].
    pub env: Vec<(String, String)>,
    /// What command-line flags set.
    pub overrides: Vec<Override>,
}

/// One key set by a command-line flag, as text.
#[derive(Clone)]
pub struct Override {
    pub key: &'static str,
    /// The flag's name, for messages: `--database-url`.
    pub flag: &'static str,
    pub value: String,
}

impl std::fmt::Debug for Override {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Override({} by {})", self.key, self.flag)
    }
}

/// The variables of this process that are readable text.
pub fn process_environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

impl Config {
    /// Merges the layers, reads every key, and checks ranges and what keys ask of each other.
    ///
    /// # Errors
    /// Lists every problem found, each with its key, where the value came from and what is expected.
    pub fn load(options: &LoadOptions) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(Layers::gather(options));
        let mut config = Self {
            http: Http::read(&mut reader),
            database: Database::read(&mut reader),
            stores: stores::read(&mut reader),
            broker: Broker::read(&mut reader),
            webhooks: Webhooks::read(&mut reader),
            data_map: DataMap::read(&mut reader),
            auth: Auth::read(&mut reader),
            keys: Keys::read(&mut reader),
            jobs: Jobs::read(&mut reader),
            export: Export::read(&mut reader),
            evidence: Evidence::read(&mut reader),
            suppression: Suppression::read(&mut reader),
            retention: Retention::read(&mut reader),
            log: Log::read(&mut reader),
            effective: Vec::new(),
        };
        config.effective = reader.finish()?;
        Ok(config)
    }

    /// Checks what `serve` needs beyond a valid configuration: a webhook secret, and a place for the keys.
    ///
    /// # Errors
    /// Lists every missing key.
    pub fn require_for_serving(&self) -> Result<(), ConfigErrors> {
        let mut problems = Vec::new();
        if self.webhooks.secrets.is_empty() {
            problems.push(Problem::missing(
                "webhooks.secrets",
                "no secret is set, so no webhook could be verified; set it, EFFACE__WEBHOOKS__SECRETS or SHOPIFY_API_SECRET",
            ));
        }
        if self.keys_file().is_none() {
            problems.push(Problem::missing(
                "keys.file",
                "needed unless database.url is a SQLite file; write one with `efface keys generate --output FILE`",
            ));
        }
        if problems.is_empty() { Ok(()) } else { Err(ConfigErrors::new(problems)) }
    }

    /// The file that holds the keys: the configured one, or the one beside the SQLite file.
    pub fn keys_file(&self) -> Option<PathBuf> {
        self.keys.file.clone().or_else(|| Some(self.database.sqlite_file()?.with_extension("keys")))
    }

    /// The file that checkpoints of the audit log are written to: the configured one, or the one beside the SQLite file.
    pub fn checkpoint_file(&self) -> Option<PathBuf> {
        let configured = self.evidence.checkpoint_file.clone();
        configured.or_else(|| Some(self.database.sqlite_file()?.with_extension("checkpoint")))
    }

    /// Every key in force, with its value (secrets as `***`) and origin, sorted by section as in the reference.
    pub fn effective(&self) -> &[Effective] {
        &self.effective
    }

    /// Where a key's value came from.
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.effective.iter().find(|entry| entry.key == key).map(|entry| &entry.origin)
    }
}

#[cfg(test)]
mod tests;
