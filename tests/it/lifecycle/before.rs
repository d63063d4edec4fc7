//! `jobs.reinstalled = "erase_before_uninstall"`: what was made before the shop left goes, and what the new installation has
//! made stays.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use chrono::{DateTime, TimeDelta, Utc};
use efface::app::App;
use efface::erasure::execute::{Hands, Step};
use efface::erasure::progress::Progress;
use efface::erasure::reinstall::Policy;
use efface::erasure::subject::Target;
use efface::job::command::Command;
use efface::store::gdpr_job;
use entity::gdpr_job::{JobStatus, Model, Outcome};
use serde_json::Value;

use crate::house::{ADA, House, Row, TABLES, Webhook};

/// A large shop is taken in steps, which have a guard of their own.
const SIZES: [&str; 2] = ["5000", "7"];
const BEFORE: (&str, &str) = ("jobs.reinstalled", "erase_before_uninstall");
/// When the shop left, as `House::uninstall` writes it; it came back a day later.
const LEFT: &str = "2026-11-02T00:00:00.000Z";

/// The orders of the new installation.
const NEW: [&str; 2] = ["1002", "gid://shopify/Order/1004"];

fn is_new(row: &Row) -> bool {
    NEW.iter().any(|order| row.order == *order || row.order.ends_with(&format!("/{order}")))
        || row.id.starts_with("rep 2")
}

