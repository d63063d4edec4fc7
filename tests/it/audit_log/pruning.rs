//! After 180 days the bodies go. Every proof of before, and every one of after, still verifies.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use efface::evidence::checkpoint::SignedCheckpoint;
use efface::evidence::log::Filter;
use efface::evidence::merkle::{Tree, verify_consistency, verify_inclusion};

use crate::house::House;

const KEPT: TimeDelta = TimeDelta::days(180);

both_databases! {
    async fn bodies_go_and_every_earlier_and_later_proof_verifies(house: House) {
        house.long_ago();
        let mut leaves = BTreeMap::new();
        house.append(700).await;
        house.tend().await.unwrap();
        let before: Tree = house.verify_log(&mut leaves).await;
        // What somebody was given then, and has kept.
        let given = house.log().latest().await.unwrap().unwrap();
        let log = house.log();
        let old: Vec<_> = futures_util::future::join_all([0, 255, 256, 699].map(async |index| {
            (index, leaves[&index], log.inclusion(index, 700).await.unwrap())
        }))
        .await;

        house.advance(KEPT);
        house.append(10).await;
        house.tend().await.unwrap();
        assert_eq!(house.log().prune(house.clock.now() - KEPT - TimeDelta::hours(1)).await.unwrap().rows, 0, "too young");
        let pruned = house.log().prune(house.clock.now() - KEPT).await.unwrap();
        assert_eq!((pruned.minimum_index, pruned.rows), (700, 700));
        house.append(50).await;
        house.tend().await.unwrap();

        let after = house.verify_log(&mut leaves).await;
        assert_eq!(after.size(), 761, "the pruning has an entry of its own");
        for (index, leaf, proof) in old {
            verify_inclusion(&leaf, index, 700, &proof, &before.root()).unwrap();
            let proof = log.inclusion(index, 761).await.unwrap();
            verify_inclusion(&leaf, index, 761, &proof, &after.root()).unwrap();
        }
        let proof = log.consistency(700, 761).await.unwrap();
        verify_consistency(700, &given.checkpoint().root, 761, &after.root(), &proof).unwrap();
        assert!(given.signer(log.keys()).is_some());
        let first = log.entries(&Filter::default(), 0, 761, 1).await.unwrap();
        assert_eq!(first[0].index, 700);
        assert_eq!(log.prune(house.clock.now() - KEPT).await.unwrap().rows, 0, "a second time");
    }

    async fn the_minimum_index_is_published_signed_and_recorded(house: House) {
        house.long_ago();
        house.append(3).await;
        house.tend().await.unwrap();
        house.advance(KEPT + TimeDelta::days(1));
        let cutoff = house.clock.now() - KEPT;
        house.log().prune(cutoff).await.unwrap();
        let log = house.log();
        let policy = log.head().await.unwrap().policy.unwrap();
        let policy = SignedCheckpoint::parse(policy.as_bytes()).unwrap();
        assert!(policy.signer(log.keys()).is_some());
        let cutoff = efface::clock::rfc3339(cutoff);
        let lines = ["minimum-index 3".to_owned(), format!("pruned-before {cutoff}")];
        assert_eq!((policy.checkpoint().size, &policy.checkpoint().extensions[..]), (3, &lines[..]));
        house.tend().await.unwrap();
        let entries = log.entries(&Filter::default(), 0, 10, 10).await.unwrap();
        assert_eq!(entries.len(), 1);
        let metadata = entries[0].entry.metadata.clone().unwrap();
        assert_eq!((&metadata["minimumIndex"], &metadata["cutoff"]), (&3.into(), &cutoff.into()));
    }

    /// What nobody has a checkpoint of is not taken away: its signer might be the one that is behind.
    async fn nothing_is_pruned_that_is_not_under_a_checkpoint(house: House) {
        house.long_ago();
        house.append(3).await;
        house.log().sequence().await.unwrap();
        house.advance(KEPT * 2);
        assert_eq!(house.log().prune(house.clock.now()).await.unwrap().rows, 0);
        house.tend().await.unwrap();
        house.append(2).await;
        house.log().sequence().await.unwrap();
        house.advance(KEPT);
        assert_eq!(house.log().prune(house.clock.now()).await.unwrap().minimum_index, 3);
        house.tend().await.unwrap();
        let mut leaves = BTreeMap::new();
        for index in 0..3 {
            leaves.insert(index, house.leaf_of(index).await);
        }
        house.verify_log(&mut leaves).await;
    }

    /// An old entry behind a young one waits for it: what goes is a beginning of the tree.
    async fn an_entry_that_came_late_waits_for_its_neighbours(house: House) {
        house.long_ago();
        house.advance(TimeDelta::days(1));
        house.append(1).await;
        house.tend().await.unwrap();
        house.advance(TimeDelta::days(-1));
        house.append(1).await;
        house.advance(TimeDelta::days(1));
        house.tend().await.unwrap();
        let between = house.clock.now() - TimeDelta::hours(12);
        assert_eq!(house.log().prune(between).await.unwrap().rows, 0);
        assert_eq!(house.log().prune(house.clock.now()).await.unwrap().rows, 2);
    }
}

impl House {
    /// A leaf's hash as the tile has it.
    pub async fn leaf_of(&self, index: u64) -> [u8; 32] {
        use entity::audit_tile::Entity;
        use sea_orm::EntityTrait as _;
        let number = i64::try_from(index / 256).unwrap();
        let tile = Entity::find_by_id((0, number)).one(self.store().db()).await.unwrap().unwrap();
        let at = usize::try_from(index % 256).unwrap() * 32;
        tile.hashes[at..at + 32].try_into().unwrap()
    }
}
