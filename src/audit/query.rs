//! Reads the audit log for the doors, the newest first. (Doors know no SQL, and no store.)

use crate::store::audit_log::query;
pub use crate::store::audit_log::query::{Before, Filter, Listed};
use crate::store::{Store, StoreError};

/// A page of entries, the newest first, and whether more follow.
///
/// # Errors
/// When the database refuses or does not answer, or a row does not read back.
pub async fn page(
    store: &Store,
    filter: &Filter,
    before: Option<&Before>,
    limit: u64,
) -> Result<(Vec<Listed>, bool), StoreError> {
    let mut entries = query::list(store.db(), filter, before, limit + 1).await?;
    let more = entries.len() as u64 > limit;
    entries.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok((entries, more))
}
