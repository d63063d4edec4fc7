//! The worker is a process of its own, stopped with SIGSTOP at a point that a lock of the test's holds it at.

use std::time::Duration;

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, TransactionTrait as _};
use serde_json::Value;

use crate::outside::database::{Db, OwnDatabase};
use crate::outside::http::Client;
use crate::outside::program::{Plan, Program};
use crate::outside::wait_for;
use crate::outside::webhook::{Webhook, customer_redact, data_request, shop_redact};

const LEASE_SECONDS: u64 = 4;
const PATIENCE: Duration = Duration::from_mins(1);

/// Everything that a worker may write.
const WRITTEN: [&str; 10] = [
    "GDPRJob",
    "AuditLog",
    "ExportPackage",
    "ExportPart",
    "Shop",
    "ConversionLog",
    "ConversionJob",
    "PixelEventReceipt",
    "SurveyResponse",
    "ReconciliationReport",
];

/// Two shops with rows, a database, and a door that has taken webhooks which nobody works on yet.
struct Scene {
    db: Db,
    _door: Program,
    first: Plan,
    second: Plan,
    /// Dropped after the processes that use them.
    _folder: tempfile::TempDir,
    _database: OwnDatabase,
}

impl Scene {
    async fn set(webhooks: Vec<Webhook>) -> Self {
        let database = OwnDatabase::create().await;
        let folder = tempfile::tempdir().unwrap();
        let plan = |name: &str, roles| {
            Plan::new(folder.path(), name, roles)
                .with("DATABASE__URL", &database.url)
                .with("JOBS__LEASE_SECONDS", LEASE_SECONDS)
                .with("JOBS__POLL_SECONDS", 1)
                .with("JOBS__WORKERS", 1)
                .with("JOBS__BATCH_ROWS_MAX", 50)
        };
        let (first, second) = (plan("first", "worker"), plan("second", "worker,scheduler"));
        let door = Program::start(&plan("door", "http")).await;
        let db = Db::open(&database.url).await;
        db.run(
            r#"INSERT INTO "Shop" ("id","shopDomain","isActive") VALUES ('small','small.example',true), ('large','large.example',false);
            INSERT INTO "ConversionLog" ("id","shopId","orderId") SELECT format('%s-%s', s, o), s, o
              FROM unnest(ARRAY['small','large']) s, generate_series(1, 120) o;
            INSERT INTO "PixelEventReceipt" ("id","shopId","orderId") SELECT format('%s-%s', s, o), s, o
              FROM unnest(ARRAY['small','large']) s, generate_series(1, 30) o;
            INSERT INTO "SurveyResponse" ("id","shopId","orderId") SELECT format('%s-%s', s, o), s, o
              FROM unnest(ARRAY['small','large']) s, generate_series(1, 60) o;"#,
        )
        .await;
        let mut client = Client::new(door.address());
        for webhook in &webhooks {
            assert_eq!(client.send(webhook).await.unwrap().code, 200);
        }
        Self { db, _door: door, first, second, _folder: folder, _database: database }
    }

    /// A transaction of the test's that holds what `sql` locks.
    async fn hold(&self, sql: &str) -> DatabaseTransaction {
        let lock = self.db.connection.begin().await.unwrap();
        lock.execute_unprepared(sql).await.unwrap();
        lock
    }

    /// Starts the first worker, waits until it has claimed `claims` jobs and stands before the lock, and stops it there.
    async fn stop_first_at_the_lock(&self, claims: i64) -> Program {
        let worker = Program::start(&self.first).await;
        wait_for("the first worker claims all jobs and stands before the lock", PATIENCE, async || {
            let sql = r#"SELECT (SELECT count(*) FROM "GDPRJob" WHERE "status"='processing' AND "fence"=1)
                * (SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND application_name = 'efface' AND wait_event_type = 'Lock')"#;
            (self.db.value::<i64>(sql).await == claims).then_some(())
        })
        .await;
        worker.freeze();
        worker
    }

