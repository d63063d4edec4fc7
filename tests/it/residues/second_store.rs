//! A second database that is away: the first one's rows go, and the job waits.

use efface::store::{PoolLimits, Store};
use entity::gdpr_job::JobStatus;
use sea_orm::{ConnectionTrait as _, Statement};

use super::{MAP, SHOP, count, furnished, work_on, work_to_the_end};
use crate::house::{Database, EMAIL, House, Webhook};

const CRM: &str = r#"
[stores.crm]

[[table]]
store = "crm"
name = "contacts"
shop = { column = "shop", holds = "shop_domain" }
match = { column = "email", by = "email" }
customers_redact = "delete"
shop_redact = "delete"
result_key = "deletedContacts"
"#;

/// The map with its second store; TOML wants the section before the tables.
fn map() -> String {
    let (section, table) = CRM.split_once("[[table]]").unwrap();
    MAP.replacen("[shop]", &format!("{section}\n[shop]"), 1) + "\n[[table]]" + table
}

async fn open(url: &str) -> Store {
    Store::connect(url, PoolLimits { connections_max: 1, ..PoolLimits::default() }).await.unwrap()
}

async fn fill(crm: &Store) {
    for sql in [
        "CREATE TABLE contacts (id bigint PRIMARY KEY, shop text, email text)".to_owned(),
        format!("INSERT INTO contacts VALUES (1, '{SHOP}', '{EMAIL}'), (2, '{SHOP}', 'john@example.com')"),
    ] {
        crm.db().execute_unprepared(&sql).await.unwrap();
    }
}

async fn contacts(crm: &Store) -> i64 {
    let sql = Statement::from_string(crm.backend(), "SELECT count(*) AS n FROM contacts");
    crm.db().query_one_raw(sql).await.unwrap().unwrap().try_get("", "n").unwrap()
}

both_databases! {
    async fn a_store_that_is_not_there_is_named_and_the_job_completes_when_it_is(house: House) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("crm.db");
        let there = format!("sqlite://{}?mode=rw", file.display());
        let house = furnished(house, &map(), &[("stores.crm.url", &there), ("jobs.attempts_max", "5")]).await;
        let id = house.post(&Webhook::customers_redact(SHOP, &[1_u64])).await;
        for attempt in 1..=2 {
            let job = work_on(&house, &id).await;
            assert_eq!((job.status, job.attempts, job.completed_at), (JobStatus::Retrying, attempt, None));
            let message = job.error_message.unwrap();
            assert!(message.contains("store \"crm\"") && !message.contains("crm.db"), "{message}");
            house.let_retries_come_due();
        }
        assert_eq!(count(&house, "people").await, 1, "the default store's rows need not wait");

        let crm = open(&format!("sqlite://{}?mode=rwc", file.display())).await;
        fill(&crm).await;
        let job = work_on(&house, &id).await;
        assert_eq!((job.status, job.error_message), (JobStatus::Completed, None));
        let result = job.result.unwrap();
        assert_eq!((&result["deletedContacts"], &result["deletedPeople"]), (&1.into(), &1.into()));
        assert_eq!(contacts(&crm).await, 1);
        crm.close().await;
    }

    async fn a_store_that_stays_away_ends_in_failed(house: House) {
        let folder = tempfile::tempdir().unwrap();
        let away = format!("sqlite://{}?mode=rw", folder.path().join("crm.db").display());
        let house = furnished(house, &map(), &[("stores.crm.url", &away)]).await;
        let id = house.post(&Webhook::shop_redact(SHOP)).await;
        let job = work_to_the_end(&house, &id).await;
        assert_eq!((job.status, job.attempts, job.completed_at), (JobStatus::Failed, 2, None));
        assert!(job.error_message.unwrap().contains("store \"crm\""));
        assert!(job.sealed_payload.is_some(), "what the job is about is still known");
    }

    async fn a_table_that_is_missing_in_a_second_store_is_named(house: House) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("crm.db").display());
        let house = furnished(house, &map(), &[("stores.crm.url", &url)]).await;
        let id = house.post(&Webhook::customers_redact(SHOP, &[1_u64])).await;
        let job = work_to_the_end(&house, &id).await;
        assert_eq!((job.status, job.completed_at), (JobStatus::Failed, None));
        let message = job.error_message.unwrap();
        assert!(message.contains("store \"crm\"") && message.contains("contacts"), "{message}");
    }

    async fn rows_that_come_back_in_a_second_store_fail_the_job_and_name_both(house: House) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("crm.db").display());
        let crm = open(&url).await;
        fill(&crm).await;
        let back = "CREATE TRIGGER back AFTER DELETE ON contacts BEGIN
            INSERT INTO contacts VALUES (OLD.id + 10, OLD.shop, OLD.email); END";
        crm.db().execute_unprepared(back).await.unwrap();
        let house = furnished(house, &map(), &[("stores.crm.url", &url)]).await;
        let id = house.post(&Webhook::customers_redact(SHOP, &[1_u64])).await;
        let job = work_to_the_end(&house, &id).await;
        assert_eq!((job.status, job.completed_at), (JobStatus::Failed, None));
        let message = job.error_message.unwrap();
        assert!(message.contains("crm.contacts") && !message.contains("people"), "{message}");
        crm.close().await;
    }
}

on_postgres! {
    async fn a_server_that_goes_away_between_two_jobs_is_waited_for(house: House) {
        let database = Database::postgres().await;
        let crm = open(&database.url()).await;
        fill(&crm).await;
        let settings = [("stores.crm.url", database.url()), ("jobs.attempts_max", "5".to_owned())];
        let house = furnished(house, &map(), &settings.each_ref().map(|(key, value)| (*key, value.as_str()))).await;
        let first = house.done(&Webhook::customers_redact(SHOP, &[1_u64])).await;
        assert_eq!(first.result.unwrap()["deletedContacts"], 1);

        let name = database.url().rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
        crm.close().await;
        house.execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
        house.execute(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")).await;
        let id = house.post(&Webhook::shop_redact(SHOP)).await;
        let mut job = work_on(&house, &id).await;
        // The first may only find out that its connection is dead.
        for _ in 0..2 {
            assert_eq!((job.status, job.completed_at), (JobStatus::Retrying, None));
            assert!(job.error_message.as_ref().unwrap().contains("store \"crm\""), "{:?}", job.error_message);
            house.let_retries_come_due();
            job = work_on(&house, &id).await;
        }

        house.execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await;
        house.let_retries_come_due();
        let job = work_to_the_end(&house, &id).await;
        assert_eq!((job.status, job.error_message), (JobStatus::Completed, None));
        assert_eq!(job.result.unwrap()["deletedContacts"], 1);
        let crm = open(&database.url()).await;
        assert_eq!(contacts(&crm).await, 0);
        crm.close().await;
        database.remove().await.unwrap();
    }
}
