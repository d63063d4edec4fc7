//! What the live schema is said to be.

use efface::store::catalog::{Family, IndexKey, OnDelete, TableKind};

use super::both_apps;

both_apps! {
    async fn keys_references_and_indexes_are_read_as_they_are(app: &AppDatabase) {
        app.run(r#"
            CREATE TABLE "a" ("x" INTEGER NOT NULL, "y" INTEGER NOT NULL, "name" VARCHAR(40) NOT NULL DEFAULT 'n',
                "whole" INTEGER GENERATED ALWAYS AS ("x" + "y") STORED, "seen" {instant}, "doc" {json}, "ok" BOOLEAN,
                PRIMARY KEY ("y", "x"), UNIQUE ("name"));
            CREATE TABLE "b" ("id" {serial}, "ax" INTEGER, "ay" INTEGER, "own" BIGINT REFERENCES "b" ("id") ON DELETE SET NULL,
                FOREIGN KEY ("ay", "ax") REFERENCES "a" ("y", "x") ON DELETE CASCADE);
            CREATE INDEX "b_lower" ON "b" ("ax", (abs("ay"))) WHERE "ax" IS NOT NULL;
            CREATE VIEW "v" AS SELECT "x" FROM "a";
            CREATE TABLE "GDPRJob" ("id" TEXT PRIMARY KEY);
        "#).await;
        let catalog = app.catalog().await;
        let a = catalog.table("a").unwrap();
        assert_eq!(a.primary_key, ["y", "x"]);
        assert!(a.is_unique("name") && !a.is_unique("x") && a.is_in_unique("x"));
        let name = a.column("name").unwrap();
        assert_eq!((name.family, name.length, name.nullable), (Family::Text, Some(40), false));
        assert!(a.column("whole").unwrap().generated && !a.column("x").unwrap().generated);
        assert_eq!(a.column("seen").unwrap().family, Family::Instant);
        assert_eq!(a.column("doc").unwrap().family, Family::Json);
        assert_eq!(a.column("ok").unwrap().family, Family::Boolean);
        let b = catalog.table("b").unwrap();
        let to_a = b.foreign_keys.iter().find(|key| key.table == "a").unwrap();
        assert_eq!((to_a.columns.join(","), to_a.to.join(","), to_a.on_delete), ("ay,ax".into(), "y,x".into(), OnDelete::Cascade));
        let own = b.reference("own").unwrap();
        assert_eq!((own.table.as_str(), own.on_delete), ("b", OnDelete::SetNull));
        let index = b.indexes.iter().find(|index| index.name == "b_lower").unwrap();
        assert_eq!(index.keys[0], IndexKey::Column("ax".into()));
        assert!(matches!(&index.keys[1], IndexKey::Expression(text) if text.contains("abs(")), "{:?}", index.keys);
        assert!(index.predicate.as_ref().unwrap().contains("IS NOT NULL") && !index.unique);
        assert!(b.indexes.iter().any(|index| index.unique && index.keys == [IndexKey::Column("id".into())]));
        let view = catalog.table("v").unwrap();
        assert_eq!((view.kind, view.reads.join(",")), (TableKind::View, "a".into()));
        assert!(catalog.table("GDPRJob").unwrap().own);
        let app_tables: Vec<&str> = catalog.app_tables().map(|table| table.name.as_str()).collect();
        assert_eq!(app_tables, ["a", "b"]);
    }
}

/// What SQLite does not have: arrays, domains, enumerations, partitions, schemas.
mod server {
    use super::*;
    use crate::data_map::AppDatabase;

    mod postgres {
        use super::*;

        #[tokio::test]
        async fn types_partitions_and_schemas_are_told_apart() {
            let app = AppDatabase::postgres().await;
            app.run(r#"
                CREATE DOMAIN mail AS text NOT NULL;
                CREATE TYPE mood AS ENUM ('good', 'bad');
                CREATE TABLE "t" ("ids" bigint[], "at" mail, "mood" mood, "host" inet, "raw" bytea, "xml" xml, "n" bigint GENERATED ALWAYS AS IDENTITY);
                CREATE TABLE "log" ("day" date NOT NULL, "what" text) PARTITION BY RANGE ("day");
                CREATE TABLE "log_2026" PARTITION OF "log" FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
                CREATE SCHEMA other;
                CREATE TABLE other."away" ("id" text);
            "#).await;
            let catalog = app.catalog().await;
            let t = catalog.table("t").unwrap();
            let column = |name: &str| t.column(name).unwrap();
            assert_eq!((column("ids").element.as_deref(), column("ids").family), (Some("int8"), Family::Integer));
            assert_eq!((column("at").family, column("at").nullable), (Family::Text, false));
            assert_eq!(column("mood").family, Family::Enumeration);
            assert_eq!(column("host").family, Family::Network);
            assert_eq!(column("raw").family, Family::Bytes);
            assert_eq!(column("xml").family, Family::Other);
            assert!(column("n").identity);
            assert_eq!(catalog.table("log").unwrap().kind, TableKind::Partitioned);
            let part = catalog.table("log_2026").unwrap();
            assert_eq!((part.kind, part.parents.join(",")), (TableKind::Partition, "log".into()));
            assert!(catalog.table("away").is_none());
            assert_eq!(catalog.elsewhere, [("other".to_owned(), "away".to_owned())]);
            app.end().await;
        }
    }
}