    async fn all_completed(&self, what: &str) {
        wait_for(what, PATIENCE, async || {
            (self.db.value::<i64>(r#"SELECT count(*) FROM "GDPRJob" WHERE "status"<>'completed'"#).await == 0)
                .then_some(())
        })
        .await;
    }

    /// Each job's attempts, fence and result.
    async fn jobs(&self) -> Vec<(String, i32, i64, Value)> {
        let rows = self
            .db
            .rows(r#"SELECT "jobType","attempts","fence","result" FROM "GDPRJob" ORDER BY "createdAt","id""#)
            .await;
        rows.iter()
            .map(|row| {
                let get = |error| panic!("{error}");
                (
                    row.try_get_by_index(0).unwrap_or_else(get),
                    row.try_get_by_index(1).unwrap(),
                    row.try_get_by_index(2).unwrap(),
                    row.try_get_by_index(3).unwrap(),
                )
            })
            .collect()
    }

    async fn digests(&self) -> Vec<(&'static str, String)> {
        let mut digests = Vec::new();
        for table in WRITTEN {
            digests.push((table, self.db.digest(&format!(r#"SELECT t.* FROM "{table}" AS t"#)).await));
        }
        digests
    }

    /// Continues the stopped worker, waits until it has noticed the loss of all `claims`, and checks that nothing changed.
    async fn continue_in_vain(&self, worker: &mut Program, claims: u64) {
        let before = self.digests().await;
        worker.thaw();
        wait_for("the stopped worker finds its claims lost", PATIENCE, async || {
            (lost(&worker.log()) >= claims).then_some(())
        })
        .await;
        assert!(worker.stop().await.success());
        assert_eq!(lost(&worker.log()), claims, "claims lost, each said once");
        assert_eq!(self.digests().await, before, "the stopped worker wrote something");
    }
}

/// How many claims a worker's log says it lost.
fn lost(log: &str) -> u64 {
    log.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|entry| entry["message"].as_str().unwrap().starts_with("claims had run out"))
        .map(|entry| entry["lost"].as_u64().unwrap())
        .sum()
}

/// Eight requests for data; each of a worker's jobs reads three tables before it comes to the lock.
async fn exports_before_a_lock() -> (Scene, DatabaseTransaction) {
    let webhooks = (1..=8).map(|n| {
        Webhook::new("customers/data_request", &n.to_string(), &data_request("small.example", n, &[n, n + 20]))
    });
    let scene = Scene::set(webhooks.collect()).await;
    let lock = scene.hold(r#"LOCK TABLE "SurveyResponse" IN ACCESS EXCLUSIVE MODE"#).await;
    (scene, lock)
}

impl Scene {
    async fn taken_over(&self, claims: i64) {
        wait_for("the other worker takes the jobs over when their lease is over", PATIENCE, async || {
            let sql = r#"SELECT count(*) FROM "GDPRJob" WHERE "status"='processing' AND "fence"=2"#;
            (self.db.value::<i64>(sql).await == claims).then_some(())
        })
        .await;
    }

    async fn exported_once(&self) {
        for (_, _, _, result) in self.jobs().await {
            let keys = ["exportedConversionLogs", "exportedPixelReceipts", "exportedSurveyResponses"];
            assert_eq!(keys.map(|key| &result[key]), [2, 2, 2], "{result}");
        }
        assert_eq!(self.db.value::<i64>(r#"SELECT count(*) FROM "ExportPackage""#).await, 8);
        self.ended_once(8).await;
    }

    async fn ended_once(&self, jobs: i64) {
        let entries = r#"SELECT count(*) FROM "AuditLog" WHERE "action" IN ('delete','export')"#;
        assert_eq!(self.db.value::<i64>(entries).await, jobs, "one entry for the end of each job");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_stopped_past_its_lease_and_continued_commits_nothing() {
    let (scene, lock) = exports_before_a_lock().await;
    let mut stopped = scene.stop_first_at_the_lock(8).await;
    let _other = Program::start(&scene.second).await;
    scene.taken_over(8).await;
    lock.rollback().await.unwrap();
    scene.all_completed("the other worker completes the jobs").await;
    scene.continue_in_vain(&mut stopped, 8).await;
    for (_, attempts, fence, _) in scene.jobs().await {
        assert_eq!((attempts, fence), (2, 2), "the lapse counts as an attempt");
    }
    scene.exported_once().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_comes_back_while_another_has_its_jobs_in_hand_commits_nothing() {
    let (scene, lock) = exports_before_a_lock().await;
    let mut stopped = scene.stop_first_at_the_lock(8).await;
    let other = Program::start(&scene.second).await;
    scene.taken_over(8).await;
    // The other one stops as well, with the jobs in hand: only the fence tells whose they are.
    other.freeze();
    lock.rollback().await.unwrap();
    scene.continue_in_vain(&mut stopped, 8).await;
    other.thaw();
    scene.all_completed("the other worker completes the jobs").await;
    scene.exported_once().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_stopped_in_the_middle_of_a_transaction_frees_its_rows_and_commits_nothing() {
    let small = (1..=9)
        .map(|n| Webhook::new("customers/redact", &n.to_string(), &customer_redact("small.example", n, &[n, n + 20])));
    let large = Webhook::new("shop/redact", "large", &shop_redact("large.example"));
    let scene = Scene::set(small.chain([large]).collect()).await;
    // The customers' rows are deleted and committed, to be completed after the large shop; of that, all log rows are
    // deleted in two transactions and a part of a third, which has deleted receipts and waits for the rest of them.
    let lock = scene.hold(r#"SELECT 1 FROM "PixelEventReceipt" WHERE "shopId"='large' FOR UPDATE"#).await;
    let mut stopped = scene.stop_first_at_the_lock(10).await;
    let logs = |shop: &'static str| {
        let db = scene.db.clone();
        async move { db.value::<i64>(&format!(r#"SELECT count(*) FROM "ConversionLog" WHERE "shopId"='{shop}'"#)).await }
    };
    assert_eq!((logs("small").await, logs("large").await), (102, 20), "what is committed half-way");
    lock.rollback().await.unwrap();
    wait_for("its transaction goes on without it, and sits idle", PATIENCE, async || {
        let sql = r"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND application_name = 'efface' AND state = 'idle in transaction'";
        (scene.db.value::<i64>(sql).await == 1).then_some(())
    })
    .await;
    let _other = Program::start(&scene.second).await;
    scene.all_completed("its rows are freed, and the other worker completes the jobs").await;
    scene.continue_in_vain(&mut stopped, 10).await;
    for (job_type, attempts, fence, result) in scene.jobs().await {
        assert_eq!((attempts, fence), (2, 2), "the lapse counts as an attempt");
        let keys = ["deletedConversionLogs", "deletedPixelReceipts", "deletedSurveyResponses"];
        let expected = if job_type == "shop_redact" { [120, 30, 60] } else { [2, 2, 2] };
        assert_eq!(keys.map(|key| &result[key]), expected, "each row is counted once: {result}");
    }
    scene.ended_once(10).await;
    assert_eq!((logs("small").await, logs("large").await), (102, 0));
}
