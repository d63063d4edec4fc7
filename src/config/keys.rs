//! `[keys]`: where the key-encryption and signing keys are.

use std::path::PathBuf;

use super::reader::Reader;

/// Where the keys are.
#[derive(Clone, Debug)]
pub struct Keys {
    /// None: beside the SQLite file; see [`super::Config::keys_file`].
    pub file: Option<PathBuf>,
}

impl Keys {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self { file: reader.file("keys.file") }
    }
}
