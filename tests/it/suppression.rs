//! Who was erased stays erased: tombstones, re-sweeps, and replay after a restore, in a schema with every kind of match.

mod function;
mod ledger;
mod replay;
mod sweeps;
mod tombstones;

use std::collections::BTreeMap;

use chrono::TimeDelta;
use efface::suppression::sweep::SweepSummary;
use entity::gdpr_job::Model;
use entity::suppression;
use sea_orm::{ConnectionTrait as _, EntityTrait as _, Statement};
use sha2::{Digest as _, Sha256};

use crate::house::{EMAIL, House, Setting, Webhook};

const TABLES: [&str; 4] = ["stores", "orders", "profiles", "letters"];

const MAP: &str = r#"
version = 1

[shop]
table = "stores"
id = "id"
domain = "domain"
installed_at = "installed_at"
result_key = "deletedStores"

[[table]]
name = "orders"
shop = { column = "store_id", holds = "shop_id" }
match = [
    { column = "remote_id", by = "order_id" },
    { column = "customer_ref", by = "customer_id" },
    { column = "email", by = "email" },
    { column = "phone", by = "phone" },
]
customers_redact = "delete"
shop_redact = "delete"
result_key = "deletedOrders"

[[table]]
name = "profiles"
shop = { column = "domain", holds = "shop_domain" }
match = [
    { column = "email_hash", by = "email", as = "sha256" },
    { column = "order_mac", by = "order_id", as = "hmac_sha256", key = "crm" },
    { column = "document", json = "contacts[*].email", by = "email" },
]
customers_redact = "delete"
shop_redact = "delete"
result_key = "deletedProfiles"

[[table]]
name = "letters"
shop = { column = "domain", holds = "shop_domain" }
match = [ { column = "email", by = "email" } ]
customers_redact = "mask"
shop_redact = "delete"
mask = [ { column = "body", with = "redact" } ]
result_key = "deletedLetters"
"#;

/// Shops `s1.example.com` … `s9.example.com`, installed on the first day of 2026.
fn shop(number: u32) -> String {
    format!("s{number}.example.com")
}

fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

async fn furnished(house: House) -> House {
    furnished_with(house, &[]).await
}

async fn furnished_with(house: House, settings: &[Setting<'_>]) -> House {
    let json = if house.is_sqlite() { "text" } else { "jsonb" };
    for statement in [
        "CREATE TABLE stores (id bigint PRIMARY KEY, domain text NOT NULL UNIQUE, installed_at text)".to_owned(),
        "CREATE TABLE orders (id bigint PRIMARY KEY, store_id bigint NOT NULL, remote_id bigint, customer_ref text, \
         email text, phone text)"
            .to_owned(),
        format!(
            "CREATE TABLE profiles (id bigint PRIMARY KEY, domain text, email_hash text, order_mac text, document {json})"
        ),
        "CREATE TABLE letters (id bigint PRIMARY KEY, domain text, email text, body text)".to_owned(),
    ] {
        house.execute(&statement).await;
    }
    for n in 1..10 {
        let domain = shop(n);
        house.execute(&format!("INSERT INTO stores VALUES ({n}, '{domain}', '2026-01-01T00:00:00.000Z')")).await;
        // Of somebody else, who must never be touched.
        house
            .execute(&format!("INSERT INTO orders VALUES ({n}00, {n}, 9{n}, '77', 'john@example.com', '+1 555 0100')"))
            .await;
        let hash = sha256("john@example.com");
        house.execute(&format!("INSERT INTO profiles VALUES ({n}00, '{domain}', '{hash}', 'ff', NULL)")).await;
        house
            .execute(&format!("INSERT INTO letters VALUES ({n}00, '{domain}', 'john@example.com', 'Dear John')"))
            .await;
    }
    let file = map_file();
    let mut all = vec![("data_map.file", file.as_str()), ("data_map.match_keys.crm", "crm-secret")];
    all.extend_from_slice(settings);
    house.with(&all).await
}

fn map_file() -> String {
    let file = std::env::temp_dir().join(format!("efface-map-{}.toml", efface::store::id::row()));
    std::fs::write(&file, MAP).unwrap();
    file.display().to_string()
}

/// Every row of the app's tables, as text.
async fn contents(house: &House) -> BTreeMap<&'static str, Vec<String>> {
    let mut contents = BTreeMap::new();
    for table in TABLES {
        let row = house.row_as_text(table).await;
        let sql = format!("SELECT {row} AS row FROM {table} AS t ORDER BY id");
        let rows =
            house.store().db().query_all_raw(Statement::from_string(house.store().backend(), sql)).await.unwrap();
        contents.insert(table, rows.iter().map(|row| row.try_get("", "row").unwrap()).collect());
    }
    contents
}

async fn tombstones(house: &House) -> Vec<suppression::Model> {
    suppression::Entity::find().all(house.store().db()).await.unwrap()
}

async fn sweep(house: &House) -> SweepSummary {
    house.app().suppression().sweep().await.unwrap()
}

/// Moves the clock past a re-sweep, so many hours after the erasure.
fn after(house: &House, hours: i64) {
    house.advance(TimeDelta::hours(hours) + TimeDelta::seconds(1));
}

/// A customer of the shop with two orders, erased.
async fn erased(house: &House, n: u32) -> Model {
    let job = house.done(&Webhook::customers_redact(&shop(n), &[4001_u64, 9_007_199_254_740_993])).await;
    assert!(job.outcome.is_some(), "{:?}", job.error_message);
    job
}

async fn children(house: &House) -> Vec<Model> {
    let jobs = house.jobs().await;
    jobs.into_iter().filter(|job| job.payload.get("parent").is_some()).collect()
}

/// How many times the letters of [`EMAIL`] were written by hand; a value of its own each time.
fn shouted() -> String {
    format!(" {} ", EMAIL.to_uppercase())
}
