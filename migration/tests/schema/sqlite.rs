use sea_orm_migration::sea_orm::{ConnectionTrait as _, DbBackend, Statement};

use crate::house::House;
use crate::suite;

#[tokio::test]
async fn the_schema_is_the_pinned_one() {
    suite::the_schema_is_the_pinned_one(House::sqlite(), "sqlite.sql").await;
}

#[tokio::test]
async fn down_takes_everything_away_and_up_brings_the_same_back() {
    suite::down_takes_everything_away_and_up_brings_the_same_back(House::sqlite()).await;
}

#[tokio::test]
async fn every_table_that_is_made_is_named() {
    suite::every_table_that_is_made_is_named(House::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_that_start_at_once_all_succeed_and_apply_each_step_once() {
    suite::eight_that_start_at_once_all_succeed_and_apply_each_step_once(House::sqlite()).await;
}

#[tokio::test]
async fn status_tells_what_is_applied_and_changes_nothing() {
    suite::status_tells_what_is_applied_and_changes_nothing(House::sqlite()).await;
}

#[tokio::test]
async fn a_step_from_the_future_stops_up() {
    suite::a_step_from_the_future_stops_up(House::sqlite()).await;
}

#[tokio::test]
async fn tables_that_the_app_had_before_survive_up_and_down() {
    suite::tables_that_the_app_had_before_survive_up_and_down(House::sqlite()).await;
}

#[tokio::test]
async fn every_row_reads_back_as_it_was_written() {
    suite::every_row_reads_back_as_it_was_written(House::sqlite()).await;
}

#[tokio::test]
async fn ids_and_keys_are_enough_to_insert_into_the_reference_tables() {
    suite::ids_and_keys_are_enough_to_insert_into_the_reference_tables(House::sqlite()).await;
}

#[tokio::test]
async fn an_iso_instant_of_the_app_stays_as_it_is() {
    let house = House::sqlite();
    let db = house.connect().await;
    migration::up(&db, true).await.unwrap();
    let written = "2026-11-21T05:42:00.000Z";
    db.execute_unprepared(&format!(
        "INSERT INTO \"Shop\" (\"id\", \"shopDomain\", \"createdAt\") VALUES ('shop-1', 'a.example', '{written}')"
    ))
    .await
    .unwrap();
    let sql = "SELECT typeof(\"createdAt\") AS kind, \"createdAt\" AS made, \"updatedAt\" AS now FROM \"Shop\"";
    let row = db.query_one_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap().unwrap();
    assert_eq!(row.try_get::<String>("", "kind").unwrap(), "text");
    assert_eq!(row.try_get::<String>("", "made").unwrap(), written);
    let now: String = row.try_get("", "now").unwrap();
    assert!(now.len() == written.len() && now.ends_with('Z') && now.contains('T'), "{now}");
}

#[tokio::test]
async fn places_of_the_audit_log_survive_up_and_down() {
    suite::places_of_the_audit_log_survive_up_and_down(House::sqlite()).await;
}
