//! `shop/redact` of a shop with more rows than one transaction may take.

use chrono::TimeDelta;
use efface::erasure::data_map::DataMap;
use efface::erasure::execute::Step;
use efface::erasure::progress::Progress;
use efface::shutdown::Shutdown;
use efface::store::{WriteTransaction, gdpr_job, target};
use entity::gdpr_job::{JobStatus, Model, Outcome};
use sea_orm::{ConnectionTrait as _, Statement};

use super::{figure, keys};
use crate::house::{ADA, BEA, House, LEASE_MS, PATIENCE, TABLES, Webhook};

const SMALL_STEPS: &[(&str, &str)] = &[("jobs.batch_rows_max", "2"), ("jobs.attempts_max", "100")];
/// Rows of a shop with two orders: twelve, two reports, and its own.
const ROWS: u64 = 15;

async fn open_shop_with_two_orders(house: &House, domain: &str) {
    house.open_shop(domain).await;
    house.place_order(domain, "1").await;
    house.place_order(domain, "gid://shopify/Order/2").await;
}

fn assert_counts_of_two_orders(job: &Model) {
    assert_eq!((job.status, job.outcome), (JobStatus::Completed, Some(Outcome::Erased)), "{:?}", job.error_message);
    let counts: Vec<u64> = keys(job).iter().filter(|key| *key != "completedAt").map(|key| figure(job, key)).collect();
    assert_eq!(counts, [2, 4, 4, 2, 1, 2, 0], "{:?}", job.result);
}

