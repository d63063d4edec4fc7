//! The app goes first: its rows are left aside, and taken last.

use std::time::Duration;

use efface::shutdown::Shutdown;
use efface::store::target::purge::{InstantForm, Limits, Strategy, purge};
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};

use super::{Ledger, at, dry, ledger, limits, visits};
use crate::house::{House, PATIENCE};

on_postgres! {
    /// The row that the app holds is purged after all others, when it is free.
    async fn a_locked_row_is_taken_last(house: House) {
        for index in [false, true] {
            house.with_many_visits(3_000).await;
            let mut cutoff = at("2026-01-02T00:00:00Z");
            if index {
                house.execute(r#"CREATE INDEX ON "Visit" ("at")"#).await;
                cutoff = at("2026-01-01T00:20:00Z");
            }
            let expiry = visits(InstantForm::UnixSeconds, cutoff);
            let due = house.due(&expiry).await.due;
            let tx = house.store().db().begin().await.unwrap();
            tx.execute_unprepared(r#"SELECT FROM "Visit" WHERE "id"='5' FOR UPDATE"#).await.unwrap();
            let (free, mut freed) = tokio::sync::mpsc::unbounded_channel();
            let app = tokio::spawn(async move {
                freed.recv().await;
                tx.rollback().await.unwrap();
            });
            let ledger = Ledger {
                told: std::sync::Mutex::default(),
                fails_at: None,
                heard: |rows| if rows == due - 1 { free.send(()).unwrap() },
            };
            let limits = Limits { lock_timeout: PATIENCE, ..limits() };
            let purged = purge(house.store(), &expiry, &limits, None, &ledger, &Shutdown::new()).await.unwrap();
            app.await.unwrap();
            assert_eq!((purged.rows, purged.locked, purged.resume), (due, 0, None));
            assert_eq!(purged.strategy, if index { Strategy::Key } else { Strategy::Pages });
            assert_eq!(ledger.told.lock().unwrap().last(), Some(&1));
            assert_eq!((house.visits().await, house.noted().await), (3_000 - due, due));
        }
    }

    /// A row that is never let go stays and is counted; the run ends all the same, and a dry run counts as much.
    async fn a_row_that_stays_locked_is_left_and_counted(house: House) {
        house.with_many_visits(3_000).await;
        let expiry = visits(InstantForm::UnixSeconds, at("2026-01-02T00:00:00Z"));
        let tx = house.store().db().begin().await.unwrap();
        tx.execute_unprepared(r#"UPDATE "Visit" SET "shop"='x' WHERE "id" IN ('5', '1400', '2999')"#).await.unwrap();
        let limits = Limits { lock_timeout: Duration::from_millis(20), ..limits() };
        let tried = house.purge(&expiry, dry(limits)).await;
        assert_eq!((tried.rows, tried.locked), (1_438, 2));
        let purged = purge(house.store(), &expiry, &limits, None, &ledger(), &Shutdown::new()).await.unwrap();
        assert_eq!((purged.rows, purged.locked, purged.resume), (1_438, 2, None));
        tx.commit().await.unwrap();
        let purged = house.purge(&expiry, limits).await;
        assert_eq!((purged.rows, purged.locked, house.visits().await), (2, 0, 1_560));
    }

    /// What the app makes young again while the purge waits for it stays.
    async fn a_row_that_the_app_makes_young_meanwhile_stays(house: House) {
        house.with_many_visits(3_000).await;
        let expiry = visits(InstantForm::UnixSeconds, at("2026-01-02T00:00:00Z"));
        let tx = house.store().db().begin().await.unwrap();
        tx.execute_unprepared(r#"UPDATE "Visit" SET "at"=4000000000 WHERE "id"='5'"#).await.unwrap();
        let (free, mut freed) = tokio::sync::mpsc::unbounded_channel();
        let app = tokio::spawn(async move {
            freed.recv().await;
            tx.commit().await.unwrap();
        });
        let ledger = Ledger {
            told: std::sync::Mutex::default(),
            fails_at: None,
            heard: |rows| if rows == 1_439 { free.send(()).unwrap() },
        };
        let limits = Limits { lock_timeout: PATIENCE, ..limits() };
        let purged = purge(house.store(), &expiry, &limits, None, &ledger, &Shutdown::new()).await.unwrap();
        app.await.unwrap();
        assert_eq!((purged.rows, purged.locked), (1_439, 0));
        assert!(house.ids().await.contains("5"));
    }

    /// While anybody else works in the database, statements are planned for a hundredth of the time.
    async fn beside_the_app_transactions_are_shorter(house: House) {
        let expiry = visits(InstantForm::UnixSeconds, at("2030-01-01T00:00:00Z"));
        let app = house.store().db().begin().await.unwrap();
        for (name, least, most) in [("efface", 5_000, 10_000), ("the app", 10, 150)] {
            house.with_many_visits(20_000).await;
            app.execute_unprepared(&format!("SET application_name='{name}'")).await.unwrap();
            let ledger = ledger();
            let purged = purge(house.store(), &expiry, &limits(), None, &ledger, &Shutdown::new()).await.unwrap();
            // What the first rows cost nobody knows: so many are planned by what is assumed of them.
            let first = ledger.told.lock().unwrap().first().copied().unwrap();
            assert!((least..=most).contains(&first), "{first} rows at first beside \"{name}\"");
            assert_eq!((purged.rows, house.noted().await), (20_000, 20_000));
        }
        app.rollback().await.unwrap();
    }

    /// Rows that take their time make the transactions shorter, down to what one page takes.
    async fn slow_rows_are_purged_in_shorter_transactions(house: House) {
        house.with_many_visits(600).await;
        house.execute(r#"CREATE FUNCTION "slow"() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.002); RETURN OLD; END'"#).await;
        house.execute(r#"CREATE TRIGGER "slow" BEFORE DELETE ON "Visit" FOR EACH ROW EXECUTE FUNCTION "slow"()"#).await;
        let limits = Limits { transaction_max: Duration::from_millis(200), ..limits() };
        let purged = purge(house.store(), &visits(InstantForm::UnixSeconds, at("2030-01-01T00:00:00Z")), &limits, None, &ledger(), &Shutdown::new()).await.unwrap();
        // In one transaction it would be 1.2 s.
        assert!(purged.batches >= 6, "{purged:?}");
        assert_eq!((purged.rows, house.visits().await, house.noted().await), (600, 0, 600));
    }
}
