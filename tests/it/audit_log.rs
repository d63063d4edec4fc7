//! The audit log: every entry gets one place, what was signed binds, old bodies go, and everything still verifies.

pub mod api;
mod command_line;
mod cost;
mod crates;
mod guards;
mod killed;
mod kills;
mod places;
mod pruning;
mod pypi;
mod signing;

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::TimeDelta;
use efface::audit::{self, Actor, Entry};
use efface::evidence::checkpoint::SignedCheckpoint;
use efface::evidence::leaf::{self, EntrySalt};
use efface::evidence::log::{Log, LogError, LogSettings};
use efface::evidence::merkle::{Hash, Tree, verify_consistency, verify_inclusion};
use efface::seal::Keyring;
use efface::store::audit_log::query::{self, Filter, Listed};
use entity::audit_log::{Action, Model};
use sea_orm::{EntityTrait as _, QueryOrder as _};
use serde_json::json;

use crate::house::House;

/// An entry about something.
pub fn entry(id: &str) -> Entry {
    Entry {
        actor: Actor::System("test"),
        action: Action::Update,
        resource_type: "GDPRJob",
        resource_id: id.to_owned(),
        shop_domain: Some("ada.myshopify.com".to_owned()),
        metadata: json!({ "status": "queued", "attempts": 2 }),
    }
}

impl House {
    /// Where checkpoints are written to in these tests, on both databases.
    pub fn checkpoint_file(&self) -> PathBuf {
        PathBuf::from(self.keys_file()).with_file_name("log.checkpoint")
    }

    /// The log as one process has it.
    pub fn log(&self) -> Log {
        self.log_over(self.store().clone())
    }

    pub fn log_over(&self, store: efface::store::Store) -> Log {
        let keyring = Keyring::load(self.keys_file().as_ref()).unwrap();
        let settings =
            LogSettings { sign_every: std::time::Duration::from_secs(1), file: Some(self.checkpoint_file()) };
        Log::new(store, self.clock.clone(), &keyring, settings)
    }

    /// Begins years before the database's clock: it lets go only of entries that are old by its own clock.
    pub fn long_ago(&self) {
        self.advance(TimeDelta::days(-1_000));
    }

    /// Appends that many entries, in one transaction.
    pub async fn append(&self, count: usize) {
        let entries = (0..count).map(|n| entry(&format!("thing {n}"))).collect();
        audit::record(self.store(), &self.clock, entries).await.unwrap();
    }

    /// Tends the log after the interval has passed.
    pub async fn tend(&self) -> Result<Option<u64>, LogError> {
        self.advance(TimeDelta::seconds(2));
        self.log().tend().await.map(|tended| tended.signed)
    }

    /// All entries in the order of the tree, then those without a place.
    pub async fn audit_entries(&self) -> Vec<Listed> {
        let mut listed = query::list(self.store().db(), &Filter::default(), None, 1_000_000).await.unwrap();
        listed.sort_by_key(|listed| (listed.index.unwrap_or(u64::MAX), listed.entry.ordinal));
        listed
    }

    pub async fn audit_rows(&self) -> Vec<Model> {
        self.audit_entries().await.into_iter().map(|listed| listed.entry).collect()
    }

    /// How many entries have no place.
    pub async fn unplaced(&self) -> u64 {
        efface::store::audit_log::place::count_unplaced(self.store().db(), i64::MIN).await.unwrap()
    }

    /// Waits for a transaction of somebody who is gone, which the server may still be ending: it holds the head until then.
    pub async fn settle(&self) {
        let tx = self.store().begin_write().await.unwrap();
        efface::store::audit_tree::head_locked(&*tx).await.unwrap();
        tx.rollback().await.unwrap();
    }

    /// Checks everything that the log promises, without its own tiles: places without gap or double, leaves that are those
    /// of their rows, roots of all checkpoints, proofs between all of them. Returns the tree.
    ///
    /// `leaves` are the hashes of places whose bodies are gone; what is seen is added.
    pub async fn verify_log(&self, leaves: &mut BTreeMap<u64, Hash>) -> Tree {
        let log = self.log();
        self.settle().await;
        let head = log.head().await.unwrap();
        let mut placed = 0;
        for Listed { entry, index } in self.audit_entries().await {
            let Some(index) = index else { continue };
            let salt: [u8; 32] = entry.salt.as_slice().try_into().unwrap();
            let hash = leaf::hash_of_entry(&entry, &EntrySalt(salt));
            if let Some(before) = leaves.insert(index, hash) {
                assert_eq!(before, hash, "the place {index} is another's now");
            }
            placed += 1;
        }
        assert!(leaves.keys().copied().eq(0..head.size), "{} leaves in a tree of {}", leaves.len(), head.size);
        assert!(placed >= head.size - head.minimum_index, "bodies above the minimum index are gone");
        let tree = Tree::new(leaves.values().copied());
        assert!(head.size == 0 || log.root(head.size).await.unwrap() == tree.root(), "a leaf is not that of its row");

        let checkpoints = self.checkpoints().await;
        let file = std::fs::read(self.checkpoint_file()).ok().map(|note| SignedCheckpoint::parse(&note).unwrap());
        for signed in checkpoints.iter().chain(&file) {
            assert!(signed.signer(log.keys()).is_some());
            let checkpoint = signed.checkpoint();
            let size = checkpoint.size;
            assert!(size <= head.size, "{size} were signed, {} are there", head.size);
            let until = leaves.range(..size).map(|(_, hash)| *hash);
            assert_eq!(Tree::new(until).root(), checkpoint.root, "the root of {size}");
            let proof = log.consistency(size, head.size).await.unwrap();
            verify_consistency(size, &checkpoint.root, head.size, &tree.root(), &proof).unwrap();
            for index in [0, size / 2, size - 1] {
                let proof = log.inclusion(index, size).await.unwrap();
                verify_inclusion(&leaves[&index], index, size, &proof, &checkpoint.root).unwrap();
            }
        }
        tree
    }

    pub async fn checkpoints(&self) -> Vec<SignedCheckpoint> {
        use entity::audit_checkpoint::{Column, Entity};
        let rows = Entity::find().order_by_asc(Column::Size).all(self.store().db()).await.unwrap();
        rows.iter().map(|row| SignedCheckpoint::parse(row.note.as_bytes()).unwrap()).collect()
    }
}
