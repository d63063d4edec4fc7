//! Reads the log: entries with their places, proofs, and what the public is served.

use super::tiles::{TilePath, Tiles, WIDTH};
use super::{Filter, Log, LogError, sign};
use crate::evidence::checkpoint::SignedCheckpoint;
use crate::evidence::leaf::{self, EntrySalt};
use crate::evidence::merkle::{self, Hash};
use crate::store::audit_log::query::{self, Placed};
use crate::store::{StoreError, audit_tree};

/// Subtrees whose hashes are read at once.
const NODES_AT_ONCE: usize = 256;

impl Log {
    /// The latest checkpoint; none before the first was signed.
    ///
    /// # Errors
    /// When the database does not answer, or holds a checkpoint that none of our keys has signed.
    pub async fn latest(&self) -> Result<Option<SignedCheckpoint>, LogError> {
        let head = self.head().await?;
        audit_tree::latest(self.store.db(), &head.origin).await?.map(|row| self.of_row(&row)).transpose()
    }

    /// The checkpoint of exactly that size, if one was signed.
    ///
    /// # Errors
    /// As [`Log::latest`].
    pub async fn checkpoint_of(&self, size: u64) -> Result<Option<SignedCheckpoint>, LogError> {
        let head = self.head().await?;
        audit_tree::of_size(self.store.db(), &head.origin, size).await?.map(|row| self.of_row(&row)).transpose()
    }

    /// Up to `limit` entries that pass `filter`, from the place `from` to before `to`, in the order of the tree. To read
    /// on, ask again from behind the last one.
    ///
    /// # Errors
    /// When the database does not answer, or a row does not read back.
    pub async fn entries(&self, filter: &Filter, from: u64, to: u64, limit: u64) -> Result<Vec<Placed>, StoreError> {
        query::placed(self.store.db(), filter, from, to, limit).await
    }

    /// The proof that the entry at `index` is in the tree of the first `size` entries. Pruning takes none away.
    ///
    /// # Errors
    /// [`LogError::NoHash`] when the tree is not as large; or the database does not answer.
    pub async fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Hash>, LogError> {
        let tiles = Tiles::of_nodes(self.store.db(), &merkle::inclusion_nodes(index, size)).await?;
        merkle::inclusion(index, size, |node| tiles.hash(node))
    }

    /// The proof that the first `from` entries are the beginning of the first `to`.
    ///
    /// # Errors
    /// As [`Log::inclusion`].
    pub async fn consistency(&self, from: u64, to: u64) -> Result<Vec<Hash>, LogError> {
        let tiles = Tiles::of_nodes(self.store.db(), &merkle::consistency_nodes(from, to)).await?;
        merkle::consistency(from, to, |node| tiles.hash(node))
    }

    /// The hashes of complete subtrees, in the order in which they are asked for.
    ///
    /// # Errors
    /// As [`Log::inclusion`].
    pub async fn hashes(&self, nodes: &[merkle::Node]) -> Result<Vec<Hash>, LogError> {
        let mut hashes = Vec::with_capacity(nodes.len());
        for some in nodes.chunks(NODES_AT_ONCE) {
            let tiles = Tiles::of_nodes(self.store.db(), some).await?;
            for node in some {
                hashes.push(tiles.hash(*node)?);
            }
        }
        Ok(hashes)
    }

    /// The root over the first `size` entries.
    ///
    /// # Errors
    /// As [`Log::inclusion`].
    pub async fn root(&self, size: u64) -> Result<Hash, LogError> {
        sign::root_of(self.store.db(), size).await
    }

    /// The bytes of a tile or an entry bundle, as far as a checkpoint covers it; none when there is no such thing, or its
    /// entries are pruned.
    ///
    /// # Errors
    /// When the database does not answer, or a row does not read back.
    pub async fn tile(&self, path: TilePath) -> Result<Option<Vec<u8>>, LogError> {
        let head = self.head().await?;
        let signed = audit_tree::latest(self.store.db(), &head.origin).await?.map_or(0, |row| row.size.unsigned_abs());
        if path.needs().is_none_or(|needs| needs > signed) {
            return Ok(None);
        }
        let width = usize::from(path.width);
        let Some(level) = path.level else {
            return self.bundle(path.number * WIDTH, width, self.minimum_of(&head)?).await;
        };
        let tiles = audit_tree::tiles(self.store.db(), &[(level, path.number)]).await?;
        Ok(tiles.into_iter().next().and_then(|tile| tile.hashes.get(..width * 32).map(<[u8]>::to_vec)))
    }

    /// Entries as they are hashed, each with its length in front.
    async fn bundle(&self, from: u64, width: usize, minimum: u64) -> Result<Option<Vec<u8>>, LogError> {
        if from < minimum {
            return Ok(None);
        }
        let to = from + width as u64;
        let rows = query::placed(self.store.db(), &Filter::default(), from, to, width as u64).await?;
        let mut bundle = Vec::with_capacity(width * 800);
        let count = rows.len();
        for Placed { entry: row, .. } in rows {
            let salt = super::hash_of(&row.salt);
            let data = salt.map(|salt| leaf::data(&leaf::fields(&row, &EntrySalt(salt))));
            let framed = data.and_then(|data| Some((u16::try_from(data.len()).ok()?, data)));
            let Some((length, data)) = framed else {
                let reason = "not 32 bytes, or an entry longer than a bundle can hold";
                return Err(StoreError::Row { table: "AuditLog", column: "salt", id: row.id, reason }.into());
            };
            bundle.extend_from_slice(&length.to_be_bytes());
            bundle.extend_from_slice(data.as_bytes());
        }
        Ok((count == width).then_some(bundle))
    }
}
