//! Signs the tree's head. What was signed once binds: a smaller tree, or another root for a size, is never signed.

use chrono::TimeDelta;
use entity::audit_checkpoint;
use sea_orm::ConnectionTrait;

use super::tiles::Tiles;
use super::{CheckpointFile, Log, LogError, Step, hash_of};
use crate::evidence::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::evidence::merkle::{self, Hash};
use crate::store::audit_tree::{self, Head};

const BY_TABLE: &str = "the table of checkpoints";
const BY_FILE: &str = "the checkpoint file";

impl Log {
    /// Signs the tree as it is committed, when it has grown and the last checkpoint is old enough; first the file has it,
    /// then the table, which is what is published.
    ///
    /// # Errors
    /// [`LogError::is_contradiction`] tells the errors that forbid to sign; else it is tried again next time.
    pub async fn sign(&self) -> Result<Option<SignedCheckpoint>, LogError> {
        if !self.may_be_due().await? {
            return Ok(None);
        }
        let tx = self.store.begin_write().await?;
        let head = audit_tree::head_locked(&*tx).await?;
        let now = self.clock.now();
        let stored = match audit_tree::latest(&*tx, &head.origin).await? {
            Some(row) => Some((self.of_row(&row)?, row.signed_at)),
            None => None,
        };
        let filed = self.filed(&head).await?;
        self.require(&*tx, &head, stored.as_ref().map(|(signed, _)| signed), BY_TABLE).await?;
        self.require(&*tx, &head, filed.as_ref(), BY_FILE).await?;
        self.minimum_of(&head)?;
        let size_of = |signed: Option<&SignedCheckpoint>| signed.map_or(0, |signed| signed.checkpoint().size);
        let (in_table, in_file) = (size_of(stored.as_ref().map(|(signed, _)| signed)), size_of(filed.as_ref()));

        if let Some(filed) = filed.filter(|_| in_file > in_table) {
            // A process was killed between file and table. What it signed holds, and is published now.
            self.store_checkpoint(&*tx, &filed, now).await?;
            tx.commit().await?;
            return Ok(Some(filed));
        }
        if let Some((signed, signed_at)) = stored {
            if in_table > in_file {
                // Another process signed, on a machine with another file.
                self.to_file(&signed).await?;
            }
            if in_table == head.size || (now - signed_at).abs() < self.interval() {
                tx.rollback().await?;
                return Ok(None);
            }
        }
        if head.size == 0 {
            tx.rollback().await?;
            return Ok(None);
        }
        let root = root_of(&*tx, head.size).await?;
        let checkpoint = Checkpoint { origin: head.origin.clone(), size: head.size, root, extensions: Vec::new() };
        let signed = checkpoint.sign(&self.key);
        self.at(Step::Signed)?;
        self.to_file(&signed).await?;
        self.at(Step::Filed)?;
        self.store_checkpoint(&*tx, &signed, now).await?;
        self.at(Step::Stored)?;
        tx.commit().await?;
        Ok(Some(signed))
    }

    /// Whether there is anything to sign, to bring in step or to refuse. Takes no lock: it is asked several times a second.
    async fn may_be_due(&self) -> Result<bool, LogError> {
        let head = audit_tree::head(self.store.db()).await?;
        self.minimum_of(&head)?;
        let Some(latest) = audit_tree::latest(self.store.db(), &head.origin).await? else {
            return Ok(head.size > 0 || self.file.is_some());
        };
        let in_table = latest.size.unsigned_abs();
        let in_step = match &self.file {
            None => true,
            Some(_) => self.filed(&head).await?.is_some_and(|filed| filed.note() == latest.note),
        };
        let rests = in_table == head.size || (self.clock.now() - latest.signed_at).abs() < self.interval();
        Ok(!in_step || !rests || in_table > head.size)
    }

    fn interval(&self) -> TimeDelta {
        TimeDelta::from_std(self.sign_every).unwrap_or(TimeDelta::MAX)
    }

