//! A further store's step and the job's record of it are two transactions: what a crash between them leaves is told, and a hold
//! waits for neither less than for a step of the default store.

use efface::evidence::receipt;
use efface::store::{PoolLimits, Store};
use entity::gdpr_job::{JobStatus, Model};
use sea_orm::{ConnectionTrait as _, Statement, TransactionTrait as _};
use serde_json::{Value, json};

use crate::concurrency::stage::{Stage, body, domain};
use crate::house::{Database, House, Webhook};

/// A house with a second database in a file, and one shop.
async fn furnished(house: House, folder: &tempfile::TempDir, rows_max: &str) -> (House, Stage) {
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("crm.db").display());
    let stage = Stage::set(&house, &url, 1).await;
    let house = house.with(&stage.settings(&[("jobs.batch_rows_max", rows_max)])).await;
    (house, stage)
}

/// From now on the job's row does not take a progress that fulfils a condition on its JSON: SQLite's, or PostgreSQL's.
async fn refuse_progress(house: &House, sqlite: &str, postgres: &str) {
    let on = r#"UPDATE OF "progress" ON "GDPRJob""#;
    house
        .execute(&if house.is_sqlite() {
            format!(r#"CREATE TRIGGER "crash" BEFORE {on} WHEN NEW."progress"->>{sqlite} BEGIN SELECT RAISE(ABORT, 'crash'); END"#)
        } else {
            format!(
                r#"CREATE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW."progress"{postgres} THEN
                   RAISE EXCEPTION 'crash'; END IF; RETURN NEW; END $$;
                   CREATE TRIGGER "crash" BEFORE {on} FOR EACH ROW EXECUTE FUNCTION crash()"#
            )
        })
        .await;
}

/// Works the job, mends what `broken` says, and works it to its end.
async fn crash_and_go_on(house: &House, webhook: &Webhook) -> Model {
    let id = house.post(webhook).await;
    house.work().await;
    let job = house.job(&id).await;
    assert_eq!(job.status, JobStatus::Retrying, "{:?}", job.error_message);
    house.heal("crash", "GDPRJob").await;
    house.let_retries_come_due();
    house.work().await;
    let job = house.job(&id).await;
    assert_eq!(job.status, JobStatus::Completed, "{:?}", job.error_message);
    job
}

/// What the receipt says of a table.
async fn told(house: &House, job: &Model, table: &str) -> Value {
    let envelope = receipt::find(house.store(), &job.id).await.unwrap().unwrap();
    let envelope: Value = serde_json::from_slice(&envelope).unwrap();
    let payload = envelope["payload"].as_str().unwrap();
    let payload = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, payload).unwrap();
    let receipt: Value = serde_json::from_slice(&payload).unwrap();
    let tables = receipt["predicate"]["erasure"]["tables"].as_array().unwrap().clone();
    let told = tables.into_iter().find(|told| told["table"] == table).unwrap();
    json!([told["matched"], told["deleted"], told["alreadyAbsent"]])
}

/// Rows of the second database.
async fn contacts(stage: &Stage) -> i64 {
    let db = stage.crm.db();
    let sql = "SELECT count(*) AS n FROM contacts";
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap().unwrap();
    row.try_get("", "n").unwrap()
}

