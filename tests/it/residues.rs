//! Residues planted on purpose, in a schema of several tables and two databases: no job over them may call itself done, and
//! its message says where to look.
//!
//! What a data map does not name is not searched, and so cannot be found again: [`wrong_map`] shows which of its mistakes
//! come to light and which do not.

mod privileges;
mod second_store;
mod triggers;
mod wrong_map;

use entity::gdpr_job::Model;

use crate::house::{EMAIL, House, Setting};

const SHOP: &str = "ada.myshopify.com";

const MAP: &str = r#"
version = 1

[shop]
table = "stores"
id = "id"
domain = "domain"
result_key = "deletedStores"

[[table]]
name = "people"
shop = { column = "store_id", holds = "shop_id" }
match = { column = "email", by = "email" }
customers_redact = "delete"
shop_redact = "delete"
result_key = "deletedPeople"

[[table]]
name = "letters"
shop = { column = "store_id", holds = "shop_id" }
match = { column = "sender", by = "email" }
customers_redact = "mask"
shop_redact = "delete"
mask = [ { column = "body", with = "redact" } ]
result_key = "deletedLetters"
"#;

/// A house over the schema of [`MAP`], with rows of the webhooks' customer and of another, under a map of the test's own.
async fn furnished(house: House, map: &str, settings: &[Setting<'_>]) -> House {
    furnished_with(house, &[], map, settings).await
}

/// The same, with further statements before the data map is held against the tables.
async fn furnished_with(house: House, statements: &[&str], map: &str, settings: &[Setting<'_>]) -> House {
    for sql in [
        "CREATE TABLE stores (id bigint PRIMARY KEY, domain text NOT NULL UNIQUE)".to_owned(),
        "CREATE TABLE people (id bigint PRIMARY KEY, store_id bigint, email text)".to_owned(),
        "CREATE TABLE letters (id bigint PRIMARY KEY, store_id bigint, sender text, body text)".to_owned(),
        format!("INSERT INTO stores VALUES (1, '{SHOP}')"),
        format!("INSERT INTO people VALUES (1, 1, '{EMAIL}'), (2, 1, 'john@example.com')"),
        format!("INSERT INTO letters VALUES (1, 1, '{EMAIL}', 'Dear all'), (2, 1, 'john@example.com', 'Dear Jane')"),
    ] {
        house.execute(&sql).await;
    }
    for sql in statements {
        house.execute(sql).await;
    }
    let file = map_file(map);
    let mut all = vec![("data_map.file", file.path().to_str().unwrap()), ("jobs.attempts_max", "2")];
    all.extend(settings);
    house.with(&all).await
}

fn map_file(map: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), map).unwrap();
    file
}

async fn count(house: &House, from: &str) -> i64 {
    house.number(&format!("SELECT count(*) AS n FROM {from}")).await
}

/// Looks at the queue as a worker does, which goes on after an error.
async fn work_on(house: &House, id: &str) -> Model {
    for _ in 0..2 {
        let _ = house.app().worker().tick().await;
    }
    house.job(id).await
}

/// Works a job through all of its attempts.
async fn work_to_the_end(house: &House, id: &str) -> Model {
    for _ in 0..4 {
        work_on(house, id).await;
        house.let_retries_come_due();
    }
    house.job(id).await
}
