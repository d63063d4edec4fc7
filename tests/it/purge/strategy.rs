//! Which way is chosen, and what is said about it.

use efface::store::target::purge::{InstantForm, Strategy};

use super::{at, dry, limits, visits, visits_by_shop};
use crate::house::House;

on_postgres! {
    /// Few rows and an index: by key. Many, no index, or one that does not fit: pages.
    async fn few_rows_are_found_through_an_index_and_many_by_pages(house: House) {
        house.with_many_visits(3_000).await;
        let (few, many) = (at("2026-01-01T00:20:00Z"), at("2026-01-02T00:00:00Z"));
        let form = InstantForm::UnixSeconds;
        let by = |cutoff| visits_by_shop(form, &[("3", cutoff), ("4", cutoff), ("not a shop", cutoff)]);
        let tried = |expiry| { let house = &house; async move { house.purge(&expiry, dry(limits())).await } };

        let purged = tried(visits(form, few)).await;
        assert_eq!((purged.rows, purged.strategy), (20, Strategy::Pages));
        assert_eq!(purged.because, "no index finds what is due, so the pages are read in order");

        for useless in [r#"("shop")"#, r#"("at" DESC, "shop") WHERE "at" > 5"#, r#"("shop", "id", "at")"#, r#"(("at" + 1))"#] {
            house.execute(&format!(r#"CREATE INDEX "useless" ON "Visit" {useless}"#)).await;
            assert_eq!(tried(visits(form, few)).await.strategy, Strategy::Pages, "{useless}");
            assert_eq!(tried(by(few)).await.strategy, Strategy::Pages, "{useless}");
            house.execute(r#"DROP INDEX "useless""#).await;
        }

        house.execute(r#"CREATE INDEX "by_time" ON "Visit" ("at", "id")"#).await;
        let purged = tried(visits(form, few)).await;
        assert_eq!((purged.rows, purged.strategy), (20, Strategy::Key), "{}", purged.because);
        assert!(purged.because.starts_with("only 20 rows are due in ") && purged.because.ends_with("index \"by_time\" finds them"), "{}", purged.because);
        let purged = tried(visits(form, many)).await;
        assert_eq!((purged.rows, purged.strategy), (1_440, Strategy::Pages));
        assert!(purged.because.starts_with("more than "), "{}", purged.because);

        house.execute(r#"CREATE INDEX "by_shop" ON "Visit" ("shop", "at" DESC)"#).await;
        let purged = tried(by(few)).await;
        assert_eq!((purged.rows, purged.strategy), (4, Strategy::Key));
        let purged = house.purge(&by(few), limits()).await;
        assert_eq!((purged.rows, purged.strategy, house.visits().await), (4, Strategy::Key, 2_996));
        assert_eq!(house.due(&by(few)).await.due, 0);
    }

    /// What is not a table of this database is refused.
    async fn views_are_refused(house: House) {
        house.with_many_visits(10).await;
        house.execute(r#"ALTER TABLE "Visit" RENAME TO "Real""#).await;
        house.execute(r#"CREATE VIEW "Visit" AS SELECT * FROM "Real""#).await;
        let expiry = visits(InstantForm::UnixSeconds, at("2030-01-01T00:00:00Z"));
        let error = efface::store::target::purge::due(house.store(), &expiry).await.unwrap_err().to_string();
        assert_eq!(error, r#"rows of "Visit" cannot be purged: it is no table"#);
    }
}

mod on_sqlite {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn row_ids_are_what_there_is_and_tables_without_them_are_refused() {
        let house = House::sqlite().await;
        house.with_many_visits(10).await;
        let expiry = visits(InstantForm::UnixSeconds, at("2030-01-01T00:00:00Z"));
        let purged = house.purge(&expiry, limits()).await;
        assert_eq!((purged.rows, purged.strategy), (10, Strategy::RowIds));
        assert_eq!(purged.because, "SQLite's rows lie in the order of their ids");
        house.execute(r#"DROP TABLE "Visit""#).await;
        house.execute(r#"CREATE TABLE "Visit" ("id" text PRIMARY KEY, "at" integer) WITHOUT ROWID"#).await;
        let error = efface::store::target::purge::purge(
            house.store(),
            &expiry,
            &limits(),
            None,
            &(),
            &efface::shutdown::Shutdown::new(),
        )
        .await;
        assert_eq!(error.unwrap_err().to_string(), r#"rows of "Visit" cannot be purged: its rows have no row ids"#);
    }
}