both_databases! {
    async fn rows_whose_counters_a_crash_took_are_told_as_already_absent(house: House) {
        let folder = tempfile::tempdir().unwrap();
        let (house, stage) = furnished(house, &folder, "5000").await;
        refuse_progress(&house, "'$.stores.crm'='deleted'", "->'stores'->>'crm'='deleted'").await;
        let job = crash_and_go_on(&house, &Webhook::new("customers/redact", body(0, 1, "orders_to_redact", &[]))).await;
        assert_eq!(told(&house, &job, "contacts").await, json!([2, 0, 2]));
        assert_eq!(told(&house, &job, "orders").await, json!([2, 2, 0]));
        assert_eq!(job.result.unwrap()["stores"]["crm"], json!({ "state": "done", "alreadyAbsent": true }));
        stage.crm.close().await;
    }

    async fn a_step_that_was_rolled_back_leaves_nothing_absent(house: House) {
        let folder = tempfile::tempdir().unwrap();
        let (house, stage) = furnished(house, &folder, "5000").await;
        let refuse = "CREATE TRIGGER refuse BEFORE DELETE ON contacts BEGIN SELECT RAISE(ABORT, 'no'); END";
        stage.crm.db().execute_unprepared(refuse).await.unwrap();
        let id = house.post(&Webhook::shop_redact(&domain(0))).await;
        house.work().await;
        assert_eq!(house.job(&id).await.status, JobStatus::Retrying);
        stage.crm.db().execute_unprepared("DROP TRIGGER refuse").await.unwrap();
        house.let_retries_come_due();
        house.work().await;
        let job = house.job(&id).await;
        assert_eq!(told(&house, &job, "contacts").await, json!([12, 12, 0]));
        assert_eq!(job.result.unwrap()["stores"]["crm"]["alreadyAbsent"], false);
        stage.crm.close().await;
    }

    async fn a_large_shop_loses_the_count_of_one_step_at_most_and_tells_it(house: House) {
        let folder = tempfile::tempdir().unwrap();
        let (house, stage) = furnished(house, &folder, "5").await;
        refuse_progress(&house, "'$.counts.deletedContacts'=10", "->'counts'->>'deletedContacts'='10'").await;
        let job = crash_and_go_on(&house, &Webhook::shop_redact(&domain(0))).await;
        assert_eq!(told(&house, &job, "contacts").await, json!([12, 7, 5]));
        stage.crm.close().await;
    }

    async fn a_hold_that_comes_after_the_default_stores_step_keeps_the_rows_of_the_others(house: House) {
        let folder = tempfile::tempdir().unwrap();
        let (house, stage) = furnished(house, &folder, "5000").await;
        let wish = serde_json::from_value(json!({ "shop": domain(0), "reason": "a dispute" })).unwrap();
        house.app().holds().place("ops", &wish).await.unwrap();
        house.execute(r#"CREATE TABLE kept_hold AS SELECT * FROM "LegalHold""#).await;
        house.execute(r#"DELETE FROM "LegalHold""#).await;
        // It commits together with the deletion in the default store.
        let comes = r#"INSERT INTO "LegalHold" SELECT * FROM kept_hold WHERE NOT EXISTS (SELECT 1 FROM "LegalHold");"#;
        house
            .execute(&if house.is_sqlite() {
                format!("CREATE TRIGGER comes AFTER DELETE ON orders BEGIN {comes} END")
            } else {
                format!(
                    "CREATE FUNCTION comes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {comes} RETURN OLD; END $$;
                     CREATE TRIGGER comes AFTER DELETE ON orders FOR EACH ROW EXECUTE FUNCTION comes()"
                )
            })
            .await;
        let id = house.post(&Webhook::new("customers/redact", body(0, 1, "orders_to_redact", &[]))).await;
        house.work().await;
        let job = house.job(&id).await;
        assert_eq!((job.status, job.hold_reason.as_deref()), (JobStatus::Held, Some("legal_hold")));
        assert_eq!(contacts(&stage).await, 12);
        stage.crm.close().await;
    }
}

on_postgres! {
    async fn a_hold_waits_until_a_step_of_another_store_has_ended(house: House) {
        let crm = Database::postgres().await;
        let stage = Stage::set(&house, &crm.url(), 1).await;
        let house = house.with(&stage.settings(&[])).await;
        let contact = stage.rows.keys().find(|id| id.0 == "contacts").unwrap().1;
        let app = Store::connect(&crm.url(), PoolLimits::default()).await.unwrap();
        let theirs = app.db().begin().await.unwrap();
        theirs.execute_unprepared(&format!("UPDATE contacts SET seen = 1 WHERE id = {contact}")).await.unwrap();
        let id = house.post(&Webhook::shop_redact(&domain(0))).await;
        let waits = |url: &str| {
            let name = url.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
            format!(
                r#"SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname='{name}' AND wait_event_type='Lock') AS "is""#
            )
        };
        let place = async {
            house.until(&waits(&crm.url())).await;
            let wish = serde_json::from_value(json!({ "shop": domain(0), "reason": "r" })).unwrap();
            house.app().holds().place("ops", &wish).await.unwrap();
            // It returns once nothing is in flight: what is counted is recorded.
            house.job(&id).await
        };
        let go_on = async {
            house.until(&waits(&crm.url())).await;
            house.until(&waits(&house.url())).await;
            theirs.commit().await.unwrap();
        };
        let (seen, (), ()) = Box::pin(futures_util::future::join3(place, go_on, async { house.work().await })).await;
        let progress = efface::erasure::progress::Progress::from_json(seen.progress.as_ref());
        assert_eq!(progress.counts["deletedContacts"], 12);
        assert_eq!(house.job(&id).await.status, JobStatus::Completed, "all was done when the hold came");
        app.close().await;
        stage.crm.close().await;
        drop(house);
        crm.remove().await.unwrap();
    }
}
