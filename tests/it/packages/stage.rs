//! A house with a data map of its own, and what it takes to look into a package.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};

use efface::app::App;
use efface::audit::Actor;
use efface::export::Recipient;
use entity::export_package::Model;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _};
use serde_json::Value;
use zip::ZipArchive;

use crate::house::{ADA, House, Setting, Webhook};

/// A table of texts and one of everything that is hard to carry.
const MAP: &str = r#"
version = 1

[shop]
table = "Shop"
id = "id"
domain = "shopDomain"
result_key = "deletedShops"

[[table]]
name = "Odd"
shop = { column = "shopId", holds = "shop_id" }
match = { column = "orderId", by = "order_id" }
customers_redact = "delete"
shop_redact = "delete"
result_key = "deletedOdds"
export = ["id", "orderId", "text", "amount", "flag", "ratio", "payload", "bytes"]

[[table]]
name = "Note"
shop = { column = "shopId", holds = "shop_id" }
match = { column = "orderId", by = "order_id" }
customers_redact = "delete"
shop_redact = "delete"
result_key = "deletedNotes"
export = ["id", "text"]

[[table]]
name = "Index"
shop = { column = "shopId", holds = "shop_id" }
match = { column = "orderId", by = "order_id" }
customers_redact = "delete"
shop_redact = "delete"
result_key = "deletedIndexes"
export = ["id"]

[[table]]
name = "ReconciliationReport"
shop = { column = "shopId", holds = "shop_id" }
customers_redact = "keep"
shop_redact = "delete"
result_key = "deletedReports"
"#;

pub fn operator() -> Actor {
    Actor::Operator("ops".to_owned())
}

/// A second process over the house's database, under [`MAP`], with one shop.
pub async fn odd_house(house: &House) -> App {
    odder_house(house, "", &[]).await
}

/// As [`odd_house`], with more tables and settings.
pub async fn odder_house(house: &House, tables: &str, settings: &[Setting<'_>]) -> App {
    house.open_shop(ADA).await;
    let (number, bytes) = if house.is_sqlite() { ("INTEGER", "BLOB") } else { ("bigint", "bytea") };
    let real = if house.is_sqlite() { "REAL" } else { "double precision" };
    let amount = if house.is_sqlite() { "TEXT" } else { "numeric" };
    let json = if house.is_sqlite() { "TEXT" } else { "json" };
    house
        .execute(&format!(
            r#"CREATE TABLE "Odd" ("id" {number} PRIMARY KEY, "shopId" text, "orderId" text, "text" text, "amount" {amount},
               "flag" boolean, "ratio" {real}, "payload" {json}, "bytes" {bytes})"#
        ))
        .await;
    for table in ["Note", "Index"] {
        let sql = format!(
            r#"CREATE TABLE "{table}" ("id" {number} PRIMARY KEY, "shopId" text, "orderId" text, "text" text)"#
        );
        house.execute(&sql).await;
        house.execute(&format!(r#"CREATE INDEX "{table}_by_order" ON "{table}" ("shopId", "orderId")"#)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("map.toml");
    std::fs::write(&file, format!("{MAP}\n{tables}")).unwrap();
    let path = file.display().to_string();
    let settings: Vec<Setting<'_>> = settings.iter().copied().chain([("data_map.file", path.as_str())]).collect();
    house.another(&settings).await
}

/// Takes in a data request for these orders, works it under the app's own map, and returns the job's id.
pub async fn requested(house: &House, app: &App, orders: &[&str]) -> String {
    let id = house.post(&Webhook::data_request(ADA, orders)).await;
    let worker = app.worker();
    while worker.tick().await.unwrap().claimed > 0 {}
    let job = house.job(&id).await;
    assert_eq!(job.status, entity::gdpr_job::JobStatus::Completed, "{:?}", job.error_message);
    id
}

/// The reference app's house with its town, and the job of a data request for two of its orders.
pub async fn town_request(house: &House) -> String {
    house.settle_town().await;
    house.done(&Webhook::data_request(ADA, &["1001", "1004"])).await.id
}

/// The package as a file.
pub async fn written(app: &App, job_id: &str, recipient: Option<Recipient>) -> Vec<u8> {
    app.packages().write_to(operator(), job_id, recipient, Vec::new()).await.unwrap()
}

/// The files of a zip, by name.
pub fn files(zip: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(zip)).unwrap();
    (0..archive.len())
        .map(|place| {
            let mut file = archive.by_index(place).unwrap();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            (file.name().unwrap().into_owned(), bytes)
        })
        .collect()
}

pub fn text(files: &BTreeMap<String, Vec<u8>>, name: &str) -> String {
    String::from_utf8(files.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", files.keys())).clone()).unwrap()
}

pub fn json(files: &BTreeMap<String, Vec<u8>>, name: &str) -> Value {
    serde_json::from_str(&text(files, name)).unwrap()
}

pub async fn package(house: &House, job_id: &str) -> Model {
    use entity::export_package::{Column, Entity};
    Entity::find().filter(Column::JobId.eq(job_id)).one(house.store().db()).await.unwrap().unwrap()
}

pub async fn parts(house: &House) -> Vec<entity::export_part::Model> {
    use entity::export_part::{Column, Entity};
    Entity::find().order_by_asc(Column::Sequence).all(house.store().db()).await.unwrap()
}

/// What the audit log says of packages, oldest first: actor, action, and what about.
pub async fn audited(house: &House) -> Vec<(String, String, Value)> {
    use entity::audit_log::{Column, Entity};
    let entries = Entity::find().filter(Column::ResourceType.eq("ExportPackage")).order_by_asc(Column::Id);
    let entries = entries.all(house.store().db()).await.unwrap();
    entries.into_iter().map(|e| (e.actor_type, e.action.as_str().to_owned(), e.metadata.unwrap())).collect()
}
