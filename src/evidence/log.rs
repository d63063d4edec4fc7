//! Keeps the audit log as a Merkle tree that is signed, served in tiles, and pruned.
//!
//! Writers append entries and wait for nobody. The `sequence` part gives entries that have committed their places; the
//! `sign` part signs the tree's head, and never a smaller tree or a second root for a size, also by a [`file`] that no
//! restore of the database reaches; the `prune` part takes old bodies away and leaves every hash. Any number of
//! processes may do all of it at any time, and be killed at any point of it. `docs/adr/0009-audit-log.md` tells why so.

mod error;
mod file;
mod minimum;
mod prune;
mod read;
mod sequence;
mod sign;
mod tiles;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ed25519_dalek::SigningKey;

use super::merkle::Hash;
use super::public_key::PublicKey;
use crate::clock::Clock;
use crate::seal::Keyring;
use crate::store::audit_log::place;
use crate::store::{Store, StoreError, audit_tree};

pub use error::LogError;
pub use prune::Pruned;
use sequence::Mark;
pub use tiles::TilePath;

pub use crate::store::audit_log::query::{Filter, Placed};
pub use crate::store::audit_tree::Head;
pub use file::CheckpointFile;

/// How the log is kept.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// Time between two checkpoints, at least.
    pub sign_every: Duration,
    /// The file that the latest checkpoint is written to, outside of the database.
    pub file: Option<PathBuf>,
}

/// A point between two steps, at which a process may be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Places are worked out; nothing is written.
    Computed,
    /// The size is written, not committed.
    Grown,
    /// The tiles are written, not committed.
    Tiled,
    /// The entries have their places, not committed.
    Placed,
    /// The places are committed; nothing is signed.
    Sequenced,
    /// A checkpoint is signed; nobody has it.
    Signed,
    /// The file has the checkpoint; the table has not.
    Filed,
    /// The table has the checkpoint, not committed.
    Stored,
    /// The minimum index is raised, not committed.
    Raised,
    /// The minimum index is published; every body is there.
    Published,
    /// Bodies are deleted, not committed.
    Deleted,
    /// Some bodies are gone.
    Gone,
}

impl Step {
    /// Every step, in the order in which they are taken.
    pub const ALL: [Self; 12] = [
        Self::Computed,
        Self::Grown,
        Self::Tiled,
        Self::Placed,
        Self::Sequenced,
        Self::Signed,
        Self::Filed,
        Self::Stored,
        Self::Raised,
        Self::Published,
        Self::Deleted,
        Self::Gone,
    ];
}

type StopAt = Arc<dyn Fn(Step) -> bool + Send + Sync>;

/// The audit log of an installation. Cheap to clone.
#[derive(Clone)]
pub struct Log {
    store: Store,
    clock: Clock,
    key: Arc<SigningKey>,
    /// The current key and all before it.
    keys: Arc<[PublicKey]>,
    file: Option<CheckpointFile>,
    sign_every: Duration,
    stop_at: Option<StopAt>,
    mark: Arc<Mutex<Mark>>,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("key", &self.keys.first()).field("file", &self.file).finish_non_exhaustive()
    }
}

/// What one look after the log did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tended {
    /// Entries that were given their places.
    pub placed: u64,
    /// The size of the tree that was signed, if one was.
    pub signed: Option<u64>,
}

impl Log {
    /// The log of that database, signed with the current key of `keyring`.
    pub fn new(store: Store, clock: Clock, keyring: &Keyring, settings: LogSettings) -> Self {
        let (_, seed) = keyring.signing_seed();
        let key = SigningKey::from_bytes(seed);
        let current = PublicKey::new(key.verifying_key());
        let mut keys = vec![current];
        for seed in keyring.signing_seeds() {
            let earlier = PublicKey::new(SigningKey::from_bytes(seed).verifying_key());
            if !keys.contains(&earlier) {
                keys.push(earlier);
            }
        }
        Self {
            store,
            clock,
            key: Arc::new(key),
            keys: keys.into(),
            file: settings.file.map(CheckpointFile::new),
            sign_every: settings.sign_every,
            stop_at: None,
            mark: Arc::default(),
        }
    }

    /// The same log, whose work stops dead, as if the process were killed, at the first step for which `stop_at` is true.
    /// For tests.
    #[must_use]
    pub fn stopped_at(mut self, stop_at: impl Fn(Step) -> bool + Send + Sync + 'static) -> Self {
        self.stop_at = Some(Arc::new(stop_at));
        self
    }

    fn at(&self, step: Step) -> Result<(), LogError> {
        match &self.stop_at {
            Some(stop_at) if stop_at(step) => Err(LogError::Stopped(step)),
            _ => Ok(()),
        }
    }

    /// The keys that checkpoints may be signed with, the current one first.
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// Where the tree stands.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn head(&self) -> Result<Head, StoreError> {
        audit_tree::head(self.store.db()).await
    }

    /// Places what is new and signs it: what every process does over and over.
    ///
    /// # Errors
    /// [`LogError`]. What was done until then stays done, and the next call goes on from there.
    pub async fn tend(&self) -> Result<Tended, LogError> {
        let placed = self.sequence().await?;
        self.at(Step::Sequenced)?;
        let signed = self.sign().await?.map(|signed| signed.checkpoint().size);
        Ok(Tended { placed, signed })
    }

    /// Tells the metrics how the log stands.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn measure(&self) -> Result<(), StoreError> {
        let head = self.head().await?;
        let unplaced = place::count_unplaced(self.store.db(), head.settled).await?;
        let latest = audit_tree::latest(self.store.db(), &head.origin).await?;
        metrics::gauge!("efface_audit_log_size").set(in_gauge(head.size));
        metrics::gauge!("efface_audit_log_unplaced").set(in_gauge(unplaced));
        if let Some(latest) = latest {
            let age = (self.clock.now() - latest.signed_at).as_seconds_f64().max(0.0);
            metrics::gauge!("efface_audit_log_checkpoint_age_seconds").set(age);
        }
        Ok(())
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; beyond 2^53 entries the last digit does not matter"
)]
fn in_gauge(number: u64) -> f64 {
    number as f64
}

/// A hash as it is stored.
fn hash_of(bytes: &[u8]) -> Option<Hash> {
    bytes.try_into().ok()
}