/// Writes down, whenever a job's counters are stored, how many rows `domain` has left.
async fn write_down_steps(house: &House, domain: &str) {
    let left: Vec<String> = TABLES
        .iter()
        .map(|table| {
            let column = if *table == "Shop" { "id" } else { "shopId" };
            format!(r#"(SELECT count(*) FROM "{table}" WHERE "{column}"='id of {domain}')"#)
        })
        .collect();
    let insert = format!("INSERT INTO steps SELECT {};", left.join("+"));
    house.execute("CREATE TABLE steps (remaining bigint)").await;
    house
        .execute(&if house.is_sqlite() {
            format!(r#"CREATE TRIGGER "step" AFTER UPDATE OF "progress" ON "GDPRJob" WHEN NEW."progress" IS NOT NULL BEGIN {insert} END"#)
        } else {
            format!(
                r#"CREATE FUNCTION step() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW."progress" IS NOT NULL THEN
                   {insert} END IF; RETURN NULL; END $$;
                   CREATE TRIGGER "step" AFTER UPDATE OF "progress" ON "GDPRJob" FOR EACH ROW EXECUTE FUNCTION step()"#
            )
        })
        .await;
}

async fn steps(house: &House) -> Vec<i64> {
    let sql = Statement::from_string(house.store().backend(), "SELECT remaining FROM steps ORDER BY remaining DESC");
    let rows = house.store().db().query_all_raw(sql).await.unwrap();
    rows.iter().map(|row| row.try_get("", "remaining").unwrap()).collect()
}

/// Begins a transaction in which no worker can finish, and returns once a worker has deleted something: on SQLite it is
/// the one that writes, on PostgreSQL it holds a row of the shop that the worker has yet to delete.
async fn stop_midway(house: &House, id: &str) -> (WriteTransaction, u64) {
    let sql = format!(r#"SELECT "progress" FROM "GDPRJob" WHERE "id"='{id}'"#);
    let statement = |sql: &str| Statement::from_string(house.store().backend(), sql);
    let find = async {
        let mut held = None;
        loop {
            let tx = match held.take() {
                Some(tx) => tx,
                None => house.store().begin_write().await.unwrap(),
            };
            if !house.is_sqlite() {
                let row = r#"SELECT "id" FROM "SurveyResponse" WHERE "id"='sr 599' FOR UPDATE"#;
                assert!(
                    tx.query_one_raw(statement(row)).await.unwrap().is_some(),
                    "the worker was faster than the test"
                );
            }
            let row = tx.query_one_raw(statement(&sql)).await.unwrap();
            let progress: Option<serde_json::Value> = row.unwrap().try_get("", "progress").unwrap();
            let deleted = Progress::from_json(progress.as_ref()).total();
            if deleted > 0 {
                return (tx, deleted);
            }
            if house.is_sqlite() {
                tx.rollback().await.unwrap();
            } else {
                held = Some(tx);
            }
        }
    };
    tokio::time::timeout(PATIENCE, find).await.expect("no step was ever seen")
}

/// A shop that takes hundreds of steps, so that it can be stopped on the way.
async fn open_vast_shop(house: &House) {
    house.open_shop(ADA).await;
    let rows: Vec<String> = (0..600).map(|n| format!("('sr {n}','id of {ADA}','{n}')")).collect();
    house
        .execute(&format!(r#"INSERT INTO "SurveyResponse" ("id","shopId","orderId") VALUES {}"#, rows.join(",")))
        .await;
}

both_databases! {
    async fn it_is_deleted_in_bounded_steps_with_exact_counts(house: House) {
        let house = house.with(SMALL_STEPS).await;
        open_shop_with_two_orders(&house, ADA).await;
        open_shop_with_two_orders(&house, BEA).await;
        write_down_steps(&house, ADA).await;
        let before = house.contents().await;
        let job = house.done(&Webhook::shop_redact(ADA)).await;
        assert_counts_of_two_orders(&job);
        assert_eq!(before.gone_in(&house.contents().await), before.rows_where(|row| row.shop == ADA));
        let mut remaining = steps(&house).await;
        remaining.insert(0, i64::try_from(ROWS).unwrap());
        assert!(remaining.len() > 7, "{remaining:?}");
        assert!(remaining.windows(2).all(|pair| pair[0] - pair[1] <= 2), "{remaining:?}");
        assert_eq!(remaining.last(), Some(&0));
    }

    async fn counts_survive_a_step_that_fails(house: House) {
        let house = house.with(SMALL_STEPS).await;
        open_shop_with_two_orders(&house, ADA).await;
        let few = format!(r#"(SELECT count(*) FROM "PixelEventReceipt" WHERE "shopId"='id of {ADA}') <= 2"#);
        house.refuse_delete("PixelEventReceipt", &few).await;
        let stuck = house.done(&Webhook::shop_redact(ADA)).await;
        assert_eq!((stuck.status, stuck.attempts, stuck.result.clone()), (JobStatus::Retrying, 1, None));
        let done = Progress::from_json(stuck.progress.as_ref());
        assert!(done.total() >= 6 && done.total() < ROWS, "{done:?}");
        let left = house.contents().await.rows_where(|row| row.shop == ADA).len() as u64;
        assert_eq!(done.total() + left, ROWS, "what is counted is gone, and what is left is not counted");

        house.heal("refusal", "PixelEventReceipt").await;
        house.let_retries_come_due();
        house.work().await;
        assert_counts_of_two_orders(&house.job(&stuck.id).await);
    }

    /// Else its steps would go on for ever, and so would its counters.
    async fn rows_that_a_trigger_puts_back_fail_the_attempt_and_say_so(house: House) {
        let house = house.with(SMALL_STEPS).await;
        open_shop_with_two_orders(&house, ADA).await;
        house.execute(r#"CREATE TABLE spare AS SELECT * FROM "ReconciliationReport""#).await;
        let back = r#"INSERT INTO "ReconciliationReport" SELECT * FROM spare WHERE "id"=OLD."id";"#;
        house.execute(&if house.is_sqlite() {
            format!(r#"CREATE TRIGGER "back" AFTER DELETE ON "ReconciliationReport" BEGIN {back} END"#)
        } else {
            format!(r#"CREATE FUNCTION back() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {back} RETURN NULL; END $$;
                CREATE TRIGGER "back" AFTER DELETE ON "ReconciliationReport" FOR EACH ROW EXECUTE FUNCTION back()"#)
        }).await;
        let stuck = house.done(&Webhook::shop_redact(ADA)).await;
        assert_eq!((stuck.status, stuck.attempts, stuck.result.clone()), (JobStatus::Retrying, 1, None));
        let message = stuck.error_message.unwrap_or_default();
        assert!(message.contains("rows of a shop come back as fast as they are erased"), "{message}");

        house.heal("back", "ReconciliationReport").await;
        house.let_retries_come_due();
        house.work().await;
        assert_eq!(house.job(&stuck.id).await.status, JobStatus::Completed);
        assert_eq!(house.contents().await.rows_where(|row| row.shop == ADA).len(), 0);
    }

    async fn a_crash_after_any_step_loses_no_row_and_no_count(house: House) {
        let house = house.with(SMALL_STEPS).await;
        let mut last = Step::More;
        let mut crash_after = 0;
        while last == Step::More {
            let domain = format!("crash-{crash_after}.myshopify.com");
            open_shop_with_two_orders(&house, &domain).await;
            let id = house.post(&Webhook::shop_redact(&domain)).await;
            let claim = house.claim("crashes", 1).await.remove(0);
            let mut progress = Progress::default();
            for _ in 0..crash_after {
                let tx = house.store().begin_write().await.unwrap();
                let held = gdpr_job::hold_claims(&*tx, &house.clock, &[claim.fenced()], Some(LEASE_MS)).await.unwrap();
                assert!(held.contains(&id));
                last = house.shop_step(&tx, &domain, &mut progress, 2).await;
                gdpr_job::save_progress(&*tx, vec![(claim.fenced(), progress.to_json())]).await.unwrap();
                tx.commit().await.unwrap();
            }
            // One more step, and the process dies before the commit: the database forgets it.
            let tx = house.store().begin_write().await.unwrap();
            house.shop_step(&tx, &domain, &mut progress.clone(), 2).await;
            drop(tx);

            house.let_leases_expire();
            assert_eq!(house.rescue().await.retrying, 1);
            house.work().await;
            let job = house.job(&id).await;
            assert_counts_of_two_orders(&job);
            assert_eq!((job.attempts, job.fence), (2, 2));
            crash_after += 1;
        }
        assert!(crash_after > 7, "the loop ended after {crash_after} steps");
    }

    async fn a_process_that_dies_midway_is_followed_by_one_that_finishes(house: House) {
        let house = house.with(&[("jobs.batch_rows_max", "3")]).await;
        open_vast_shop(&house).await;
        let id = house.post(&Webhook::shop_redact(ADA)).await;
        let worker = house.app().worker();
        let dying = tokio::spawn(async move { worker.tick().await });
        let (stopped, deleted) = stop_midway(&house, &id).await;
        dying.abort();
        assert!(dying.await.unwrap_err().is_cancelled());
        stopped.rollback().await.unwrap();
        assert!(deleted < 600);
        assert_eq!(house.job(&id).await.status, JobStatus::Processing);
        assert_eq!(house.tick().await, 0, "its lease still holds");

        house.let_leases_expire();
        let other = house.another(&[]).await;
        house.rescue().await;
        while other.worker().tick().await.unwrap().claimed > 0 {}
        let job = house.job(&id).await;
        assert_eq!((job.status, job.attempts), (JobStatus::Completed, 2));
        assert_eq!((figure(&job, "deletedSurveyResponses"), figure(&job, "deletedShops")), (600, 1));
        other.store().close().await;
    }

    async fn a_shutdown_midway_gives_the_job_back_with_its_counts_and_counts_no_attempt(house: House) {
        let house = house.with(&[("jobs.batch_rows_max", "3")]).await;
        open_vast_shop(&house).await;
        let id = house.post(&Webhook::shop_redact(ADA)).await;
        let worker = house.app().worker();
        let run = tokio::spawn(async move { worker.run().await });
        let (stopped, _) = stop_midway(&house, &id).await;
        house.shutdown.cancel();
        stopped.rollback().await.unwrap();
        tokio::time::timeout(PATIENCE, run).await.expect("it ends after the shutdown").unwrap();

        let job = house.job(&id).await;
        assert_eq!((job.status, job.attempts, job.fence), (JobStatus::Queued, 0, 1));
        assert_eq!((job.lease_until, job.lease_owner.clone()), (None, None));
        let progress = Progress::from_json(job.progress.as_ref());
        let left = house.number(r#"SELECT count(*) AS n FROM "SurveyResponse""#).await.unsigned_abs();
        assert!(left > 0);
        assert_eq!(progress.total() + left, 600);

        let next = house.another_until(&[], &Shutdown::new()).await;
        while next.worker().tick().await.unwrap().claimed > 0 {}
        let job = house.job(&id).await;
        assert_eq!((job.status, job.attempts, job.fence), (JobStatus::Completed, 1, 2));
        assert_eq!(figure(&job, "deletedSurveyResponses"), 600);
        next.store().close().await;
    }

    async fn each_step_renews_the_lease(house: House) {
        open_shop_with_two_orders(&house, ADA).await;
        let id = house.post(&Webhook::shop_redact(ADA)).await;
        let claim = house.claim("slow", 1).await.remove(0);
        let mut progress = Progress::default();
        for _ in 0..5 {
            house.advance(TimeDelta::milliseconds(LEASE_MS * 2 / 3));
            assert_eq!(house.rescue().await.retrying, 0, "the lease was drawn out");
            let tx = house.store().begin_write().await.unwrap();
            gdpr_job::hold_claims(&*tx, &house.clock, &[claim.fenced()], Some(LEASE_MS)).await.unwrap();
            house.shop_step(&tx, ADA, &mut progress, 2).await;
            gdpr_job::save_progress(&*tx, vec![(claim.fenced(), progress.to_json())]).await.unwrap();
            tx.commit().await.unwrap();
        }
        house.let_leases_expire();
        assert_eq!(house.rescue().await.retrying, 1);
        house.work().await;
        assert_counts_of_two_orders(&house.job(&id).await);
    }

    async fn a_shop_that_is_just_small_enough_is_one_transaction(house: House) {
        let house = house.with(&[("jobs.batch_rows_max", "14")]).await;
        open_shop_with_two_orders(&house, ADA).await;
        write_down_steps(&house, ADA).await;
        let job = house.done(&Webhook::shop_redact(ADA)).await;
        assert_counts_of_two_orders(&job);
        assert_eq!(steps(&house).await, [0]);
        let map = DataMap::reference().default_store().clone();
        assert!(target::shops(house.store().db(), &map.shop.as_ref().unwrap().table, vec![ADA.to_owned()], false).await.unwrap().is_empty());
    }
}
