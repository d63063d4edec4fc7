//! Single meetings with the app, each at the worst moment: the app holds a row, the worker waits for it, and then the
//! app goes on. All on PostgreSQL: on SQLite there is one writer at a time.

use efface::erasure::execute::Hands;
use efface::erasure::progress::Progress;
use efface::erasure::reinstall::Policy;
use efface::erasure::subject::Target;
use efface::store::{PoolLimits, Store};
use entity::gdpr_job::{JobStatus, Model};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, TransactionTrait as _};
use std::sync::atomic::AtomicBool;

use super::stage::{Asked, Stage, body, domain};
use crate::house::{ADA, Database, House, Webhook};
use crate::model::random::Random;

/// A connection of the app's own, which is never the victim of a deadlock.
async fn app(url: &str) -> Store {
    let store = Store::connect(url, PoolLimits { connections_max: 1, ..PoolLimits::default() }).await.unwrap();
    store.db().execute_unprepared("SET deadlock_timeout = '1min'").await.unwrap();
    store
}

async fn run(tx: &DatabaseTransaction, sql: &str) {
    tx.execute_unprepared(sql).await.unwrap();
}

/// Waits until somebody waits for a lock in the database at `url`.
async fn until_somebody_waits(house: &House, url: &str) {
    let name = url.rsplit('/').next().unwrap().split('?').next().unwrap();
    house
        .until(&format!(
            r#"SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname='{name}' AND wait_event_type='Lock') AS "is""#
        ))
        .await;
}

/// The app runs `first`, the worker meets it, and the app runs `then` and commits.
async fn meet(house: &House, url: &str, webhook: &Webhook, first: &str, then: &str) -> Model {
    let id = house.post(webhook).await;
    let app = app(url).await;
    let tx = app.db().begin().await.unwrap();
    run(&tx, first).await;
    let go_on = async {
        until_somebody_waits(house, url).await;
        if !then.is_empty() {
            run(&tx, then).await;
        }
        tx.commit().await.unwrap();
    };
    futures_util::future::join(house.tick(), go_on).await;
    app.close().await;
    house.work().await;
    house.job(&id).await
}

fn assert_done_at_once(job: &Model) {
    let about = (job.status, job.attempts, job.error_message.as_deref());
    assert_eq!(about, (JobStatus::Completed, 1, None));
}