    /// Refuses when the tree contradicts what was signed: the table's latest checkpoint, the file's, or the minimum index.
    ///
    /// # Errors
    /// [`LogError::RolledBack`], [`LogError::OtherRoot`], [`LogError::OtherMinimum`], or that the file is not one of this log's.
    pub(super) async fn require_unbroken(
        &self,
        conn: &impl ConnectionTrait,
        head: &Head,
    ) -> Result<Option<SignedCheckpoint>, LogError> {
        self.minimum_of(head)?;
        let stored = audit_tree::latest(conn, &head.origin).await?.map(|row| self.of_row(&row)).transpose()?;
        self.require(conn, head, stored.as_ref(), BY_TABLE).await?;
        let filed = self.filed(head).await?;
        self.require(conn, head, filed.as_ref(), BY_FILE).await?;
        Ok(stored)
    }

    /// That the first entries of the tree are those that were signed.
    async fn require(
        &self,
        conn: &impl ConnectionTrait,
        head: &Head,
        signed: Option<&SignedCheckpoint>,
        by: &'static str,
    ) -> Result<(), LogError> {
        let Some(signed) = signed.map(SignedCheckpoint::checkpoint) else { return Ok(()) };
        if signed.size > head.size {
            return Err(LogError::RolledBack { size: head.size, signed: signed.size, by });
        }
        if root_of(conn, signed.size).await? != signed.root {
            return Err(LogError::OtherRoot { size: signed.size, by });
        }
        Ok(())
    }

    /// The checkpoint of a row, which must be one of ours.
    pub(super) fn of_row(&self, row: &audit_checkpoint::Model) -> Result<SignedCheckpoint, LogError> {
        let bad = || LogError::BadCheckpoint { size: row.size.unsigned_abs() };
        let signed = SignedCheckpoint::parse(row.note.as_bytes()).map_err(|_| bad())?;
        let says = signed.checkpoint();
        let same = says.origin == row.origin
            && says.size == row.size.unsigned_abs()
            && hash_of(&row.root) == Some(says.root)
            && signed.signer(&self.keys).is_some();
        if same { Ok(signed) } else { Err(bad()) }
    }

    /// What the file holds, which must be of this log and signed by one of our keys.
    async fn filed(&self, head: &Head) -> Result<Option<SignedCheckpoint>, LogError> {
        let Some(file) = self.file.clone() else { return Ok(None) };
        let path = file.path().to_owned();
        let Some(signed) = blocking(move || file.read()).await? else { return Ok(None) };
        if signed.checkpoint().origin != head.origin {
            return Err(LogError::OtherLog { path, of: signed.checkpoint().origin.clone() });
        }
        if signed.signer(&self.keys).is_none() {
            return Err(LogError::FileUnsigned { path });
        }
        Ok(Some(signed))
    }

    async fn to_file(&self, signed: &SignedCheckpoint) -> Result<(), LogError> {
        let Some(file): Option<CheckpointFile> = self.file.clone() else { return Ok(()) };
        let signed = signed.clone();
        blocking(move || file.write(&signed)).await
    }

    async fn store_checkpoint(
        &self,
        conn: &impl ConnectionTrait,
        signed: &SignedCheckpoint,
        now: chrono::DateTime<chrono::Utc>,
    ) -> Result<(), LogError> {
        let key_id = signed.signer(&self.keys).map_or("", |key| key.id());
        let checkpoint = signed.checkpoint();
        let (size, root) = (checkpoint.size, &checkpoint.root);
        Ok(audit_tree::insert_checkpoint(conn, &checkpoint.origin, size, root, signed.note(), key_id, now).await?)
    }
}

/// The root over the first `size` entries, from a handful of tiles.
pub(super) async fn root_of(conn: &impl ConnectionTrait, size: u64) -> Result<Hash, LogError> {
    let tiles = Tiles::of_nodes(conn, &merkle::peaks(size)).await?;
    merkle::root(size, |node| tiles.hash(node))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| LogError::BrokenOff)?
}
