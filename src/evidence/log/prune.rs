//! Takes the bodies of old entries away. Hashes and checkpoints stay, so every proof of before and after still verifies.

use chrono::{DateTime, Utc};
use entity::audit_log::Action;
use serde_json::json;

use super::{Log, LogError, Step};
use crate::audit::{self, Actor, Entry};
use crate::clock::rfc3339;
use crate::evidence::checkpoint::Checkpoint;
use crate::evidence::checkpoint::SignedCheckpoint;
use crate::store::WriteTransaction;
use crate::store::audit_log::prune;
use crate::store::audit_tree;
use crate::store::audit_tree::Head;

/// Places whose bodies are deleted in one transaction.
const BATCH: u64 = 1_000;

/// What a pruning did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// Entries below it have no body any more.
    pub minimum_index: u64,
    /// Bodies that this pruning deleted, those included that an earlier one was killed before.
    pub rows: u64,
}

impl Log {
    /// Deletes the bodies of entries that are older than `cutoff`: from the beginning of the tree up to the first one that is
    /// younger, and not beyond the latest checkpoint.
    ///
    /// First the new minimum index is published: a note signed with the log's key, and an entry of the log. Then the bodies
    /// go, in small transactions. A pruning that was killed is finished by the next.
    ///
    /// # Errors
    /// [`LogError`]. A log that contradicts what was signed of it is not pruned.
    pub async fn prune(&self, cutoff: DateTime<Utc>) -> Result<Pruned, LogError> {
        let minimum_index = self.raise_minimum(cutoff).await?;
        let mut rows = 0;
        while let Some(first) = prune::first_body(self.store.db(), minimum_index).await? {
            let tx = self.store.begin_write().await?;
            rows += prune::delete(&*tx, first, minimum_index.min(first + BATCH)).await?;
            self.at(Step::Deleted)?;
            tx.commit().await?;
            self.at(Step::Gone)?;
        }
        Ok(Pruned { minimum_index, rows })
    }

    /// How many bodies [`Log::prune`] would delete.
    ///
    /// # Errors
    /// [`LogError`].
    pub async fn prunable(&self, cutoff: DateTime<Utc>) -> Result<u64, LogError> {
        let tx = self.store.begin_write().await?;
        let head = audit_tree::head_locked(&*tx).await?;
        let minimum = self.minimum(&tx, &head, cutoff).await?.map_or(head.minimum_index, |(minimum, _)| minimum);
        let first = prune::first_body(&*tx, minimum).await?.unwrap_or(minimum);
        tx.rollback().await?;
        Ok(minimum.saturating_sub(first))
    }

    /// The minimum index that a cutoff asks for, with the latest checkpoint; none when nothing is to be pruned.
    async fn minimum(
        &self,
        tx: &WriteTransaction,
        head: &Head,
        cutoff: DateTime<Utc>,
    ) -> Result<Option<(u64, SignedCheckpoint)>, LogError> {
        let Some(signed) = self.require_unbroken(&**tx, head).await? else { return Ok(None) };
        let kept = prune::first_kept(&**tx, head.minimum_index, head.size, cutoff).await?.unwrap_or(head.size);
        let minimum = kept.min(signed.checkpoint().size);
        Ok((minimum > head.minimum_index).then_some((minimum, signed)))
    }

    async fn raise_minimum(&self, cutoff: DateTime<Utc>) -> Result<u64, LogError> {
        let tx = self.store.begin_write().await?;
        let head = audit_tree::head_locked(&*tx).await?;
        let Some((minimum, signed)) = self.minimum(&tx, &head, cutoff).await? else {
            tx.rollback().await?;
            return Ok(head.minimum_index);
        };
        // A checkpoint with two lines more: whoever verifies checkpoints verifies it.
        let extensions =
            vec![format!("{}{minimum}", super::minimum::LINE), format!("pruned-before {}", rfc3339(cutoff))];
        let policy = Checkpoint { extensions, ..signed.checkpoint().clone() }.sign(&self.key);
        if !audit_tree::raise_minimum(&*tx, head.minimum_index, minimum, policy.note()).await? {
            tx.rollback().await?;
            return Ok(head.minimum_index);
        }
        let entry = Entry {
            actor: Actor::System("pruner"),
            action: Action::Delete,
            resource_type: "AuditLog",
            resource_id: head.origin,
            shop_domain: None,
            metadata: json!({
                "minimumIndex": minimum,
                "before": head.minimum_index,
                "cutoff": rfc3339(cutoff),
                "checkpointSize": signed.checkpoint().size,
            }),
        };
        audit::append(&*tx, self.clock.now(), vec![entry]).await?;
        self.at(Step::Raised)?;
        tx.commit().await?;
        self.at(Step::Published)?;
        Ok(minimum)
    }
}
