//! Asks the database to make the space of deleted rows usable again.

use sea_orm::ConnectionTrait as _;

use super::facts::Leaf;
use crate::store::Store;

/// Asks for every heap that this user may vacuum; true when it was done for all. What is missed, autovacuum does later.
/// The file does not get shorter: for that, the app would have to wait.
pub(super) async fn postgres(store: &Store, leaves: &[&Leaf]) -> bool {
    let mut all = !leaves.is_empty();
    for leaf in leaves {
        let sql = format!("VACUUM (SKIP_LOCKED, TRUNCATE FALSE, ANALYZE, PARALLEL 0) {}", leaf.name);
        all &= leaf.owned && store.db().execute_unprepared(&sql).await.is_ok();
    }
    all
}

/// Gives free pages back where the file was made for that, and empties the write-ahead log, where deleted rows still stand.
pub(super) async fn sqlite(store: &Store) -> bool {
    let vacuumed = store.db().execute_unprepared("PRAGMA incremental_vacuum").await.is_ok();
    store.truncate_wal().await.is_ok() && vacuumed
}
