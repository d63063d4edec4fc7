//! `[data_map]`: what holds personal data.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::reader::Reader;
use super::secret::Secret;
use crate::erasure::check::FailOn;

/// Where the data map is.
#[derive(Clone, Debug)]
pub struct DataMap {
    /// None: the compiled-in map of the reference app.
    pub file: Option<PathBuf>,
    /// Secrets of the app's own keyed hashes, by the names that the map gives them.
    pub match_keys: BTreeMap<String, Secret>,
    /// From which weight on findings about the map keep `serve` from starting.
    pub fail_on: FailOn,
}

impl DataMap {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let file = reader.file("data_map.file");
        let fail_on = reader.text_as("data_map.fail_on", "one of error, warning, info, never", FailOn::parse);
        let mut match_keys = BTreeMap::new();
        for name in reader.secret_names("data_map.match_keys.") {
            let secret = reader.secret(&format!("data_map.match_keys.{name}"), "a text that is not empty");
            match_keys.insert(name, secret);
        }
        Self { file, match_keys, fail_on: fail_on.unwrap_or_default() }
    }
}
