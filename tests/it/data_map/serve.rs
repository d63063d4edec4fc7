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
    let overrides = [
        ("database.url", house.url()),
        ("keys.file", house.keys_file()),
        ("webhooks.secrets", SECRET.to_owned()),
        ("data_map.fail_on", fail_on.to_owned()),
    ];
    let overrides = overrides.into_iter().map(|(key, value)| Override { key, flag: "the test", value }).collect();
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
