//! Reads holds for the doors. (Doors know no SQL, and no store.)

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use entity::legal_hold::Model;

use crate::store::legal_hold;
pub use crate::store::legal_hold::Filter;
use crate::store::{Store, StoreError};

/// A page of holds, newest first, and whether more follow.
///
/// # Errors
/// When the database refuses or does not answer, or a row does not read back.
pub async fn page(store: &Store, filter: &Filter, limit: u64) -> Result<(Vec<Model>, bool), StoreError> {
    let mut holds = legal_hold::list(store.db(), filter, limit + 1).await?;
    let more = holds.len() as u64 > limit;
    if more {
        holds.pop();
    }
    Ok((holds, more))
}

/// How many identifiers of each kind a hold on a person has; none for other holds.
pub fn identifiers(hold: &Model) -> Option<BTreeMap<String, usize>> {
    let hashes = legal_hold::subject_hashes(Some(hold.subject.clone()?))?;
    Some(hashes.into_iter().map(|(kind, hashes)| (kind, hashes.len())).collect())
}

/// Whether somebody should have looked at a hold by now.
pub fn review_is_overdue(hold: &Model, now: DateTime<Utc>) -> bool {
    hold.released_at.is_none() && hold.review_at.is_some_and(|at| at <= now)
}
