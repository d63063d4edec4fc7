//! A run can be tried, limited, stopped and broken off, and what is purged is noted once.

use std::time::Duration;

use efface::shutdown::Shutdown;
use efface::store::StoreError;
use efface::store::target::purge::{Batch, Expiry, InstantForm, Limits, Note, purge};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, Statement};

use super::{Ledger, at, dry, ledger, limits, visits, visits_by_shop};
use crate::house::House;

/// More than one transaction's worth on either database.
const MANY: u32 = 20_000;
/// The first so many visits are before it.
const DUE: u64 = 15_000;

fn expiry() -> Expiry {
    visits(InstantForm::UnixSeconds, at("2026-01-11T10:00:00Z"))
}

both_databases! {
    /// The rehearsal counts what the performance does, and leaves not even a note.
    async fn a_dry_run_counts_the_same_and_changes_nothing(house: House) {
        house.with_many_visits(MANY).await;
        let (stop, before) = (Shutdown::new(), house.ids().await);
        let tried = purge(house.store(), &expiry(), &dry(limits()), None, &ledger(), &stop).await.unwrap();
        assert_eq!((tried.rows, house.noted().await, house.ids().await), (DUE, 0, before));
        assert!(!tried.vacuumed && tried.batches > 1, "{tried:?}");
        let purged = purge(house.store(), &expiry(), &limits(), None, &ledger(), &stop).await.unwrap();
        assert_eq!((purged.rows, house.noted().await, house.visits().await), (DUE, DUE, 5_000));
        assert_eq!((purged.strategy, &purged.because), (tried.strategy, &tried.because));
        assert!(purged.vacuumed && purged.batches > 1, "{purged:?}");
    }

    /// What was stopped goes on where it was, and no row is noted twice.
    async fn a_stopped_run_is_resumed_and_each_row_is_purged_once(house: House) {
        for is_dry in [false, true] {
            house.with_many_visits(MANY).await;
            let limits = Limits { dry_run: is_dry, ..limits() };
            let (mut resume, mut rows, mut runs) = (None::<String>, 0, 0);
            loop {
                let stop = Shutdown::new();
                let stops = Ledger { told: std::sync::Mutex::default(), fails_at: None, heard: |_| stop.cancel() };
                let purged = purge(house.store(), &expiry(), &limits, resume.as_deref(), &stops, &stop).await.unwrap();
                (rows, runs) = (rows + purged.rows, runs + 1);
                assert!(purged.batches <= 1 && !purged.limit_reached, "{purged:?}");
                resume = purged.resume;
                if resume.is_none() {
                    break;
                }
            }
            let (noted, left) = if is_dry { (0, u64::from(MANY)) } else { (DUE, 5_000) };
            assert!(runs > 2, "one run did it all");
            assert_eq!((rows, house.noted().await, house.visits().await), (DUE, noted, left));
        }
    }

    /// When a note fails its batch is undone; what was committed before is noted, and a new run does the rest.
    async fn a_broken_run_leaves_rows_and_notes_that_agree(house: House) {
        house.with_many_visits(MANY).await;
        let breaks = Ledger { fails_at: Some(1), ..ledger() };
        let error = purge(house.store(), &expiry(), &limits(), None, &breaks, &Shutdown::new()).await.unwrap_err();
        assert!(error.to_string().contains("the note"), "{error}");
        let noted = house.noted().await;
        assert!(noted > 0 && noted < DUE);
        assert_eq!(house.visits().await, u64::from(MANY) - noted);
        let purged = purge(house.store(), &expiry(), &limits(), None, &ledger(), &Shutdown::new()).await.unwrap();
        assert_eq!((purged.rows, house.noted().await, house.visits().await), (DUE - noted, DUE, 5_000));
    }

    /// Not one row more than a run may purge.
    async fn the_limit_of_rows_is_kept(house: House) {
        house.with_many_visits(MANY).await;
        let mut rows = 0;
        for rows_max in [1, 7, 5_000, 100_000] {
            let limits = Limits { rows_max: Some(rows_max), ..limits() };
            let purged = purge(house.store(), &expiry(), &limits, None, &ledger(), &Shutdown::new()).await.unwrap();
            assert_eq!(purged.rows, rows_max.min(DUE - rows), "{purged:?}");
            assert_eq!((purged.limit_reached, purged.resume.is_some()), (rows_max < DUE, rows_max < DUE), "{purged:?}");
            rows += purged.rows;
        }
        assert_eq!((rows, house.noted().await, house.visits().await), (DUE, DUE, 5_000));
    }

    /// A run without time purges nothing, and says so.
    async fn the_limit_of_time_is_kept(house: House) {
        house.with_many_visits(100).await;
        let limits = Limits { time_max: Duration::ZERO, ..limits() };
        let purged = house.purge(&visits(InstantForm::UnixSeconds, at("2030-01-01T00:00:00Z")), limits).await;
        assert_eq!((purged.rows, purged.limit_reached, purged.resume.is_some()), (0, true, true));
        assert_eq!(house.visits().await, 100);
    }

    /// Many shops with many cutoffs, in batches.
    async fn shops_with_different_cutoffs_are_purged_in_batches(house: House) {
        house.with_many_visits(MANY).await;
        let names: Vec<String> = (0..8).map(|shop| shop.to_string()).collect();
        // Shop n loses n × 2,000 minutes; every tenth of them is its own.
        let cutoffs: Vec<_> = names.iter().zip(0..8).map(|(name, n)| (name.as_str(), at("2026-01-01T00:00:00Z") + chrono::TimeDelta::minutes(n * 2_000))).collect();
        let expiry = visits_by_shop(InstantForm::UnixSeconds, &cutoffs);
        let due: u64 = (0..8).map(|n| n * 200).sum();
        assert_eq!(house.due(&expiry).await.due, due);
        let purged = house.purge(&expiry, limits()).await;
        assert_eq!((purged.rows, house.visits().await), (due, u64::from(MANY) - due));
        for n in 0..10 {
            let left = house.number(&format!(r#"SELECT count(*) AS "n" FROM "Visit" WHERE "shop"='{n}'"#)).await;
            assert_eq!(left, if n < 8 { 2_000 - n * 200 } else { 2_000 }, "shop {n}");
        }
    }

    /// Rows of others that would go along, or that stand in the way, are named.
    async fn rows_that_others_refer_to_are_an_error_that_names_the_table(house: House) {
        for (action, why) in [
            ("ON DELETE CASCADE", "would delete or change rows of \"Basket\""),
            ("ON DELETE SET NULL", "would delete or change rows of \"Basket\""),
            ("", "refer to them"),
        ] {
            house.execute(r#"DROP TABLE IF EXISTS "Basket""#).await;
            house.with_many_visits(10).await;
            house.execute(r#"CREATE UNIQUE INDEX "visit_id" ON "Visit" ("id")"#).await;
            house.execute(&format!(r#"CREATE TABLE "Basket" ("visit" text REFERENCES "Visit" ("id") {action})"#)).await;
            house.execute(r#"INSERT INTO "Basket" VALUES ('3')"#).await;
            let all = visits(InstantForm::UnixSeconds, at("2030-01-01T00:00:00Z"));
            let error = purge(house.store(), &all, &limits(), None, &(), &Shutdown::new()).await.unwrap_err().to_string();
            assert!(error.starts_with(r#"rows of "Visit" cannot be purged"#) && error.contains(why), "{error}");
            assert!(error.contains("\"Basket\""), "{error}");
            assert_eq!(house.visits().await, 10);
        }
        // Without a row that refers, nothing stands in the way.
        house.execute(r#"DELETE FROM "Basket""#).await;
        let all = visits(InstantForm::UnixSeconds, at("2030-01-01T00:00:00Z"));
        assert_eq!(house.purge(&all, limits()).await.rows, 10);
        house.execute(r#"DROP TABLE "Basket""#).await;
    }
}

/// Keeps where the write-ahead log was at its last batch.
struct LogPlace(std::sync::Mutex<String>, bool);

impl Note for LogPlace {
    async fn note(&self, tx: &DatabaseTransaction, _: &Batch) -> Result<(), StoreError> {
        let sql = r#"SELECT CAST(pg_current_wal_insert_lsn() AS text) AS "at""#;
        let row = tx.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?.unwrap();
        *self.0.lock().unwrap() = row.try_get("", "at")?;
        Ok(())
    }

    fn is_within(&self) -> bool {
        self.1
    }
}

/// Takes longer than a transaction is planned for, as when it waits for somebody.
struct Slow;

impl Note for Slow {
    async fn note(&self, tx: &DatabaseTransaction, _: &Batch) -> Result<(), StoreError> {
        tx.execute_unprepared("SELECT pg_sleep(0.1)").await?;
        Ok(())
    }
}

on_postgres! {
    async fn what_is_noted_of_a_batch_has_more_time_than_the_batch(house: House) {
        house.with_many_visits(MANY).await;
        let limits = Limits { transaction_max: Duration::from_millis(20), rows_max: Some(1), ..limits() };
        let purged = purge(house.store(), &expiry(), &limits, None, &Slow, &Shutdown::new()).await.unwrap();
        assert_eq!(purged.rows, 1);
    }

    /// Batches need not wait for the server's disk, but the run does before it says what it did.
    async fn what_a_run_returns_is_on_the_disk(house: House) {
        for is_within in [true, false] {
            house.with_many_visits(MANY).await;
            for rows_max in [100, 5_000] {
                let place = LogPlace(std::sync::Mutex::default(), is_within);
                // Ended by its limit, so that no VACUUM comes after it.
                let limits = Limits { rows_max: Some(rows_max), ..limits() };
                let purged = purge(house.store(), &expiry(), &limits, None, &place, &Shutdown::new()).await.unwrap();
                assert_eq!((purged.rows, purged.vacuumed), (rows_max, false));
                let at = place.0.into_inner().unwrap();
                let sql = format!(r#"SELECT CAST(CAST(pg_current_wal_flush_lsn() > CAST('{at}' AS pg_lsn) AS int4) AS int8) AS "n""#);
                assert_eq!(house.number(&sql).await, 1, "the batch at {at} is not on the disk");
            }
        }
    }
}
