//! Expired rows go, exactly those, and nobody is kept waiting.

mod boundaries;
mod locks;
mod partitions;
mod runs;
mod strategy;

use std::collections::BTreeSet;
use std::sync::Mutex;

use chrono::{DateTime, Utc};
use efface::shutdown::Shutdown;
use efface::store::StoreError;
use efface::store::target::Ident;
use efface::store::target::purge::{Batch, Cutoffs, Due, Expiry, InstantForm, Limits, Note, Purged, due, purge};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, Statement};

use crate::house::House;

fn ident(name: &str) -> Ident {
    Ident::parse(name).unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Rows of `"Visit"` that are older than one cutoff.
fn visits(form: InstantForm, cutoff: DateTime<Utc>) -> Expiry {
    Expiry { table: ident("Visit"), column: ident("at"), form, cutoffs: Cutoffs::All(cutoff), held: None, only: None }
}

/// The same, with a cutoff for each shop.
fn visits_by_shop(form: InstantForm, cutoffs: &[(&str, DateTime<Utc>)]) -> Expiry {
    let cutoffs = cutoffs.iter().map(|(shop, cutoff)| ((*shop).to_owned(), *cutoff)).collect();
    Expiry { cutoffs: Cutoffs::ByShop { column: ident("shop"), cutoffs }, ..visits(form, DateTime::UNIX_EPOCH) }
}

/// No pauses; everything else as it ships.
fn limits() -> Limits {
    Limits { pause_share: 0.0, ..Limits::default() }
}

fn dry(limits: Limits) -> Limits {
    Limits { dry_run: true, ..limits }
}

/// Writes what is purged into a table of its own, in the same transaction, and keeps what it was told.
struct Ledger<F: Fn(u64) + Sync> {
    told: Mutex<Vec<u64>>,
    /// Fails at the batch of this number, from 0.
    fails_at: Option<usize>,
    /// Hears how many rows are purged by now.
    heard: F,
}

fn ledger() -> Ledger<impl Fn(u64) + Sync> {
    Ledger { told: Mutex::default(), fails_at: None, heard: |_| {} }
}

impl<F: Fn(u64) + Sync> Note for Ledger<F> {
    async fn note(&self, tx: &DatabaseTransaction, batch: &Batch) -> Result<(), StoreError> {
        if self.fails_at == Some(self.told.lock().unwrap().len()) {
            return Err(StoreError::Refused("the note".into()));
        }
        tx.execute_unprepared(&format!(r#"INSERT INTO "Ledger" VALUES ({})"#, batch.rows)).await?;
        Ok(())
    }

    fn told(&self, batch: &Batch) {
        let total = {
            let mut told = self.told.lock().unwrap();
            told.push(batch.rows);
            told.iter().sum()
        };
        (self.heard)(total);
    }
}

impl House {
    /// `"Visit"` with an instant of some type, and an empty `"Ledger"`.
    async fn with_visits(&self, data_type: &str) {
        self.execute(r#"DROP TABLE IF EXISTS "Visit""#).await;
        self.execute(r#"DROP TABLE IF EXISTS "Ledger""#).await;
        let few_rows_a_page = if self.is_sqlite() { "" } else { "WITH (fillfactor = 10)" };
        self.execute(&format!(r#"CREATE TABLE "Visit" ("id" text, "shop" text, "at" {data_type}) {few_rows_a_page}"#))
            .await;
        self.execute(r#"CREATE TABLE "Ledger" ("rows" bigint)"#).await;
    }

    /// So many visits, one a minute from 2026 on, by the shops `0` to `9` in turn; Unix seconds.
    async fn with_many_visits(&self, count: u32) {
        self.with_visits("bigint").await;
        self.execute(&format!(
            r#"INSERT INTO "Visit" WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i<{count}-1)
               SELECT CAST(i AS text), CAST(i%10 AS text), 1767225600+i*60 FROM n"#
        ))
        .await;
        self.execute(r#"ANALYZE "Visit""#).await;
    }

    async fn purge(&self, expiry: &Expiry, limits: Limits) -> Purged {
        purge(self.store(), expiry, &limits, None, &(), &Shutdown::new()).await.unwrap()
    }

    async fn due(&self, expiry: &Expiry) -> Due {
        due(self.store(), expiry).await.unwrap()
    }

    async fn ids(&self) -> BTreeSet<String> {
        let sql = Statement::from_string(self.store().backend(), r#"SELECT "id" FROM "Visit""#);
        let rows = self.store().db().query_all_raw(sql).await.unwrap();
        rows.iter().map(|row| row.try_get("", "id").unwrap()).collect()
    }

    async fn visits(&self) -> u64 {
        self.number(r#"SELECT count(*) AS "n" FROM "Visit""#).await.cast_unsigned()
    }

    async fn noted(&self) -> u64 {
        self.number(r#"SELECT CAST(COALESCE(sum("rows"),0) AS bigint) AS "n" FROM "Ledger""#).await.cast_unsigned()
    }
}
