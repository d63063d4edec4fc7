//! `[webhooks]`: the secrets that senders sign with.

use super::reader::Reader;
use super::secret::Secret;

/// What webhooks are verified with.
#[derive(Clone, Debug)]
pub struct Webhooks {
    /// Every one verifies; the first is the current one. Empty: nothing can be verified, and `serve` refuses to start.
    pub secrets: Vec<Secret>,
}

impl Webhooks {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self { secrets: reader.secrets("webhooks.secrets") }
    }
}
