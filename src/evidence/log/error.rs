//! What can go wrong with the log, and above all: what must never be signed.

use std::io;
use std::path::PathBuf;

use super::Step;
use crate::evidence::checkpoint::CheckpointError;
use crate::store::StoreError;

/// Why something was not done with the audit log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database is an earlier one than the one that was signed.
    #[error(
        "the database was rolled back: its audit log has {size} entries, but {signed} were signed before ({by}); \
         nothing is signed until the newer database is back or the log is begun anew"
    )]
    RolledBack { size: u64, signed: u64, by: &'static str },
    /// The tree holds other entries than those that were signed.
    #[error(
        "the audit log is not the one that was signed: the root over its first {size} entries is another than that of \
         the checkpoint ({by}); the database was rolled back and written to again, or its tables were altered"
    )]
    OtherRoot { size: u64, by: &'static str },
    /// The file speaks of another log.
    #[error("the checkpoint file {} belongs to another log ({of}); is this the database of that file?", path.display())]
    OtherLog { path: PathBuf, of: String },
    /// The file holds something else.
    #[error("the checkpoint file {} cannot be read as one: {source}", path.display())]
    FileUnreadable { path: PathBuf, source: CheckpointError },
    /// The file's checkpoint is none of ours.
    #[error("the checkpoint file {} is signed by none of the keys in the keys file", path.display())]
    FileUnsigned { path: PathBuf },
    /// The file could not be read or written.
    #[error("the checkpoint file {} cannot be used ({kind})", path.display())]
    File { path: PathBuf, kind: io::ErrorKind },
    /// A checkpoint in the table is none of ours.
    #[error("the checkpoint of {size} entries in the database does not read back, or none of our keys has signed it")]
    BadCheckpoint { size: u64 },
    /// The tree has a hole.
    #[error("the audit log's tree has no hash at level {level}, number {index}")]
    NoHash { level: u8, index: u64 },
    /// The minimum index is not the one that was signed: bodies may have been taken away by hand.
    #[error(
        "the audit log's minimum index is {used}, and the signed note beside it says {}: its tables were altered",
        signed.map_or_else(|| "none".to_owned(), |signed| signed.to_string())
    )]
    OtherMinimum { used: u64, signed: Option<u64> },
    /// Entries are gone that nobody has pruned.
    #[error(
        "the audit log lacks entries: of {places} places from {from} on, {bodies} have one; none of them was pruned, so they were taken away by hand or lost"
    )]
    Missing { from: u64, places: u64, bodies: u64 },
    /// A task of ours ended in a panic, or at shutdown.
    #[error("the work was broken off")]
    BrokenOff,
    /// A test wanted it so.
    #[error("stopped at {0:?}")]
    Stopped(Step),
}

impl LogError {
    /// Whether the database and what was signed of it contradict each other: waiting cures nothing, a person must act.
    pub fn is_contradiction(&self) -> bool {
        matches!(
            self,
            Self::RolledBack { .. }
                | Self::OtherRoot { .. }
                | Self::OtherLog { .. }
                | Self::FileUnreadable { .. }
                | Self::FileUnsigned { .. }
                | Self::BadCheckpoint { .. }
                | Self::NoHash { .. }
                | Self::OtherMinimum { .. }
                | Self::Missing { .. }
        )
    }

    /// Whether nothing will be signed until a person acts: a contradiction, a row of ours that is gone or does not read back, or a
    /// checkpoint file that cannot be used.
    pub fn needs_a_person(&self) -> bool {
        self.is_contradiction() || matches!(self, Self::File { .. } | Self::Store(StoreError::Row { .. }))
    }

    /// Whether the database is away, as opposed to unwilling.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_outage())
    }
}
