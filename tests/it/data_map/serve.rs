//! A schema that has outgrown its map keeps the house closed.

use efface::app::data_map::catalog_for;
use efface::app::{App, AppError};
use efface::clock::Clock;
use efface::config::{Config, LoadOptions, Override};
use efface::erasure::check::{Id, findings};
use efface::erasure::data_map::DataMap;
use efface::shutdown::Shutdown;

use crate::house::{House, SECRET};

async fn open_again(house: &House, fail_on: &str) -> Result<App, AppError> {
    open_with(house, &[("data_map.fail_on", fail_on.to_owned())]).await
}

async fn open_with(house: &House, more: &[(&'static str, String)]) -> Result<App, AppError> {
    let overrides =
        [("database.url", house.url()), ("keys.file", house.keys_file()), ("webhooks.secrets", SECRET.to_owned())];
    let overrides = overrides
        .into_iter()
        .chain(more.iter().cloned())
        .map(|(key, value)| Override { key, flag: "the test", value })
        .collect();
    let config = Config::load(&LoadOptions { overrides, ..LoadOptions::default() }).unwrap();
    App::build(config, Clock::system(), Shutdown::new()).await
}

both_databases! {
    async fn a_new_column_that_nobody_decided_about_keeps_serve_from_starting(house: House) {
        assert!(open_again(&house, "error").await.is_ok(), "the reference map fits the reference schema");
        house.execute(r#"ALTER TABLE "ReconciliationReport" ADD COLUMN "buyerNote" TEXT"#).await;
        let Err(AppError::Findings(found)) = open_again(&house, "error").await else { panic!("it opened") };
        assert_eq!((found.len(), found[0].id), (1, Id::UncoveredColumn));
        assert_eq!((found[0].table.as_str(), found[0].column.as_deref()), ("ReconciliationReport", Some("buyerNote")));
        assert!(open_again(&house, "never").await.is_ok());
    }

    async fn what_is_wrong_with_the_text_the_keys_the_stores_and_the_tables_is_told_at_once(house: House) {
        let text = r#"
            version = 1
            [shop]
            table = "Shop"
            id = "id"
            domain = "shopDomain"
            result_key = "deletedShops"
            [stores.crm]
            [[table]]
            name = "Nowhere"
            shop = { column = "shopId", holds = "shop_id" }
            customers_redact = "keep"
            shop_redact = "delete"
            result_key = "deletedNowheres"
            [[table]]
            name = "ConversionLog"
            shop = { column = "shopId", holds = "shop_id" }
            match = { column = "mac", by = "email", as = "hmac_sha256", key = "mail" }
            customers_redact = "delete"
            shop_redact = "delete"
            result_key = "residual"
        "#;
        let file = format!("{}.map.toml", house.keys_file());
        std::fs::write(&file, text).unwrap();
        let more = [("data_map.file", file), ("retention.policies.receipts", "30".to_owned())];
        let Err(AppError::DataMap(problems)) = open_with(&house, &more).await else { panic!("it opened") };
        let told = problems.to_string();
        for expected in [
            "\"residual\" cannot be a result key",
            "data_map.match_keys.mail is not configured",
            "stores.crm.url is not configured",
            "table \"Nowhere\": the database has no such table",
            "table \"ConversionLog\": the database has no column \"mac\"",
        ] {
            assert!(told.contains(expected), "{expected} is missing in:\n{told}");
        }
        // Its rule may stand in a table that could not be understood.
        assert!(!told.contains("retention.policies"), "{told}");
        assert_eq!(problems.0.len(), 5, "{told}");
    }

    /// Who has a map of their own and left `database.reference_schema` on is not asked about the tables that it made.
    async fn the_reference_tables_are_not_asked_about_beside_another_map(house: House) {
        house.execute("CREATE TABLE stores (id TEXT PRIMARY KEY, domain TEXT NOT NULL UNIQUE)").await;
        let text = "version = 1\n[shop]\ntable = \"stores\"\nid = \"id\"\ndomain = \"domain\"\nresult_key = \"deletedStores\"";
        let map = DataMap::parse(text).unwrap();
        let catalog = catalog_for(house.store().db(), map.default_store()).await.unwrap();
        assert!(findings(map.default_store(), &catalog).is_empty());
    }

    async fn a_new_table_beside_the_mapped_ones_keeps_serve_from_starting(house: House) {
        house.execute(
            r#"CREATE TABLE "Refund" ("id" TEXT PRIMARY KEY, "shopId" TEXT REFERENCES "Shop" ("id") ON DELETE CASCADE)"#,
        ).await;
        let Err(AppError::Findings(found)) = open_again(&house, "error").await else { panic!("it opened") };
        assert_eq!((found.len(), found[0].id, found[0].table.as_str()), (1, Id::Cascade, "Refund"));
    }
}
