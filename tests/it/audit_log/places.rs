//! Every entry that commits gets exactly one place, whenever it commits and however many place it.

use std::collections::{BTreeMap, BTreeSet};

use efface::audit;
use efface::evidence::log::{Filter, Step};
use efface::store::audit_log::query::Listed;
use sea_orm::ConnectionTrait as _;

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
        assert_eq!(house.unplaced().await, 0);
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
        let spans = house.number(r#"SELECT count(*) AS n FROM "AuditSpan""#).await;
        assert!(spans <= 8, "{spans} rows for 1,257 places");
    }

    async fn entries_of_one_thing_are_read_in_pages_in_the_order_of_the_tree(house: House) {
        for round in 0..12 {
            let about = |n: usize| if n.is_multiple_of(2) { entry("one") } else { entry("another") };
            audit::record(house.store(), &house.clock, (0..=round).map(about).collect()).await.unwrap();
            house.tend().await.unwrap();
        }
        house.append(3).await;
        let of_one = |listed: &Listed| listed.index.is_some() && listed.entry.resource_id == "one";
        let whole: Vec<_> = house.audit_entries().await.into_iter().filter(of_one).map(|one| one.index.unwrap()).collect();
        assert_eq!(whole.len(), 42);
        let (log, filter) = (house.log(), Filter { resource_id: Some("one".to_owned()), ..Filter::default() });
        let (mut paged, mut from) = (Vec::new(), 0);
        loop {
            let page = log.entries(&filter, from, 78, 5).await.unwrap();
            let Some(last) = page.last() else { break };
            assert!(page.len() == 5 || paged.len() + page.len() == 42);
            from = last.index + 1;
            paged.extend(page.into_iter().map(|placed| placed.index));
        }
        assert_eq!(paged, whole);
        assert!(log.entries(&filter, 0, 0, 5).await.unwrap().is_empty());
        let first_ten = log.entries(&filter, 0, 10, 100).await.unwrap();
        assert!(first_ten.iter().map(|placed| placed.index).eq(whole.iter().copied().filter(|index| *index < 10)));
    }

    /// What a process has learned of a log does not hold for the one that was put in its place.
    async fn a_log_that_was_restored_under_a_running_process_loses_no_entry(house: House) {
        let log = house.log();
        house.append(5).await;
        log.sequence().await.unwrap();
        house.back_up().await;
        house.append(5).await;
        for _ in 0..3 {
            log.sequence().await.unwrap();
        }
        house.append(1).await;
        log.sequence().await.unwrap();
        assert!(house.log().head().await.unwrap().settled >= 10);
        house.roll_back().await;
        house.execute(if house.is_sqlite() {
            "UPDATE sqlite_sequence SET seq=5 WHERE name='AuditLog'"
        } else {
            r#"ALTER TABLE "AuditLog" ALTER COLUMN "ordinal" RESTART WITH 6"#
        }).await;
        house.append(2).await;
        assert_eq!(log.sequence().await.unwrap(), 2);
        assert_eq!((house.unplaced().await, house.log().head().await.unwrap().size), (0, 7));
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

    /// Whoever writes of a job has waited for the one before: the tree tells the two in that order also when the earlier one
    /// commits, and the later one begins and commits, in the middle of a round of several batches.
    async fn an_entry_that_waited_for_another_never_gets_the_earlier_place(house: House) {
        let late = house.store().begin_write().await.unwrap();
        audit::append(&*late, house.clock.now(), vec![entry("it begins")]).await.unwrap();
        house.append(3_000).await;
        let (store, clock, late) = (house.store().clone(), house.clock.clone(), std::sync::Mutex::new(Some(late)));
        // The first batch is read, and full; the next one is not.
        let log = house.log().stopped_at(move |step| {
            if let (Step::Computed, Some(late)) = (step, late.lock().unwrap().take()) {
                tokio::task::block_in_place(|| {
                    tokio::runtime::Handle::current().block_on(async {
                        late.commit().await.unwrap();
                        audit::record(&store, &clock, vec![entry("it ends")]).await.unwrap();
                    });
                });
            }
            false
        });
        for _ in 0..3 {
            log.sequence().await.unwrap();
        }
        assert_eq!(house.unplaced().await, 0);
        let rows = house.audit_rows().await;
        let told: Vec<&str> = rows.iter().map(|row| row.resource_id.as_str()).filter(|id| id.starts_with("it")).collect();
        assert_eq!(told, ["it begins", "it ends"]);
        house.verify_log(&mut BTreeMap::new()).await;
    }

    /// A number that was taken is waited for until its transaction has ended, however many rounds that takes; then it is
    /// settled, and nobody looks below it again.
    async fn what_is_settled_rises_only_over_what_has_ended(house: House) {
        let log = house.log();
        let settled = async || log.head().await.unwrap().settled;
        let late = house.store().begin_write().await.unwrap();
        audit::append(&*late, house.clock.now(), vec![entry("late")]).await.unwrap();
        let lost = house.store().begin_write().await.unwrap();
        audit::append(&*lost, house.clock.now(), vec![entry("lost")]).await.unwrap();
        for round in 0..6 {
            house.append(3).await;
            assert_eq!(log.sequence().await.unwrap(), 3, "round {round}");
        }
        assert!(settled().await < 1, "{} is settled, and a transaction with the number 1 goes on", settled().await);
        lost.rollback().await.unwrap();
        for _ in 0..3 {
            house.append(1).await;
            log.sequence().await.unwrap();
        }
        assert!(settled().await < 1);
        late.commit().await.unwrap();
        assert_eq!(log.sequence().await.unwrap(), 1);
        for _ in 0..3 {
            house.append(1).await;
            log.sequence().await.unwrap();
        }
        assert!(settled().await >= 23, "{}", settled().await);
        let things = house.audit_entries().await.into_iter().map(|listed| (listed.entry.resource_id, listed.index));
        assert!(things.into_iter().any(|thing| thing == ("late".to_owned(), Some(21))));
        house.verify_log(&mut BTreeMap::new()).await;
    }

    /// A transaction that holds nothing of the log may last as long as it likes.
    async fn other_transactions_are_not_waited_for(house: House) {
        let log = house.log();
        let other = house.store().begin_write().await.unwrap();
        other.execute_unprepared(r#"UPDATE "AuditTree" SET "policy"="policy" WHERE false"#).await.unwrap();
        other.execute_unprepared("CREATE TABLE other (n int)").await.unwrap();
        for _ in 0..4 {
            house.append(2).await;
            log.sequence().await.unwrap();
        }
        assert!(log.head().await.unwrap().settled >= 4);
        other.rollback().await.unwrap();
    }

    /// The same as above with real writers: eight of them, some that commit, some that do not, each at its own time.
    async fn writers_that_end_in_any_order_lose_nothing(house: House) {
        let log = house.log();
        let (writers, rounds) = (8_u64, 25_u64);
        let done = std::sync::atomic::AtomicU64::new(0);
        let write = async |writer: u64| {
            let mut committed = 0_u64;
            for round in 0..rounds {
                let tx = house.store().begin_write().await.unwrap();
                for n in 0..=(writer + round) % 3 {
                    audit::append(&*tx, house.clock.now(), vec![entry(&format!("{writer} {round} {n}"))]).await.unwrap();
                    for _ in 0..writer {
                        tokio::task::yield_now().await;
                    }
                }
                if (writer + round).is_multiple_of(4) {
                    tx.rollback().await.unwrap();
                } else {
                    tx.commit().await.unwrap();
                    committed += 1 + (writer + round) % 3;
                }
            }
            done.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            committed
        };
        let sequence = async || {
            while done.load(std::sync::atomic::Ordering::SeqCst) < writers {
                log.sequence().await.unwrap();
            }
            for _ in 0..3 {
                log.sequence().await.unwrap();
            }
        };
        let (committed, ()) =
            tokio::join!(futures_util::future::join_all((0..writers).map(write)), sequence());
        assert_eq!(log.head().await.unwrap().size, committed.iter().sum::<u64>());
        assert_eq!(house.unplaced().await, 0);
        house.append(1).await;
        log.sequence().await.unwrap();
        // Numbers above the last that committed may have been taken and given up: nobody ever sees those.
        let before = r#"SELECT "ordinal" AS n FROM "AuditLog" ORDER BY "ordinal" DESC LIMIT 1 OFFSET 1"#;
        let before = house.number(before).await;
        assert_eq!(log.head().await.unwrap().settled, before, "what is settled hangs behind");
        house.verify_log(&mut BTreeMap::new()).await;
    }
}
