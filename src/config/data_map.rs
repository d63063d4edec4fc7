//! `[data_map]`: what holds personal data.

use std::path::PathBuf;

use super::reader::Reader;

/// Where the data map is.
#[derive(Clone, Debug)]
pub struct DataMap {
    /// None: the compiled-in map of the reference app.
    pub file: Option<PathBuf>,
}

impl DataMap {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self { file: reader.file("data_map.file") }
    }
}