on_postgres! {
    async fn the_victim_of_a_deadlock_begins_again_within_its_attempt(house: House) {
        house.settle_town().await;
        let touch = |order| format!(r#"UPDATE "SurveyResponse" SET "rating"=1 WHERE "id"='sr 1 {order} of {ADA}'"#);
        let webhook = Webhook::customers_redact(ADA, &[1001_u64, 1002]);
        let job = meet(&house, &house.url(), &webhook, &touch(1002), &touch(1001)).await;
        assert_done_at_once(&job);
        assert_eq!(job.result.unwrap()["deletedSurveyResponses"], 2);
    }

    async fn the_victim_of_a_deadlock_in_another_store_begins_again_too(house: House) {
        let crm = Database::postgres().await;
        let stage = Stage::set(&house, &crm.url(), 1).await;
        let house = house.with(&stage.settings(&[])).await;
        let contacts: Vec<i64> =
            stage.rows.iter().filter(|(id, row)| id.0 == "contacts" && row.customer == 1).map(|(id, _)| id.1).collect();
        let touch = |id: i64| format!("UPDATE contacts SET seen = seen + 1 WHERE id = {id}");
        let webhook = Webhook::new("customers/redact", body(0, 1, "orders_to_redact", &[]));
        let job = meet(&house, &crm.url(), &webhook, &touch(contacts[1]), &touch(contacts[0])).await;
        assert_done_at_once(&job);
        let result = job.result.unwrap();
        assert_eq!(result["deletedContacts"], 2);
        assert_eq!(result["stores"]["crm"]["alreadyAbsent"], false, "what was rolled back left nothing absent");
        stage.crm.close().await;
        drop(house);
        crm.remove().await.unwrap();
    }

    async fn a_child_that_the_app_adds_while_its_parent_is_deleted_goes_with_it(house: House) {
        let crm = Database::postgres().await;
        let stage = Stage::set(&house, &crm.url(), 1).await;
        let house = house.with(&stage.settings(&[])).await;
        let order = stage.rows.iter().find(|(id, row)| id.0 == "orders" && row.order == 3).unwrap().0.1;
        let webhook = Webhook::new("customers/redact", body(0, 99, "orders_to_redact", &[3]));
        let insert = format!("INSERT INTO lines VALUES (5000000, {order}, 0)");
        let job = meet(&house, &house.url(), &webhook, &insert, "").await;
        assert_done_at_once(&job);
        assert_eq!(job.result.unwrap()["deletedLines"], 3);
        stage.crm.close().await;
        drop(house);
        crm.remove().await.unwrap();
    }

    async fn a_row_that_the_app_updates_during_a_step_of_a_large_shop_is_counted(house: House) {
        let house = house.with(&[("jobs.batch_rows_max", "40")]).await;
        house.settle_town().await;
        let before = house.contents().await;
        let touch = format!(r#"UPDATE "ReconciliationReport" SET "status"='x' WHERE "id"='rep 1 {ADA}'"#);
        let job = meet(&house, &house.url(), &Webhook::shop_redact(ADA), &touch, "").await;
        assert_done_at_once(&job);
        let result = job.result.unwrap();
        let counted: u64 = result.as_object().unwrap().values().filter_map(serde_json::Value::as_u64).sum();
        assert_eq!(counted, before.rows_where(|row| row.shop == ADA).len() as u64, "{result}");
    }

    async fn a_row_that_the_app_updates_while_it_is_masked_is_masked_all_the_same(house: House) {
        let crm = Database::postgres().await;
        let stage = Stage::set(&house, &crm.url(), 1).await;
        let house = house.with(&stage.settings(&[])).await;
        let letter = stage.rows.iter().find(|(id, row)| id.0 == "letters" && row.order == 3).unwrap().0.1;
        let app = app(&house.url()).await;
        let theirs = app.db().begin().await.unwrap();
        run(&theirs, &format!("UPDATE letters SET seen = 1 WHERE id = {letter}")).await;
        let mask = async {
            let tools = house.app().tools();
            let map = tools.stores.default_store().0;
            let tx = house.store().begin_write().await.unwrap();
            let hands = Hands { conn: &*tx, map, masker: &tools.masker, rows_max: 100, reinstalled: Policy::Hold, one_by_one: &AtomicBool::new(false) };
            let payload = serde_json::json!({ "orders_to_redact": [3] });
            let target = Target::of_subject("job", &domain(0), &payload, "orders_to_redact").unwrap();
            let mut progress = [Progress::default()];
            hands.batch(&[target], &mut progress).await.unwrap();
            tx.commit().await.unwrap();
            progress[0].counts["maskedLetters"]
        };
        let go_on = async {
            until_somebody_waits(&house, &house.url()).await;
            theirs.commit().await.unwrap();
        };
        let (masked, ()) = futures_util::future::join(mask, go_on).await;
        assert_eq!(masked, 1);
        assert_eq!(house.number("SELECT count(*) AS n FROM letters WHERE body = '***REDACTED***'").await, 1);
        app.close().await;
        stage.crm.close().await;
        drop(house);
        crm.remove().await.unwrap();
    }

    async fn orders_asked_for_in_every_order_by_many_workers_wait_instead_of_failing(house: House) {
        let crm = Database::postgres().await;
        let stage = Stage::set(&house, &crm.url(), 1).await;
        let settings = stage.settings(&[("jobs.batch_jobs_max", "1")]);
        let house = house.with(&settings).await;
        let (mut dice, mut asked) = (Random::new(7), Asked::default());
        for _ in 0..30 {
            house.post(&asked.customer(&mut dice, 0)).await;
        }
        let workers = (0..8).map(|_| async { while house.tick().await > 0 {} });
        futures_util::future::join_all(workers).await;
        house.jobs().await.iter().for_each(assert_done_at_once);
        stage.crm.close().await;
        drop(house);
        crm.remove().await.unwrap();
    }
}
