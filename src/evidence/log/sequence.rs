//! Gives entries their places, after they have committed.

use std::collections::BTreeSet;
use std::sync::{MutexGuard, PoisonError};

use sea_orm::DbBackend;

use super::tiles::Tiles;
use super::{Log, LogError, Step};
use crate::evidence::leaf::{self, EntrySalt};
use crate::store::StoreError;
use crate::store::audit_log::{place, span};
use crate::store::audit_tree::{self, Head};

/// Entries that are placed in one transaction. On SQLite every other writer waits for it.
const BATCH_MAX: (usize, usize) = (2_048, 256);

/// How far a process has looked.
///
/// The database gives entries their numbers before they commit, so below the highest number that was seen there may be
/// entries that nobody can see yet. They are found later: every round looks at all numbers above `settled`. That one only rises
/// to a number when a whole round has begun after everybody had ended who may have taken a number up to it.
#[derive(Debug, Default)]
pub(super) struct Mark {
    /// Every entry with a number up to it has its place.
    settled: i64,
    /// The highest number that was placed, and the log it was placed in, with the size that it had before.
    seen: i64,
    log: (String, u64),
    /// A number to settle, and the transactions that must have ended before.
    awaited: Option<(i64, BTreeSet<String>)>,
}

impl Mark {
    /// Begins a round. What was learned of a log that has been another since, or longer, is forgotten: it was restored.
    fn begin(&mut self, head: Head) {
        if self.log.0 != head.origin || self.log.1 > head.size {
            *self = Self { settled: head.settled, seen: head.settled, ..Self::default() };
        }
        self.log = (head.origin, head.size);
        self.settled = self.settled.max(head.settled);
    }

    /// The number that is settled once everything that can be seen has a place, when these transactions still append.
    fn settles(&self, appenders: &BTreeSet<String>) -> Option<i64> {
        let (number, awaited) = self.awaited.as_ref()?;
        // One that is prepared may be one of those that are awaited.
        (awaited.is_disjoint(appenders) && !appenders.contains(place::PREPARED)).then_some(*number)
    }

    /// Ends a round that has placed all it saw. Returns the next number to settle, if it has to be asked who is to be awaited.
    fn end(&mut self, seen: i64, settles: Option<i64>) -> Option<i64> {
        self.seen = self.seen.max(seen);
        if let Some(settled) = settles {
            self.settled = self.settled.max(settled);
            self.awaited = None;
        }
        (self.awaited.is_none() && self.seen > self.settled).then_some(self.seen)
    }
}

/// What a batch did.
enum Batch {
    /// So many entries have places now, the last of them with this number. More may follow.
    Placed(usize, i64),
    /// Nothing is without a place.
    Empty,
    /// Another process places the same entries.
    Outrun,
}

impl Log {
    /// Places every entry that has committed by now; returns how many. When another process is at it, it is left to it.
    ///
    /// The order is decided in the transaction that moves the tree's size, once: of two that place the same entries, one
    /// commits. An entry whose transaction commits later than its neighbours' gets a later place.
    ///
    /// # Errors
    /// [`LogError`]: then the last batch was not placed, and is placed next time.
    pub async fn sequence(&self) -> Result<u64, LogError> {
        let db = self.store.db();
        let batch_max = if self.store.backend() == DbBackend::Postgres { BATCH_MAX.0 } else { BATCH_MAX.1 };
        // Before anything is read: of who is not among them, everything can be seen.
        let appenders = place::appenders(db).await?;
        let head = audit_tree::head(db).await?;
        let (settles, mut after) = {
            let mut mark = self.mark();
            mark.begin(head);
            (mark.settles(&appenders), mark.settled)
        };
        // A later batch sees more than the first. Whoever has waited for an entry that the first one did not see took its number
        // afterwards, which is above this one: it is left to the next round, which sees both.
        let to = place::highest(db).await?.unwrap_or(after);
        let mut placed = 0;
        loop {
            match self.sequence_batch((after, to), batch_max).await? {
                Batch::Outrun => return Ok(placed),
                Batch::Empty => break,
                Batch::Placed(count, last) => {
                    placed += count as u64;
                    after = last;
                    if count < batch_max {
                        break;
                    }
                }
            }
        }
        let next = self.mark().end(after, settles);
        if let Some(seen) = next {
            let appenders = place::appenders(db).await?;
            self.mark().awaited = Some((seen, appenders));
        }
        Ok(placed)
    }

