//! Reads jobs for the doors: one by id, or a page of a filtered list. (Doors know no SQL, and no store.)

use entity::gdpr_job::Model;

use crate::store::gdpr_job::query;
pub use crate::store::gdpr_job::query::Filter;
use crate::store::{Store, StoreError};

/// The job of that id.
///
/// # Errors
/// When the database refuses or does not answer, or the row does not read back.
pub async fn find(store: &Store, id: &str) -> Result<Option<Model>, StoreError> {
    query::find(store.db(), id).await
}

/// The shop of a job, also when only its receipt is left.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn shop_of(store: &Store, id: &str) -> Result<Option<String>, StoreError> {
    query::shop_of(store.db(), id).await
}

/// A page of jobs, newest first, and whether more follow.
///
/// # Errors
/// When the database refuses or does not answer, or a row does not read back.
pub async fn page(store: &Store, filter: &Filter, limit: u64) -> Result<(Vec<Model>, bool), StoreError> {
    let mut jobs = query::list(store.db(), filter, limit + 1).await?;
    let more = jobs.len() as u64 > limit;
    if more {
        jobs.pop();
    }
    Ok((jobs, more))
}
