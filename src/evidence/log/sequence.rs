//! Gives entries their places, after they have committed.

use super::tiles::Tiles;
use super::{Log, LogError, Step};
use crate::evidence::leaf::{self, EntrySalt};
use crate::store::audit_log::place::{self, Placement};
use crate::store::{StoreError, audit_tree};
use sea_orm::DbBackend;

/// Entries that are placed in one transaction. On SQLite every other writer waits for it.
const BATCH_MAX: (usize, usize) = (2_048, 256);

impl Log {
    /// Places every entry that has committed by now; returns how many. When another process is at it, it is left to it.
    ///
    /// The order is decided in the transaction that moves the tree's size, once: of two that place the same entries, one
    /// commits. An entry whose transaction commits later than its neighbours' gets a later place.
    ///
    /// # Errors
    /// [`LogError`]: then the last batch was not placed, and is placed next time.
    pub async fn sequence(&self) -> Result<u64, LogError> {
        let batch_max = if self.store.backend() == DbBackend::Postgres { BATCH_MAX.0 } else { BATCH_MAX.1 };
        let mut placed = 0;
        loop {
            let count = self.sequence_batch(batch_max).await?;
            placed += count as u64;
            if count < batch_max {
                return Ok(placed);
            }
        }
    }

    async fn sequence_batch(&self, batch_max: usize) -> Result<usize, LogError> {
        let db = self.store.db();
        let entries = place::unplaced(db, batch_max as u64).await?;
        if entries.is_empty() {
            return Ok(0);
        }
        let count = entries.len();
        let from = audit_tree::head(db).await?.size;
        let mut tiles = Tiles::of_edge(db, from).await?;
        // Some ten hashes per field of an entry: not on the threads that answer webhooks.
        let worked_out = tokio::task::spawn_blocking(move || {
            let mut edge = tiles.edge(from)?;
            let mut placements = Vec::with_capacity(entries.len());
            for entry in entries {
                let salt = salt_of(&entry)?;
                let hash = leaf::hash_of_entry(&entry, &EntrySalt(salt));
                placements.push(Placement { id: entry.id, index: edge.size(), hash, salt });
                edge.append(hash, |node, hash| tiles.take(node, hash));
            }
            Ok::<_, LogError>((edge.size(), tiles.changed(), placements))
        });
        let (to, tiles, placements) = worked_out.await.map_err(|_| LogError::BrokenOff)??;
        self.at(Step::Computed)?;

        let tx = self.store.begin_write().await?;
        if !audit_tree::grow(&*tx, from, to).await? {
            // Another process was faster. Its entries are most of ours.
            tx.rollback().await?;
            return Ok(0);
        }
        self.at(Step::Grown)?;
        audit_tree::put_tiles(&*tx, tiles).await?;
        self.at(Step::Tiled)?;
        place::place(&*tx, &placements).await?;
        self.at(Step::Placed)?;
        tx.commit().await?;
        Ok(count)
    }
}

/// Entries that were written before there were salts get theirs with their place.
fn salt_of(entry: &entity::audit_log::Model) -> Result<[u8; 32], StoreError> {
    match entry.salt.as_deref() {
        None => Ok(rand::random()),
        Some(salt) => salt.try_into().map_err(|_| StoreError::Row {
            table: "AuditLog",
            column: "salt",
            id: entry.id.clone(),
            reason: "not 32 bytes",
        }),
    }
}
