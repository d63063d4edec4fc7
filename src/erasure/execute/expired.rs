//! Deletes rows whose time is over.

use crate::shutdown::Shutdown;
use crate::store::target::purge::{self, Expiry, Limits, Note, Purged};
use crate::store::{Store, StoreError};

/// Deletes what has expired, batch by batch; `note` is asked in each batch's transaction.
///
/// # Errors
/// As the store's own: what was committed until then stays deleted.
pub async fn purge<N: Note>(
    store: &Store,
    expiry: &Expiry,
    limits: &Limits,
    resume: Option<&str>,
    note: &N,
    stop: &Shutdown,
) -> Result<Purged, StoreError> {
    purge::purge(store, expiry, limits, resume, note, stop).await
}