async fn written(house: &House, table: &str, rows: &str, at: &str) {
    house.execute(&format!(r#"UPDATE "{table}" SET "createdAt"='{at}' WHERE "shopId"='id of {ADA}' AND {rows}"#)).await;
}

/// A shop that left and came back, with rows of both times: the last before it left at the very instant, the first after it a
/// millisecond later.
async fn settle(house: &House) {
    house.settle_town().await;
    house.uninstall(ADA, true).await;
    for table in TABLES.iter().filter(|table| **table != "Shop") {
        let new = if *table == "ReconciliationReport" {
            r#""id" LIKE 'rep 2%'"#.to_owned()
        } else {
            format!(r#""orderId" IN ('{}','{}')"#, NEW[0], NEW[1])
        };
        written(house, table, "1=1", "2026-10-01T00:00:00.000Z").await;
        written(house, table, &new, "2026-11-02T00:00:00.001Z").await;
    }
    written(house, "SurveyResponse", r#""orderId"='10045'"#, LEFT).await;
}

async fn worked(app: &App, house: &House, webhook: &Webhook) -> Model {
    let id = house.post(webhook).await;
    work(app).await;
    house.job(&id).await
}

async fn work(app: &App) {
    while app.worker().tick().await.unwrap().claimed > 0 {}
}

fn counted(job: &Model) -> u64 {
    let result = job.result.as_ref().unwrap().as_object().unwrap();
    result.iter().filter(|(key, _)| key.starts_with("deleted")).filter_map(|(_, rows)| rows.as_u64()).sum()
}

async fn assert_held(house: &House, id: &str, because: &str) {
    let job = house.job(id).await;
    let reason = job.hold_reason.unwrap();
    assert_eq!(job.status, JobStatus::Held);
    assert!(reason.starts_with("shop_reinstalled: ") && reason.contains(because), "{reason}");
}

fn map_with(change: impl Fn(String) -> String) -> String {
    let file = std::env::temp_dir().join(format!("efface-map-{}.toml", efface::store::id::row()));
    std::fs::write(&file, change(efface::erasure::data_map::REFERENCE.to_owned())).unwrap();
    file.display().to_string()
}

both_databases! {
    async fn rows_of_the_time_before_go_and_the_new_installation_stays(house: House) {
        for rows_max in SIZES {
            let app = house.another(&[BEFORE, ("jobs.batch_rows_max", rows_max)]).await;
            settle(&house).await;
            let before = house.contents().await;
            let job = worked(&app, &house, &Webhook::shop_redact(ADA)).await;
            assert_eq!((job.status, job.outcome), (JobStatus::Completed, Some(Outcome::Erased)), "{:?} {:?}", job.hold_reason, job.error_message);
            let gone = before.gone_in(&house.contents().await);
            assert_eq!(gone, before.rows_where(|row| row.shop == ADA && row.table != "Shop" && !is_new(row)));
            assert_eq!((counted(&job), job.attempts), (gone.len() as u64, 1));
            let result = job.result.unwrap();
            assert_eq!((&result["deletedShops"], &result["madeUpTo"]), (&0.into(), &"2026-11-02T00:00:00.000000Z".into()));
            let receipt = efface::evidence::receipt::find(house.store(), &job.id).await.unwrap().unwrap();
            let receipt: Value = serde_json::from_slice(&receipt).unwrap();
            let payload = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, receipt["payload"].as_str().unwrap());
            let payload: Value = serde_json::from_slice(&payload.unwrap()).unwrap();
            assert_eq!(payload["predicate"]["erasure"]["madeUpTo"], "2026-11-02T00:00:00.000000Z");
            app.store().close().await;
            house.execute(r#"DELETE FROM "Shop""#).await;
        }
    }

    async fn a_table_without_a_time_of_making_holds_the_job_and_is_named(house: House) {
        settle(&house).await;
        let map = map_with(|map| map.replacen("made_at = \"createdAt\"\n", "", 1));
        let app = house.another(&[BEFORE, ("data_map.file", &map)]).await;
        let before = house.contents().await;
        let job = worked(&app, &house, &Webhook::shop_redact(ADA)).await;
        assert_held(&house, &job.id, "\"ConversionLog\"").await;
        assert_eq!(house.contents().await, before);
        house.command(&job.id, Command::Release { plan: None }).await.unwrap();
        work(&app).await;
        assert_eq!(house.job(&job.id).await.status, JobStatus::Completed, "an operator's word is for everything");
        assert!(house.contents().await.rows_where(|row| row.shop == ADA).is_empty());
        app.store().close().await;
    }

    async fn a_row_that_does_not_say_when_it_was_made_holds_the_job_and_its_table_is_named(house: House) {
        settle(&house).await;
        if !house.is_sqlite() {
            house.execute(r#"ALTER TABLE "SurveyResponse" ALTER "createdAt" DROP NOT NULL"#).await;
        }
        let unknown = if house.is_sqlite() { "'some day'" } else { "NULL" };
        house.execute(&format!(r#"UPDATE "SurveyResponse" SET "createdAt"={unknown} WHERE "id"='sr 1 1002 of {ADA}'"#)).await;
        for rows_max in SIZES {
            let app = house.another(&[BEFORE, ("jobs.batch_rows_max", rows_max)]).await;
            let before = house.contents().await;
            let job = worked(&app, &house, &Webhook::shop_redact(ADA)).await;
            assert_held(&house, &job.id, "\"SurveyResponse\" has rows").await;
            assert_eq!(house.contents().await, before);
            app.store().close().await;
        }
    }

    async fn what_was_begun_goes_no_further_when_the_shop_leaves_and_comes_back_once_more(house: House) {
        let app = house.another(&[BEFORE, ("jobs.batch_rows_max", "7")]).await;
        settle(&house).await;
        let before = house.contents().await;
        let id = house.post(&Webhook::shop_redact(ADA)).await;
        let claim = house.claim("a worker that dies", 1).await.remove(0);
        let tools = app.tools();
        let tx = house.store().begin_write().await.unwrap();
        let map = tools.stores.default_store().0;
        let hands = Hands { conn: &*tx, map, masker: &tools.masker, rows_max: 7, reinstalled: Policy::EraseBeforeUninstall, one_by_one: &AtomicBool::new(false) };
        let mut progress = Progress::default();
        assert_eq!(hands.shop_step(&Target::of_shop(ADA), &mut progress).await.unwrap(), Step::More);
        assert_eq!(progress.made_up_to, Some(LEFT.parse::<DateTime<Utc>>().unwrap()));
        gdpr_job::save_progress(&*tx, vec![(claim.fenced(), progress.to_json())]).await.unwrap();
        tx.commit().await.unwrap();

        house.execute(&format!(
            r#"UPDATE "Shop" SET "uninstalledAt"='2026-11-10T00:00:00.000Z',"installedAt"='2026-11-11T00:00:00.000Z' WHERE "shopDomain"='{ADA}'"#
        )).await;
        let shop = house.contents().await.rows_where(|row| row.table == "Shop");
        assert_eq!(shop.len(), 3);
        house.let_leases_expire();
        house.rescue().await;
        house.let_retries_come_due();
        work(&app).await;
        let job = house.job(&id).await;
        assert_eq!(job.status, JobStatus::Completed, "{:?} {:?}", job.hold_reason, job.error_message);
        let left: BTreeSet<Row> = house.contents().await.rows_where(|row| row.shop == ADA);
        assert_eq!(left, before.rows_where(|row| row.shop == ADA && (row.table == "Shop" || is_new(row))));
        let gone = before.rows_where(|row| row.shop == ADA).len() - left.len();
        assert_eq!(counted(&job), u64::try_from(gone).unwrap());
        app.store().close().await;
    }

    async fn a_late_row_of_the_time_before_is_swept_and_no_row_of_the_new_installation(house: House) {
        let house = house.with(&[BEFORE]).await;
        settle(&house).await;
        let job = house.done(&Webhook::shop_redact(ADA)).await;
        assert_eq!(job.status, JobStatus::Completed, "{:?} {:?}", job.hold_reason, job.error_message);
        let rest = house.contents().await;
        house.execute(&format!(
            r#"INSERT INTO "SurveyResponse" ("id","shopId","orderId","createdAt") VALUES
               ('late','id of {ADA}','1001','2026-10-31T12:00:00.000Z')"#
        )).await;
        house.advance(TimeDelta::hours(1) + TimeDelta::seconds(1));
        let swept = house.app().suppression().sweep().await.unwrap();
        assert_eq!((swept.rows, swept.jobs.len()), (1, 1));
        house.work().await;
        let child = house.job(&swept.jobs[0]).await;
        assert_eq!((child.status, counted(&child)), (JobStatus::Completed, 1), "{:?} {:?}", child.hold_reason, child.error_message);
        assert_eq!(house.contents().await, rest);
        house.advance(TimeDelta::hours(23));
        assert_eq!(house.app().suppression().sweep().await.unwrap().jobs.len(), 0);
    }

    async fn a_plan_shows_what_would_go_and_approving_it_approves_the_instant(house: House) {
        let house = house.with(&[BEFORE, ("jobs.approval", "shop_redact")]).await;
        settle(&house).await;
        let planner = house.app().planner();
        let plan = planner.plan(&Target::of_shop(ADA), &Progress::default()).await.unwrap();
        assert_eq!(plan.made_up_to.as_deref(), Some("2026-11-02T00:00:00.000000Z"));
        let of = |table: &str| plan.tables.iter().find(|shown| shown.table == table).unwrap();
        assert_eq!((of("SurveyResponse").rows, of("ReconciliationReport").rows), (8, 1));
        assert!(of("SurveyResponse").samples.iter().all(|id| !id.contains("1002")));
        assert_eq!(of("Shop").action, "keep");
        house.execute(&format!(r#"UPDATE "Shop" SET "uninstalledAt"='2026-11-01T23:00:00.000Z' WHERE "shopDomain"='{ADA}'"#)).await;
        let earlier = planner.plan(&Target::of_shop(ADA), &Progress::default()).await.unwrap();
        assert_ne!((&earlier.hash, earlier.rows()), (&plan.hash, plan.rows()), "the instant is part of the plan");
        let id = house.post(&Webhook::shop_redact(ADA)).await;
        house.work().await;
        assert_eq!(house.job(&id).await.hold_reason.as_deref(), Some("awaiting_approval"));
        house.command(&id, Command::Release { plan: Some(earlier.hash.clone()) }).await.unwrap();
        house.work().await;
        let job = house.job(&id).await;
        assert_eq!(job.status, JobStatus::Completed, "{:?} {:?}", job.hold_reason, job.error_message);
        assert_eq!(counted(&job), earlier.rows());
    }

    async fn instants_compare_rightly_in_every_form_that_is_stored(house: House) {
        house.settle_town().await;
        house.uninstall(ADA, true).await;
        // At the instant that the shop left, a second before, and a second after it; in seconds and milliseconds since 1970.
        let at = LEFT.parse::<DateTime<Utc>>().unwrap().timestamp();
        let each = |write: &dyn Fn(i64) -> String| [at - 1, at, at + 1].map(write);
        let iso = |shift: i64, form: &'static str| {
            move |at: i64| format!("'{}'", DateTime::from_timestamp(at + shift * 3_600, 0).unwrap().format(form))
        };
        let (zulu, plain, space) = (iso(0, "%Y-%m-%dT%H:%M:%S%.3fZ"), iso(0, "%Y-%m-%dT%H:%M:%S"), iso(0, "%Y-%m-%d %H:%M:%S%.6f"));
        let (east, west) = (iso(2, "%Y-%m-%dT%H:%M:%S+02:00"), iso(-5, "%Y-%m-%d %H:%M:%S-05:00"));
        let texts: [&dyn Fn(i64) -> String; 5] = [&zulu, &plain, &space, &east, &west];
        let mut columns: Vec<(&str, [String; 3])> = texts.iter().map(|text| ("text", each(text))).collect();
        columns.push(("text", each(&|at| format!("'{}'", at * 1_000))));
        columns.push(("bigint", each(&|at| (at * 1_000).to_string())));
        columns.push(("bigint", each(&|at| at.to_string())));
        columns.push(("numeric", each(&|at| (at * 1_000).to_string())));
        if !house.is_sqlite() {
            columns.push(("timestamptz", each(&east)));
            columns.push(("timestamp", each(&plain)));
        }
        let mut map = efface::erasure::data_map::REFERENCE.to_owned();
        for (n, (kind, values)) in columns.iter().enumerate() {
            house.execute(&format!("CREATE TABLE form{n} (id bigint PRIMARY KEY, domain text, made {kind})")).await;
            house.execute(&format!("CREATE TABLE child{n} (id bigint PRIMARY KEY, parent bigint)")).await;
            for (id, value) in values.iter().enumerate() {
                house.execute(&format!("INSERT INTO form{n} VALUES ({id}, '{ADA}', {value})")).await;
                house.execute(&format!("INSERT INTO child{n} VALUES ({id}, {id})")).await;
            }
            map += format!(
                "\n[[table]]\nname = \"form{n}\"\nshop = {{ column = \"domain\", holds = \"shop_domain\" }}\nmade_at = \"made\"\n\
                 customers_redact = \"keep\"\nshop_redact = \"delete\"\nresult_key = \"deletedForm{n}\"\n\
                 \n[[table]]\nname = \"child{n}\"\nvia = [ {{ column = \"parent\", to = \"form{n}\", key = \"id\" }} ]\n\
                 shop = {{ column = \"domain\", holds = \"shop_domain\", at = \"form{n}\" }}\n\
                 made_at = {{ column = \"made\", at = \"form{n}\" }}\n\
                 customers_redact = \"keep\"\nshop_redact = \"delete\"\nresult_key = \"deletedChild{n}\"\n"
            )
            .as_str();
        }
        let file = map_with(|_| map.clone());
        for table in TABLES.iter().filter(|table| **table != "Shop") {
            written(&house, table, "1=1", "2026-11-05T00:00:00.000Z").await;
        }
        let house = house.with(&[BEFORE, ("data_map.file", &file)]).await;
        let job = house.done(&Webhook::shop_redact(ADA)).await;
        assert_eq!(job.status, JobStatus::Completed, "{:?} {:?}", job.hold_reason, job.error_message);
        for (n, (kind, values)) in columns.iter().enumerate() {
            for table in ["form", "child"] {
                let left = house.number(&format!("SELECT CAST(sum(id) * 10 + count(*) AS bigint) AS n FROM {table}{n}")).await;
                assert_eq!(left, 21, "of {kind} like {}, the last row alone stays in {table}", values[0]);
            }
        }
        assert_eq!(counted(&job), 4 * columns.len() as u64);
    }
}
