//! Partitions are dropped when all that is in them has expired, and only then.

use chrono::{DateTime, Utc};
use efface::shutdown::Shutdown;
use efface::store::target::purge::{Expiry, InstantForm, Purged, Strategy, purge};

use super::{at, dry, ident, ledger, limits, visits, visits_by_shop};
use crate::house::House;

/// Visits of three months and a default, by shops `a` and `b`; one without an instant, one long before all months.
async fn months(house: &House, data_type: &str) {
    house.execute(r#"DROP TABLE IF EXISTS "Visit", "Ledger""#).await;
    house.execute(r#"CREATE TABLE "Ledger" ("rows" bigint)"#).await;
    house
        .execute(&format!(
            r#"CREATE TABLE "Visit" ("id" text, "shop" text, "at" {data_type}) PARTITION BY RANGE ("at")"#
        ))
        .await;
    for (name, from, to) in [("jan", "01-01", "02-01"), ("feb", "02-01", "03-01"), ("mar", "03-01", "04-01")] {
        house
            .execute(&format!(
                r#"CREATE TABLE "{name}" PARTITION OF "Visit" FOR VALUES FROM ('2026-{from}') TO ('2026-{to}')"#
            ))
            .await;
    }
    house.execute(r#"CREATE TABLE "rest" PARTITION OF "Visit" DEFAULT"#).await;
    for day in ["2026-01-05", "2026-01-31 23:59:59.999999", "2026-02-01", "2026-02-20", "2026-03-02", "2019-01-01"] {
        house
            .execute(&format!(r#"INSERT INTO "Visit" VALUES ('{day} a', 'a', '{day}'), ('{day} b', 'b', '{day}')"#))
            .await;
    }
    house.execute(r#"INSERT INTO "Visit" VALUES ('never', 'a', NULL)"#).await;
}

impl House {
    async fn partitions(&self) -> i64 {
        self.number(r#"SELECT count(*) AS "n" FROM pg_inherits WHERE inhparent='"Visit"'::regclass"#).await
    }

    async fn purge_noted(&self, expiry: &Expiry) -> Purged {
        let tried = self.purge(expiry, dry(limits())).await;
        let purged = purge(self.store(), expiry, &limits(), None, &ledger(), &Shutdown::new()).await.unwrap();
        assert_eq!((tried.rows, tried.strategy, tried.dropped), (purged.rows, purged.strategy, purged.dropped));
        assert_eq!(self.noted().await, purged.rows);
        purged
    }
}

fn all(cutoff: &str) -> Expiry {
    visits(InstantForm::Timestamp, at(cutoff))
}

fn each(cutoffs: &[(&str, DateTime<Utc>)]) -> Expiry {
    visits_by_shop(InstantForm::Timestamp, cutoffs)
}

on_postgres! {
    /// One cutoff for all: what ends before it is dropped, the rest loses its old rows.
    async fn what_is_wholly_expired_is_dropped(house: House) {
        for data_type in ["timestamptz", "timestamp", "timestamp(6)"] {
            months(&house, data_type).await;
            let purged = house.purge_noted(&all("2026-02-10T00:00:00Z")).await;
            assert_eq!((purged.rows, purged.dropped, purged.strategy), (8, 1, Strategy::Partitions), "{purged:?}");
            assert!(purged.because.contains("1 of 4 partitions"), "{}", purged.because);
            assert_eq!((house.partitions().await, house.visits().await), (3, 5));
            assert!(house.ids().await.contains("never"));
        }
    }

    /// A partition that ends exactly at the cutoff goes; one that ends a microsecond later keeps what is not due.
    async fn a_partition_that_ends_at_the_cutoff_is_wholly_expired(house: House) {
        months(&house, "timestamptz").await;
        let purged = house.purge_noted(&all("2026-01-31T23:59:59.999999Z")).await;
        assert_eq!((purged.rows, purged.dropped, purged.strategy), (4, 0, Strategy::Pages), "{purged:?}");
        assert_eq!((house.partitions().await, house.visits().await), (4, 9));
        house.execute(r#"DELETE FROM "Ledger""#).await;
        let purged = house.purge_noted(&all("2026-02-01T00:00:00Z")).await;
        assert_eq!((purged.rows, purged.dropped, house.partitions().await), (2, 1, 3));
    }

    /// One row of a shop that keeps its rows is enough to keep the partition.
    async fn a_partition_with_a_row_that_stays_is_not_dropped(house: House) {
        let late = at("2026-03-01T00:00:00Z");
        // A shop without a cutoff; a shop with an earlier one; a shop under a hold.
        let mut held = each(&[("a", late), ("b", late)]);
        held.held = Some((ident("shop"), vec!["b".into()]));
        let mut held_of_all = all("2026-03-01T00:00:00Z");
        held_of_all.held.clone_from(&held.held);
        for expiry in [each(&[("a", late)]), each(&[("a", late), ("b", at("2000-01-01T00:00:00Z"))]), held, held_of_all] {
            months(&house, "timestamptz").await;
            let purged = house.purge_noted(&expiry).await;
            assert_eq!((purged.rows, purged.dropped, house.partitions().await), (5, 0, 4), "{expiry:?}");
            assert_eq!(house.number(r#"SELECT count(*) AS "n" FROM "Visit" WHERE "shop"='b'"#).await, 6);
        }
        // With a cutoff for both, January and February go as a whole.
        months(&house, "timestamptz").await;
        let purged = house.purge_noted(&each(&[("a", late), ("b", late)])).await;
        assert_eq!((purged.rows, purged.dropped, house.partitions().await), (10, 2, 2));
    }

    /// A partition that a view reads cannot be dropped: its rows go one by one.
    async fn what_hangs_on_a_partition_keeps_it(house: House) {
        months(&house, "timestamptz").await;
        house.execute(r#"CREATE VIEW "seen" AS SELECT * FROM "jan""#).await;
        let purged = house.purge_noted(&all("2026-02-01T00:00:00Z")).await;
        assert_eq!((purged.rows, purged.dropped, house.partitions().await), (6, 0, 4));
        house.execute(r#"DROP VIEW "seen""#).await;
    }

    /// Partitions by something else, and partitions of partitions, are worked by pages.
    async fn other_partitions_are_worked_by_pages(house: House) {
        house.execute(r#"CREATE TABLE "Ledger" ("rows" bigint)"#).await;
        house.execute(r#"CREATE TABLE "Visit" ("id" text, "shop" text, "at" timestamptz) PARTITION BY LIST ("shop")"#).await;
        house.execute(r#"CREATE TABLE "of a" PARTITION OF "Visit" FOR VALUES IN ('a') PARTITION BY RANGE ("at")"#).await;
        house.execute(r#"CREATE TABLE "a old" PARTITION OF "of a" FOR VALUES FROM ('2000-01-01') TO ('2026-01-01')"#).await;
        house.execute(r#"CREATE TABLE "others" PARTITION OF "Visit" DEFAULT"#).await;
        house.execute(r#"INSERT INTO "Visit" VALUES ('1', 'a', '2020-01-01'), ('2', 'b', '2020-01-01'), ('3', 'b', '2030-01-01')"#).await;
        let purged = house.purge_noted(&all("2026-06-01T00:00:00Z")).await;
        assert_eq!((purged.rows, purged.dropped, purged.strategy), (2, 0, Strategy::Pages));
        assert_eq!(house.visits().await, 1);
    }

    /// Tables that inherit from a table have pages of their own.
    async fn tables_that_inherit_are_purged_as_well(house: House) {
        house.with_visits("timestamptz").await;
        house.execute(r#"CREATE TABLE "Old visit" () INHERITS ("Visit")"#).await;
        for table in ["Visit", "Old visit"] {
            house.execute(&format!(r#"INSERT INTO "{table}" SELECT i::text, 'a', '2020-01-01' FROM generate_series(1, 500) i"#)).await;
            house.execute(&format!(r#"INSERT INTO "{table}" VALUES ('left', 'a', '2030-01-01')"#)).await;
        }
        let purged = house.purge_noted(&all("2026-06-01T00:00:00Z")).await;
        assert_eq!((purged.rows, house.visits().await), (1_000, 2));
    }
}
