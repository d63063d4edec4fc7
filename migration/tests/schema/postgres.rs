//! Needs a server: `EFFACE_TEST_DATABASE_URL`, which `./scripts/test` sets.

use crate::house::House;
use crate::suite;

#[tokio::test]
async fn the_schema_is_the_pinned_one() {
    suite::the_schema_is_the_pinned_one(House::postgres().await, "postgres.sql").await;
}

#[tokio::test]
async fn down_takes_everything_away_and_up_brings_the_same_back() {
    suite::down_takes_everything_away_and_up_brings_the_same_back(House::postgres().await).await;
}

#[tokio::test]
async fn every_table_that_is_made_is_named() {
    suite::every_table_that_is_made_is_named(House::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_that_start_at_once_all_succeed_and_apply_each_step_once() {
    suite::eight_that_start_at_once_all_succeed_and_apply_each_step_once(House::postgres().await).await;
}

#[tokio::test]
async fn status_tells_what_is_applied_and_changes_nothing() {
    suite::status_tells_what_is_applied_and_changes_nothing(House::postgres().await).await;
}

#[tokio::test]
async fn a_step_from_the_future_stops_up() {
    suite::a_step_from_the_future_stops_up(House::postgres().await).await;
}

#[tokio::test]
async fn tables_that_the_app_had_before_survive_up_and_down() {
    suite::tables_that_the_app_had_before_survive_up_and_down(House::postgres().await).await;
}

#[tokio::test]
async fn every_row_reads_back_as_it_was_written() {
    suite::every_row_reads_back_as_it_was_written(House::postgres().await).await;
}

#[tokio::test]
async fn ids_and_keys_are_enough_to_insert_into_the_reference_tables() {
    suite::ids_and_keys_are_enough_to_insert_into_the_reference_tables(House::postgres().await).await;
}

#[tokio::test]
async fn places_of_the_audit_log_survive_up_and_down() {
    suite::places_of_the_audit_log_survive_up_and_down(House::postgres().await).await;
}
