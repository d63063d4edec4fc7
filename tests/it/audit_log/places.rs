//! Every entry that commits gets exactly one place, whenever it commits and however many place it.

use std::collections::{BTreeMap, BTreeSet};

use efface::audit;

use super::entry;
use crate::house::{ADA, House, Webhook};

both_databases! {
    async fn writers_and_sequencers_at_once_leave_no_gap_and_no_double(house: House) {
        let (writers, rounds, each) = (6, 12, 5);
        let done = std::sync::atomic::AtomicUsize::new(0);
        let write = async |writer: usize| {
            for round in 0..rounds {
                let entries = (0..each).map(|n| entry(&format!("{writer} {round} {n}"))).collect();
                audit::record(house.store(), &house.clock, entries).await.unwrap();
                tokio::task::yield_now().await;
            }
            done.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        };
        let sequence = async || {
            let log = house.log();
            let mut placed = 0;
            while done.load(std::sync::atomic::Ordering::SeqCst) < writers {
                placed += log.sequence().await.unwrap();
                tokio::task::yield_now().await;
            }
            placed + log.sequence().await.unwrap()
        };
        let (_, placed) = tokio::join!(
            futures_util::future::join_all((0..writers).map(write)),
            futures_util::future::join_all((0..4).map(|_| sequence())),
        );
        // One that was outrun may have left the rest to another.
        let rest = house.log().sequence().await.unwrap();
        let all = (writers * rounds * each) as u64;
        assert_eq!(placed.iter().sum::<u64>() + rest, all);
        house.verify_log(&mut BTreeMap::new()).await;
        let rows = house.audit_rows().await;
        let things: BTreeSet<&str> = rows.iter().map(|row| row.resource_id.as_str()).collect();
        assert_eq!((rows.len() as u64, things.len() as u64), (all, all));
        assert!(rows.iter().all(|row| row.leaf_index.is_some()));
    }

    async fn entries_of_jobs_are_placed_and_signed(house: House) {
        house.settle_town().await;
        house.done(&Webhook::customers_redact(ADA, &[1001_u64])).await;
        // The day's key, the job's beginning, its end.
        assert_eq!(house.tend().await.unwrap(), Some(3));
        let tree = house.verify_log(&mut BTreeMap::new()).await;
        assert_eq!(house.log().latest().await.unwrap().unwrap().checkpoint().root, tree.root());
    }

    async fn a_tree_of_several_tiles_grows_over_their_borders(house: House) {
        let mut leaves = BTreeMap::new();
        for count in [255, 1, 1, 300, 700] {
            house.append(count).await;
            assert!(house.tend().await.unwrap().is_some());
            house.verify_log(&mut leaves).await;
        }
        assert_eq!(leaves.len(), 1_257);
    }

    async fn an_entry_of_before_there_were_salts_gets_one_with_its_place(house: House) {
        let now = if house.is_sqlite() { "'2026-01-01T00:00:00.000+00:00'" } else { "now()" };
        house
            .execute(&format!(
                r#"INSERT INTO "AuditLog" ("id","actorType","actorId","action","resourceType","resourceId","createdAt")
                   VALUES ('old','system','worker','delete','GDPRJob','gdpr_1',{now})"#
            ))
            .await;
        house.append(1).await;
        house.tend().await.unwrap();
        house.verify_log(&mut BTreeMap::new()).await;
        assert_ne!(house.audit_rows().await[0].salt, house.audit_rows().await[1].salt);
    }
}

on_postgres! {
    /// A transaction that began first and commits last: its entry is neither lost nor does it push others aside.
    async fn an_entry_whose_transaction_commits_late_gets_a_later_place(house: House) {
        let late = house.store().begin_write().await.unwrap();
        audit::append(&*late, house.clock.now(), vec![entry("late")]).await.unwrap();
        house.append(3).await;
        let mut leaves = BTreeMap::new();
        assert_eq!(house.tend().await.unwrap(), Some(3), "a writer was waited for, or its entry taken before it committed");
        house.verify_log(&mut leaves).await;
        late.commit().await.unwrap();
        let lost = house.store().begin_write().await.unwrap();
        audit::append(&*lost, house.clock.now(), vec![entry("lost")]).await.unwrap();
        assert_eq!(house.tend().await.unwrap(), Some(4));
        lost.rollback().await.unwrap();
        house.append(1).await;
        assert_eq!(house.tend().await.unwrap(), Some(5));
        house.verify_log(&mut leaves).await;
        let order: Vec<String> = house.audit_rows().await.into_iter().map(|row| row.resource_id).collect();
        assert_eq!(order, ["thing 0", "thing 1", "thing 2", "late", "thing 0"]);
    }
}
