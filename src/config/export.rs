//! `[export]`: packages for `customers/data_request`.

use super::reader::Reader;

/// How long packages are kept.
#[derive(Clone, Debug)]
pub struct Export {
    pub keep_days: u32,
}

impl Export {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self { keep_days: reader.whole("export.keep_days", 1..=365) }
    }
}