    fn mark(&self) -> MutexGuard<'_, Mark> {
        self.mark.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn sequence_batch(&self, (after, to): (i64, i64), batch_max: usize) -> Result<Batch, LogError> {
        let db = self.store.db();
        // The size first: whoever places any of these entries meanwhile moves it.
        let from = audit_tree::head(db).await?.size;
        let entries = place::unplaced(db, after, to, batch_max as u64).await?;
        let Some(last) = entries.last().map(|entry| entry.ordinal) else { return Ok(Batch::Empty) };
        let count = entries.len();
        let spans = span::of_ordinals(from, entries.iter().map(|entry| entry.ordinal));
        let mut tiles = Tiles::of_edge(db, from).await?;
        // Some ten hashes per field of an entry: not on the threads that answer webhooks.
        let worked_out = tokio::task::spawn_blocking(move || {
            let mut edge = tiles.edge(from)?;
            for entry in entries {
                let hash = leaf::hash_of_entry(&entry, &salt_of(&entry)?);
                edge.append(hash, |node, hash| tiles.take(node, hash));
            }
            Ok::<_, LogError>((edge.size(), tiles.changed()))
        });
        let (to, tiles) = worked_out.await.map_err(|_| LogError::BrokenOff)??;
        self.at(Step::Computed)?;

        let settled = self.mark().settled;
        let tx = self.store.begin_write().await?;
        if !audit_tree::grow(&*tx, from, to, settled).await? {
            // Another process was faster. Its entries are most of ours.
            tx.rollback().await?;
            return Ok(Batch::Outrun);
        }
        self.at(Step::Grown)?;
        audit_tree::put_tiles(&*tx, tiles).await?;
        self.at(Step::Tiled)?;
        span::insert(&*tx, &spans).await?;
        self.at(Step::Placed)?;
        tx.commit().await?;
        Ok(Batch::Placed(count, last))
    }
}

fn salt_of(entry: &entity::audit_log::Model) -> Result<EntrySalt, StoreError> {
    let (table, column, reason) = ("AuditLog", "salt", "not 32 bytes");
    let unreadable = |_| StoreError::Row { table, column, id: entry.id.clone(), reason };
    entry.salt.as_slice().try_into().map(EntrySalt).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(size: u64, settled: i64) -> Head {
        Head { origin: "log".to_owned(), size, minimum_index: 0, policy: None, settled }
    }

    fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
        names.map(str::to_owned).into()
    }

    #[test]
    fn a_number_is_settled_when_all_that_are_awaited_have_ended_and_none_is_prepared() {
        let mut mark = Mark::default();
        mark.begin(head(0, 0));
        assert_eq!(mark.end(7, None), Some(7));
        mark.awaited = Some((7, names(["3/5", "4/9"])));
        assert_eq!(mark.end(12, mark.settles(&names(["4/9"]))), None, "one of them goes on");
        assert_eq!(mark.end(12, mark.settles(&names([place::PREPARED]))), None, "it may be one of them");
        assert_eq!((mark.settled, mark.seen), (0, 12));
        assert_eq!(mark.end(12, mark.settles(&names(["3/6"]))), Some(12), "the next one to settle");
        assert_eq!(mark.settled, 7);
    }

    #[test]
    fn what_was_learned_of_a_log_is_forgotten_when_it_is_shorter_or_another() {
        for restored in [head(4, 3), Head { origin: "another".to_owned(), ..head(9, 3) }] {
            let mut mark = Mark::default();
            mark.begin(head(5, -4));
            assert_eq!((mark.settled, mark.seen), (-4, -4), "numbers of before may be negative");
            mark.end(9, Some(8));
            mark.awaited = Some((9, names([])));
            mark.begin(restored);
            assert_eq!((mark.settled, mark.seen, mark.awaited), (3, 3, None));
        }
    }
}
