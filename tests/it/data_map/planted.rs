//! One problem at a time, planted into a schema and a map that fit: it is found, and nothing else is.

use std::collections::BTreeSet;

use efface::app::data_map::read_catalog;
use efface::erasure::check::{Id, Severity, findings};
use efface::erasure::data_map::DataMap;
use efface::store::catalog::open_read_only;

use super::{AppDatabase, both_apps, of_id, short};
use crate::docs::text;

/// What is changed: the schema by a statement, the map by replacing one text with another.
struct Plant {
    id: Id,
    severity: Severity,
    sql: &'static str,
    map: Option<(&'static str, &'static str)>,
    /// `Table.column` of the finding.
    place: &'static str,
}

const fn plant(id: Id, severity: Severity, place: &'static str, sql: &'static str) -> Plant {
    Plant { id, severity, sql, map: None, place }
}

impl Plant {
    const fn and(self, from: &'static str, to: &'static str) -> Self {
        Self { map: Some((from, to)), ..self }
    }
}

const MASKS: &str = "{ column = \"buyer\", with = \"redact\" },";

/// Those that both databases can have.
const EVERYWHERE: &[Plant] = &[
    plant(Id::MissingTable, Severity::Error, "Report.*", r#"DROP TABLE "Report""#),
    plant(
        Id::NotATable,
        Severity::Error,
        "Report.*",
        r#"DROP TABLE "Report"; CREATE VIEW "Report" AS SELECT 'a' AS "id", 'b' AS "shopId", 'c' AS "status""#,
    ),
    plant(Id::MissingColumn, Severity::Error, "Report.status", r#"ALTER TABLE "Report" DROP COLUMN "status""#),
    plant(Id::UncoveredColumn, Severity::Error, "Report.remark", r#"ALTER TABLE "Report" ADD COLUMN "remark" TEXT"#),
    plant(Id::UncoveredColumn, Severity::Error, "Invoice.extra", r#"ALTER TABLE "Invoice" ADD COLUMN "extra" {json}"#),
    plant(
        Id::UncoveredColumn,
        Severity::Error,
        "Report.customerId",
        r#"ALTER TABLE "Report" ADD COLUMN "customerId" BIGINT"#,
    ),
    plant(
        Id::UnmatchedColumn,
        Severity::Warning,
        "Order.customerId",
        r#"ALTER TABLE "Order" ADD COLUMN "customerId" TEXT"#,
    ),
    plant(Id::UnmappedTable, Severity::Error, "Lead.*", r#"CREATE TABLE "Lead" ("id" TEXT PRIMARY KEY, "email" TEXT)"#),
    plant(
        Id::UnmappedTable,
        Severity::Error,
        "Memo.*",
        r#"CREATE TABLE "Memo" ("id" TEXT PRIMARY KEY, "shopDomain" TEXT, "body" TEXT)"#,
    ),
    plant(
        Id::UnmappedTable,
        Severity::Warning,
        "Counter.*",
        r#"CREATE TABLE "Counter" ("id" TEXT PRIMARY KEY, "shopId" TEXT, "kind" TEXT, "n" INTEGER)"#,
    ),
    plant(Id::NoGround, Severity::Error, "Report.*", "").and(
        "shop_redact = \"delete\"\nexclude = [ { column = \"status\"",
        "shop_redact = \"keep\"\nexclude = [ { column = \"status\"",
    ),
    plant(
        Id::WrongType,
        Severity::Error,
        "Order.placed",
        r#"ALTER TABLE "Order" ADD COLUMN "placed" DATE; CREATE INDEX "by_date" ON "Order" ("placed")"#,
    )
    .and(
        "    { column = \"email\", by = \"email\" },",
        "    { column = \"email\", by = \"email\" }, { column = \"placed\", by = \"order_id\" },",
    ),
    plant(Id::MissingIndex, Severity::Warning, "Order.orderId", r#"DROP INDEX "order_by_order""#),
    plant(
        Id::MissingIndex,
        Severity::Warning,
        "Order.email",
        r#"DROP INDEX "order_by_email"; CREATE INDEX "bare" ON "Order" ("shopId", "email")"#,
    ),
    plant(
        Id::MissingIndex,
        Severity::Warning,
        "Report.shopId",
        r#"DROP INDEX "report_by_shop"; CREATE INDEX "part" ON "Report" ("shopId") WHERE "status" = 'x'"#,
    ),
    plant(
        Id::MaskNotNull,
        Severity::Error,
        "Invoice.memo",
        r#"ALTER TABLE "Invoice" ADD COLUMN "memo" TEXT NOT NULL DEFAULT ''"#,
    )
    .and(MASKS, "{ column = \"buyer\", with = \"redact\" }, { column = \"memo\", with = \"remove\" },"),
    plant(Id::MaskUnique, Severity::Error, "Invoice.number", "")
        .and(MASKS, "{ column = \"buyer\", with = \"redact\" }, { column = \"number\", with = \"redact\" },"),
    plant(Id::MaskType, Severity::Error, "Invoice.total", r#"ALTER TABLE "Invoice" ADD COLUMN "total" INTEGER"#)
        .and(MASKS, "{ column = \"buyer\", with = \"redact\" }, { column = \"total\", with = \"hash\" },"),
    plant(Id::MaskType, Severity::Error, "Invoice.code", r#"ALTER TABLE "Invoice" ADD COLUMN "code" VARCHAR(20)"#)
        .and(MASKS, "{ column = \"buyer\", with = \"redact\" }, { column = \"code\", with = \"hash\" },"),
    plant(Id::MaskReference, Severity::Error, "Invoice.shopId", "")
        .and(MASKS, "{ column = \"buyer\", with = \"redact\" }, { column = \"shopId\", with = \"hash\" },"),
    plant(Id::PartlyMasked, Severity::Info, "Invoice.address", "").and(
        "{ column = \"address\", with = \"remove\" }",
        "{ column = \"address\", json = \"street\", with = \"remove\" }",
    ),
    plant(
        Id::Cascade,
        Severity::Error,
        "Refund.orderRef",
        r#"CREATE TABLE "Refund" ("id" TEXT PRIMARY KEY, "orderRef" TEXT REFERENCES "Order" ("id") ON DELETE CASCADE)"#,
    ),
    plant(
        Id::SetNull,
        Severity::Warning,
        "Refund.orderRef",
        r#"CREATE TABLE "Refund" ("id" TEXT PRIMARY KEY, "orderRef" TEXT REFERENCES "Order" ("id") ON DELETE SET NULL)"#,
    ),
    plant(
        Id::RefusedDelete,
        Severity::Error,
        "Refund.orderRef",
        r#"CREATE TABLE "Refund" ("id" TEXT PRIMARY KEY, "orderRef" TEXT REFERENCES "Order" ("id"))"#,
    ),
    plant(
        Id::NullableHop,
        Severity::Warning,
        "LineItem.maybe",
        r#"ALTER TABLE "LineItem" ADD COLUMN "maybe" TEXT; CREATE INDEX "maybe" ON "LineItem" ("maybe")"#,
    )
    .and("column = \"orderRef\", to", "column = \"maybe\", to"),
    plant(
        Id::ForeignKeyCycle,
        Severity::Error,
        "LineItem.*",
        r#"ALTER TABLE "Order" ADD COLUMN "first" TEXT REFERENCES "LineItem" ("id") ON DELETE SET NULL"#,
    ),
    plant(
        Id::SelfReference,
        Severity::Warning,
        "Order.parent",
        r#"ALTER TABLE "Order" ADD COLUMN "parent" TEXT REFERENCES "Order" ("id") ON DELETE CASCADE"#,
    ),
];

const SQLITE: &[Plant] = &[
    plant(
        Id::NotATable,
        Severity::Error,
        "Report.*",
        r#"DROP TABLE "Report"; CREATE TABLE "Report" ("id" TEXT PRIMARY KEY, "shopId" TEXT, "status" TEXT) WITHOUT ROWID"#,
    ),
    plant(
        Id::TriggerCopies,
        Severity::Warning,
        "Order.*",
        r#"CREATE TABLE "History" ("n" INTEGER); CREATE TRIGGER "keep_copy" AFTER DELETE ON "Order" BEGIN INSERT INTO "History" VALUES (1); END"#,
    ),
    plant(
        Id::TriggerKeepsRows,
        Severity::Warning,
        "Order.*",
        r#"CREATE TRIGGER "never" BEFORE DELETE ON "Order" BEGIN SELECT RAISE(IGNORE); END"#,
    ),
    plant(
        Id::ViewCopies,
        Severity::Warning,
        "Search.*",
        r#"CREATE VIRTUAL TABLE "Search" USING fts5("note", content='Order')"#,
    ),
];

const POSTGRES: &[Plant] = &[
    plant(
        Id::TableElsewhere,
        Severity::Error,
        "Report.*",
        r#"CREATE SCHEMA other; ALTER TABLE "Report" SET SCHEMA other"#,
    ),
    plant(
        Id::TriggerCopies,
        Severity::Warning,
        "Order.*",
        r#"CREATE TABLE "History" ("n" INTEGER);
           CREATE FUNCTION copy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO "History" VALUES (1); RETURN OLD; END';
           CREATE TRIGGER "keep_copy" AFTER DELETE ON "Order" FOR EACH ROW EXECUTE FUNCTION copy()"#,
    ),
    plant(
        Id::TriggerKeepsRows,
        Severity::Warning,
        "Order.*",
        r#"CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
           CREATE TRIGGER "never" BEFORE DELETE ON "Order" FOR EACH ROW EXECUTE FUNCTION never()"#,
    ),
    plant(
        Id::ViewCopies,
        Severity::Warning,
        "Totals.*",
        r#"CREATE MATERIALIZED VIEW "Totals" AS SELECT "email", count(*) FROM "Order" GROUP BY 1"#,
    ),
    plant(Id::Partitioned, Severity::Info, "Report.*", r#"CREATE TABLE "OldReport" () INHERITS ("Report")"#),
    plant(
        Id::Partitioned,
        Severity::Warning,
        "Report.*",
        r#"CREATE TABLE "All" ("id" TEXT, "n" INTEGER); ALTER TABLE "Report" ADD COLUMN "n" INTEGER;
           ALTER TABLE "Report" INHERIT "All""#,
    ),
    plant(
        Id::ForeignTable,
        Severity::Warning,
        "Report.*",
        r#"DROP TABLE "Report"; CREATE FOREIGN DATA WRAPPER far; CREATE SERVER far FOREIGN DATA WRAPPER far;
           CREATE FOREIGN TABLE "Report" ("id" TEXT, "shopId" TEXT, "status" TEXT) SERVER far"#,
    )
    .and(
        "exclude = [ { column = \"status\"",
        "exclude = [ { column = \"id\", because = \"a number\" }, { column = \"status\"",
    ),
    plant(Id::RowSecurity, Severity::Info, "Report.*", r#"ALTER TABLE "Report" ENABLE ROW LEVEL SECURITY"#),
    plant(
        Id::WrongType,
        Severity::Error,
        "Order.ids",
        r#"ALTER TABLE "Order" ADD COLUMN "ids" TEXT[]; CREATE INDEX "ids" ON "Order" ("ids")"#,
    )
    .and(
        "    { column = \"email\", by = \"email\" },",
        "    { column = \"email\", by = \"email\" }, { column = \"ids\", by = \"order_id\" },",
    ),
];

/// What was found instead of the plant alone.
async fn found_otherwise(app: &AppDatabase, plant: &Plant) -> Option<String> {
    app.fixture("plain").await;
    let map = text::read("tests/fixtures/schemas/plain.toml");
    assert_eq!(short(&app.check(&map).await), BTreeSet::new(), "the schema fits before anything is planted");
    app.run(plant.sql).await;
    let map = match plant.map {
        None => map,
        Some((from, to)) => {
            assert!(map.contains(from), "{from}");
            // The last of them: the tables that plants are about stand behind.
            let at = map.rfind(from).unwrap();
            format!("{}{to}{}", &map[..at], &map[at + from.len()..])
        }
    };
    let found = app.check(&map).await;
    let right = short(&found) == BTreeSet::from([format!("{} {}", plant.id, plant.place)])
        && found.len() == 1
        && found[0].severity == plant.severity;
    if right { None } else { Some(format!("{} {}: {found:#?}", plant.id, plant.place)) }
}

async fn assert_each_is_found(plants: impl Iterator<Item = &Plant>, sqlite: bool) {
    let mut wrong = Vec::new();
    for plant in plants {
        let app = if sqlite { AppDatabase::sqlite().await } else { AppDatabase::postgres().await };
        wrong.extend(found_otherwise(&app, plant).await);
        app.end().await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn each_problem_is_found_alone() {
    assert_each_is_found(EVERYWHERE.iter().chain(SQLITE), true).await;
}

mod server {
    mod postgres {
        use super::super::*;

        #[tokio::test]
        async fn each_problem_is_found_alone() {
            assert_each_is_found(EVERYWHERE.iter().chain(POSTGRES), false).await;
        }

        /// The catalog is that of the user who reads it: what it may not do, and which policies bind it.
        #[tokio::test]
        async fn a_user_without_rights_and_under_policies_is_told_apart() {
            let app = AppDatabase::postgres().await;
            app.fixture("plain").await;
            let role = format!("efface_role_{}", std::process::id());
            app.run(&format!(
                r#"CREATE ROLE {role}; GRANT SELECT, UPDATE, DELETE ON "Order", "LineItem", "Invoice", "Shop" TO {role};
                   GRANT SELECT ON "Report" TO {role}; ALTER TABLE "LineItem" ENABLE ROW LEVEL SECURITY"#
            ))
            .await;
            let mut options = sea_orm::ConnectOptions::new(app.database.url());
            options.max_connections(1);
            let conn = sea_orm::Database::connect(options).await.unwrap();
            sea_orm::ConnectionTrait::execute_unprepared(&conn, &format!("SET ROLE {role}")).await.unwrap();
            let map = DataMap::parse(&text::read("tests/fixtures/schemas/plain.toml")).unwrap();
            let found = findings(map.default_store(), &read_catalog(&conn).await.unwrap());
            conn.close().await.unwrap();
            app.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
            let expected = ["missing_privilege Report.*", "row_security LineItem.*"].map(str::to_owned);
            assert_eq!(short(&found), BTreeSet::from(expected), "{found:#?}");
            assert!(found.iter().all(|finding| finding.severity == Severity::Error));
            app.end().await;
        }
    }
}

#[test]
fn every_kind_of_finding_is_planted() {
    let planted: BTreeSet<Id> = EVERYWHERE.iter().chain(SQLITE).chain(POSTGRES).map(|plant| plant.id).collect();
    // This one takes a user with fewer rights, above.
    let all: BTreeSet<Id> =
        Id::ALL.iter().copied().filter(|id| ![Id::MissingPrivilege, Id::NoMadeAt].contains(id)).collect();
    assert_eq!(planted, all);
}

#[test]
fn the_reference_lists_every_kind_of_finding() {
    let page = text::read("docs/data-map.md");
    let listed: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    for id in Id::ALL {
        assert!(listed.contains(id.as_str()), "docs/data-map.md does not list {id}");
    }
}

both_apps! {
    /// Each statement that a finding proposes is run as it stands; then nothing is left to propose.
    async fn the_proposed_indexes_are_the_ones_that_were_missing(app: &AppDatabase) {
        app.fixture("prisma").await;
        let map = app.blind_proposal().await.to_toml();
        let found = app.check(&map).await;
        let missing = of_id(&found, Id::MissingIndex);
        assert!(missing.len() >= 5, "{missing:?}");
        let normal = missing.iter().filter(|finding| finding.remedy.as_ref().unwrap().contains("lower(")).count();
        assert!(normal >= 1, "{missing:?}");
        for finding in &missing {
            app.run(finding.remedy.as_ref().unwrap()).await;
        }
        assert!(of_id(&app.check(&map).await, Id::MissingIndex).is_empty());
    }

    /// What is left out with a reason is not asked about again, as long as nothing is hidden by it.
    async fn a_table_that_is_left_out_with_a_reason_is_no_finding(app: &AppDatabase) {
        app.fixture("plain").await;
        app.run(r#"CREATE TABLE "Lead" ("id" TEXT PRIMARY KEY, "email" TEXT)"#).await;
        let map = text::read("tests/fixtures/schemas/plain.toml")
            + "\n[[left_out]]\nname = \"Lead\"\nbecause = \"visitors of our own site\"\n";
        assert!(app.check(&map).await.is_empty());
        app.run(r#"DROP TABLE "Lead"; CREATE TABLE "Lead" ("id" TEXT PRIMARY KEY, "o" TEXT REFERENCES "Order" ("id"))"#).await;
        assert_eq!(short(&app.check(&map).await), BTreeSet::from(["refused_delete Lead.o".to_owned()]));
    }

    /// A parent's rows take a child's with them by cascade: what a topic keeps in the child, it may not delete above.
    async fn a_cascade_onto_rows_that_are_to_stay_is_an_error(app: &AppDatabase) {
        app.fixture("plain").await;
        app.run(r#"
            CREATE TABLE "Receipt" ("id" TEXT PRIMARY KEY, "shopId" TEXT, "customerId" TEXT,
                "orderRef" TEXT NOT NULL REFERENCES "Order" ("id") ON DELETE CASCADE);
            CREATE INDEX "receipt_by_customer" ON "Receipt" ("shopId", "customerId");
        "#).await;
        let map = |customers: &str| {
            let ground = if customers == "keep" { "ground = \"tax law\"" } else { "" };
            text::read("tests/fixtures/schemas/plain.toml") + &format!(
                "\n[[table]]\nname = \"Receipt\"\nshop = {{ column = \"shopId\", holds = \"shop_id\" }}\n\
                 match = {{ column = \"customerId\", by = \"customer_id\" }}\ncustomers_redact = \"{customers}\"\n\
                 shop_redact = \"delete\"\nresult_key = \"deletedReceipts\"\n{ground}\n"
            )
        };
        for (customers, severity) in [("keep", Severity::Error), ("delete", Severity::Warning)] {
            let found = app.check(&map(customers)).await;
            assert_eq!(short(&found), BTreeSet::from(["cascade Receipt.orderRef".to_owned()]), "{found:#?}");
            assert_eq!(found[0].severity, severity, "{customers}");
        }
    }
}

/// A catalog is read by a connection that can change nothing.
#[tokio::test]
async fn looking_changes_nothing() {
    let app = AppDatabase::sqlite().await;
    app.fixture("plain").await;
    let conn = open_read_only(&app.database.url()).await.unwrap();
    let refused = sea_orm::ConnectionTrait::execute_unprepared(&conn, r#"DROP TABLE "Report""#).await;
    assert!(refused.is_err());
    conn.close().await.unwrap();
    app.end().await;
}
