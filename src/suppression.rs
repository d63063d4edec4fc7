//! Remembers that somebody was erased, without remembering whom: tombstones, re-sweeps, replay after a restore.
//!
//! Every erasure leaves a row of keyed digests ([`tombstone`]) in the transaction that completes it. Re-sweeps ([`sweep`])
//! look for rows that came after, a replay ([`replay`]) for what a backup brought back; both find them by the same
//! comparison ([`scan`]) and erase through a child job of their own ([`child`]). The [`ledger`] is the copy that a restore cannot
//! take back. `docs/suppression.md` tells what this can find, and what it cannot.

pub mod ask;
pub mod child;
pub mod late;
pub mod ledger;
pub mod replay;
pub mod scan;
pub mod sweep;
pub mod tombstone;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::clock::Clock;
use crate::erasure::stores::Stores;
use crate::seal::{ContentKeyError, ContentKeys, Keyring};
use crate::store::{Store, StoreError};

pub use tombstone::{Tombstone, Tombstones, record};

/// The table's name, as the audit log writes it.
pub const TABLE: &str = "Suppression";

/// The key in a child's payload that names the job whose tombstone found its rows.
pub const PARENT: &str = "parent";

/// When and how long.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a tombstone is kept.
    pub keep: TimeDelta,
    /// When rows are looked for again, counted from the erasure; in ascending order.
    pub sweeps: Arc<[TimeDelta]>,
    /// Whether the SQL function is filled.
    pub function: bool,
    /// How long a child may take.
    pub due: TimeDelta,
}

impl Settings {
    /// The first re-sweep after `now` of what was erased at `erased_at`. Those that were missed meanwhile are not made up for:
    /// the next finds what they would have found.
    pub fn next_sweep(&self, erased_at: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.sweeps.iter().map(|after| erased_at + *after).find(|at| *at > now)
    }
}

/// The room's tools. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Suppression {
    pub store: Store,
    pub stores: Stores,
    pub keyring: Arc<Keyring>,
    /// Seal the identifiers that a child needs and its row must not show.
    pub keys: ContentKeys,
    pub clock: Clock,
    pub settings: Settings,
}

/// Why tombstones could not be worked.
#[derive(Debug, thiserror::Error)]
pub enum SuppressionError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a child's body cannot be sealed: {0}")]
    Key(#[from] ContentKeyError),
    /// A tombstone of another installation, or of a key that was taken out of the keys file.
    #[error("the digest key \"{0}\" is not in the keys file: tombstones made with it cannot be compared")]
    UnknownKey(String),
}
