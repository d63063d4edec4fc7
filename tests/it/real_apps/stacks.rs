//! The pages of `docs/stacks`: the map of each fits a database in that stack's style, and does what the page says.

use std::collections::BTreeSet;

use super::app::{App, Map};
use super::{ADA, figures};
use crate::docs::text::{self, Document};
use crate::house::{House, Webhook};

const PAGES: [&str; 4] = ["laravel", "plain-sql", "prisma-node", "rails"];

/// The map of a page.
fn map(page: &str) -> Map {
    let document = Document::read(&format!("docs/stacks/{page}.md"));
    let maps: Vec<_> = document.blocks.iter().filter(|block| block.code.starts_with("version = 1")).collect();
    assert_eq!(maps.len(), 1, "{page}");
    Map::new(&maps[0].code)
}

/// A database in the style of a page's stack.
async fn database(page: &str, sqlite: bool) -> App {
    let app = App::empty(sqlite).await;
    app.run(&text::read(&format!("tests/fixtures/schemas/stacks/{page}.sql"))).await;
    if page == "prisma-node" {
        app.run(&text::read("tests/fixtures/schemas/apps/session.sql")).await;
    }
    app
}

#[test]
fn every_page_of_a_stack_is_tried() {
    let there: BTreeSet<String> = text::files_under("docs/stacks", "md").into_iter().collect();
    let tried = PAGES.iter().chain(&["README"]).map(|page| format!("docs/stacks/{page}.md")).collect();
    assert_eq!(there, tried);
}

/// Each page goes the same way, and each command of it is there.
#[test]
fn every_page_of_a_stack_has_the_whole_way() {
    for page in PAGES {
        let document = Document::read(&format!("docs/stacks/{page}.md"));
        let shell: String =
            document.blocks.iter().filter(|block| block.language == "sh").map(|b| b.code.as_str()).collect();
        let steps = [
            "efface keys generate",
            "efface data-map introspect",
            "efface data-map check",
            "efface check\n",
            "efface serve",
        ];
        let places: Vec<usize> =
            steps.iter().map(|step| shell.find(step).unwrap_or_else(|| panic!("{page}: {step}"))).collect();
        assert!(places.is_sorted(), "{page}: {places:?}");
        for said in ["README.md#where-shopify-sends-the-three-topics", "## What is easily missed", "oft delete"] {
            assert!(document.prose.contains(said), "{page}: {said}");
        }
    }
}

async fn fits(sqlite: bool) {
    for page in PAGES {
        let app = database(page, sqlite).await;
        let map = map(page);
        let errors = app.errors(&map).await;
        assert!(errors.is_empty(), "{page}: {errors:#?}");
        app.end().await;
    }
}

async fn number(house: &House, from: &str) -> i64 {
    house.number(&format!("SELECT count(*) AS n FROM {from}")).await
}

async fn soft_deleted(sqlite: bool) {
    let app = database("laravel", sqlite).await;
    app.run(
        r#"INSERT INTO "users" ("id", "name", "email", "password", "deleted_at") VALUES
               (1, 'ada.myshopify.com', 'shop@ada.myshopify.com', 'shpat', {now}),
               (2, 'bea.myshopify.com', 'shop@bea.myshopify.com', 'shpat', NULL);
           INSERT INTO "subscribers" ("id", "user_id", "email", "deleted_at") VALUES
               (1, 1, 'jane.doe.4711@example.com', {now}), (2, 1, 'other@example.com', {now}),
               (3, 2, 'jane.doe.4711@example.com', NULL);"#,
    )
    .await;
    let map = map("laravel");
    let house = app.house(&map).await;
    let job = house.done(&Webhook::customers_redact(ADA, &[4001_u64])).await;
    assert_eq!(figures(&job)["deletedSubscribers"], 1, "a row that Eloquent no longer sees");
    assert_eq!(number(&house, "\"subscribers\" WHERE \"id\" IN (2, 3)").await, 2);
    let job = house.done(&Webhook::shop_redact(ADA)).await;
    assert_eq!(figures(&job)["deletedUsers"], 1, "a shop that left");
    assert_eq!((number(&house, "\"users\"").await, number(&house, "\"subscribers\"").await), (1, 1));
}

#[tokio::test]
async fn the_map_of_each_page_fits_on_sqlite() {
    fits(true).await;
}

#[tokio::test]
async fn the_map_of_each_page_fits_on_postgres() {
    fits(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soft_deleted_rows_are_erased_like_all_others_on_sqlite() {
    soft_deleted(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soft_deleted_rows_are_erased_like_all_others_on_postgres() {
    soft_deleted(false).await;
}

/// "A session has several rows a shop": one map over all of them, and none is a customer's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_go_with_the_shop_and_with_no_customer() {
    let app = database("prisma-node", true).await;
    app.run(
        "INSERT INTO \"Shop\" VALUES ('1', 'ada.myshopify.com', NULL, NULL), ('2', 'bea.myshopify.com', NULL, NULL)",
    )
    .await;
    let map = map("prisma-node");
    let house = app.house(&map).await;
    house.done(&Webhook::customers_redact(ADA, &[4001_u64])).await;
    assert_eq!(number(&house, "\"Session\"").await, 4);
    let job = house.done(&Webhook::shop_redact(ADA)).await;
    assert_eq!(figures(&job)["deletedSessions"], 2);
    assert_eq!(number(&house, "\"Session\" WHERE shop = 'bea.myshopify.com'").await, 2);
}
