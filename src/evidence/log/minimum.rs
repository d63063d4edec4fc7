//! The minimum index: what is below it may be gone. It is one number in one row, so it is believed only when it is signed.

use super::{Log, LogError};
use crate::evidence::checkpoint::SignedCheckpoint;
use crate::store::audit_log::span;
use crate::store::audit_tree::Head;

/// How the line of the signed note begins that tells the minimum index.
pub(super) const LINE: &str = "minimum-index ";

impl Log {
    /// The minimum index that is in force: the head's, which must be the one that the signed note beside it tells.
    ///
    /// # Errors
    /// [`LogError::OtherMinimum`] when it is another, or the note is none of this log's.
    pub fn minimum_of(&self, head: &Head) -> Result<u64, LogError> {
        let signed = head.policy.as_ref().and_then(|note| self.told(head, note));
        // Before the first pruning there is no note.
        let is_signed = signed == Some(head.minimum_index) || head.minimum_index == 0 && head.policy.is_none();
        if is_signed {
            Ok(head.minimum_index)
        } else {
            Err(LogError::OtherMinimum { used: head.minimum_index, signed })
        }
    }

    /// What a note tells that one of our keys has signed for this log.
    fn told(&self, head: &Head, note: &str) -> Option<u64> {
        let note = SignedCheckpoint::parse(note.as_bytes()).ok()?;
        let says = note.checkpoint();
        if says.origin != head.origin || says.size > head.size || note.signer(&self.keys).is_none() {
            return None;
        }
        says.extensions.iter().find_map(|line| line.strip_prefix(LINE))?.parse().ok()
    }

    /// The signed note that publishes the minimum index; none before the first pruning.
    ///
    /// # Errors
    /// As [`Log::minimum_of`]; or the database does not answer.
    pub async fn minimum_note(&self) -> Result<Option<String>, LogError> {
        let head = self.head().await?;
        self.minimum_of(&head)?;
        Ok(head.policy)
    }

    /// Makes sure that every place from `from`, which is the minimum index, to before `to` has its entry. False when the log was
    /// pruned meanwhile, and says nothing of what was read before.
    ///
    /// # Errors
    /// [`LogError::Missing`], [`LogError::OtherMinimum`]; or the database does not answer.
    pub async fn is_whole(&self, from: u64, to: u64) -> Result<bool, LogError> {
        let counted = span::count(self.store.db(), from, to).await?;
        if self.minimum_of(&self.head().await?)? != from {
            return Ok(false);
        }
        let places = to.saturating_sub(from);
        if (counted.places, counted.bodies) == (places, places) {
            return Ok(true);
        }
        Err(LogError::Missing { from, places, bodies: counted.bodies.min(counted.places) })
    }

    /// Holds the log against everything that was signed of it. Changes nothing.
    ///
    /// # Errors
    /// [`LogError`]; [`LogError::is_contradiction`] tells those that nothing is signed after.
    pub async fn require_signed(&self) -> Result<(), LogError> {
        let head = self.head().await?;
        self.require_unbroken(self.store.db(), &head).await.map(drop)
    }

    /// Holds the log against everything that was signed of it, and counts its entries. Changes nothing.
    ///
    /// # Errors
    /// [`LogError`]; [`LogError::is_contradiction`] tells those that nothing is signed after.
    pub async fn check(&self) -> Result<(), LogError> {
        loop {
            let head = self.head().await?;
            let minimum = self.minimum_of(&head)?;
            self.require_unbroken(self.store.db(), &head).await?;
            if self.is_whole(minimum, head.size).await? {
                return Ok(());
            }
        }
    }
}
