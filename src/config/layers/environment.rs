//! The environment layers: `EFFACE__SECTION__KEY`, and the fallback variables that developers already have.

use std::path::PathBuf;

use super::{Layers, Origin, Raw};

/// Starts every variable of the configuration; `__` stands for the dot.
const PREFIX: &str = "EFFACE__";

/// Names the configuration file when `--config` does not.
const CONFIG_FILE: &str = "EFFACE_CONFIG";

/// Variables known from elsewhere, the later winning among those of one key. They rank below the configuration file.
const FALLBACKS: [(&str, &str); 5] = [
    ("DATABASE_URL", "database.url"),
    ("CLOUDAMQP_URL", "broker.url"),
    ("RABBITMQ_URL", "broker.url"),
    ("AMQP_URL", "broker.url"),
    ("SHOPIFY_API_SECRET", "webhooks.secrets"),
];

pub(super) fn config_file(env: &[(String, String)]) -> Option<PathBuf> {
    env.iter().find(|(name, value)| name == CONFIG_FILE && !value.is_empty()).map(|(_, value)| PathBuf::from(value))
}

impl Layers {
    pub(super) fn add_fallbacks(&mut self, env: &[(String, String)]) {
        for (fallback, key) in FALLBACKS {
            for (name, value) in env.iter().filter(|(name, value)| name == fallback && !value.trim().is_empty()) {
                self.put(key.to_owned(), Raw::Text(value.clone()), Origin::Variable(name.clone()));
            }
        }
    }

    pub(super) fn add_environment(&mut self, env: &[(String, String)]) {
        for (name, value) in env {
            if let Some(key) = name.strip_prefix(PREFIX) {
                let key = key.to_ascii_lowercase().replace("__", ".");
                self.put(key, Raw::Text(value.clone()), Origin::Variable(name.clone()));
            } else if name.starts_with("EFFACE_") {
                self.lookalikes.push(name.clone());
            }
        }
    }
}
