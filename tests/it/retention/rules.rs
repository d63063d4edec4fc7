//! Each rule, guard and hold by itself.

use chrono::TimeDelta;
use efface::hold::Wish as HoldWish;
use efface::retention::RetentionError;
use efface::retention::finding::Kind;
use efface::shutdown::Shutdown;

use super::{answer, answers, iso, shop_days, sweep, wish};
use crate::house::{ADA, BEA, CYD, House, Webhook};

fn hold(json: &str) -> HoldWish {
    serde_json::from_str(json).unwrap()
}

both_databases! {
    async fn each_shop_keeps_its_rows_as_long_as_it_chose(house: House) {
        for (shop, days) in [(ADA, 30), (BEA, 365), (CYD, 0)] {
            house.open_shop(shop).await;
            shop_days(&house, shop, days).await;
            for age in [1, 29, 31, 364, 366, 4_000] {
                answer(&house, &format!("{shop} {age}"), shop, age).await;
            }
        }
        // Uninstalled shops are no exception.
        house.uninstall(BEA, false).await;
        let swept = sweep(&house, &wish()).await;
        assert!(swept.is_complete(), "{swept:?}");
        assert_eq!(answers(&house).await, 2 + 4 + 6);
        let run = swept.runs.iter().find(|run| run.policy == "survey_response").unwrap();
        assert_eq!((run.rows_due, run.rows_purged, run.rows_held), (6, 6, 0));
        let entry = format!(
            r#"SELECT count(*) AS "n" FROM "AuditLog" WHERE "resourceType"='RetentionRun' AND "resourceId"='{}' AND "action"='delete'"#,
            run.id
        );
        assert_eq!(house.number(&entry).await, 1);
        assert_eq!(sweep(&house, &wish()).await.rows(), 0);
    }

    async fn days_that_are_not_allowed_purge_nothing_and_are_reported(house: House) {
        for (shop, days) in [(ADA, 45), (BEA, -30), (CYD, 30)] {
            house.open_shop(shop).await;
            shop_days(&house, shop, days).await;
            answer(&house, shop, shop, 4_000).await;
        }
        let swept = sweep(&house, &wish()).await;
        assert_eq!(answers(&house).await, 2);
        let reported: Vec<_> = swept.findings.iter().filter(|f| f.kind == Kind::ShopDays).map(|f| f.shop.clone().unwrap()).collect();
        assert_eq!(reported, [ADA, BEA]);
    }

    async fn a_job_goes_30_days_after_it_is_done_or_with_its_shops_period(house: House) {
        house.open_shop(ADA).await;
        let at = |days: i64| iso(house.clock.now() - TimeDelta::days(days));
        for (id, created, completed) in
            [("done", 40, Some(31)), ("just done", 40, Some(29)), ("old, just done", 91, Some(29)), ("stuck", 89, None), ("old, stuck", 91, None)]
        {
            let completed = completed.map_or("NULL".to_owned(), |days| format!("'{}'", at(days)));
            house.execute(&format!(
                r#"INSERT INTO "ConversionJob" ("id","shopId","orderId","capiInput","status","createdAt","completedAt")
                   VALUES ('{id}','id of {ADA}','{id}','{{}}','completed','{}',{completed})"#, at(created))).await;
        }
        assert!(sweep(&house, &wish()).await.is_complete());
        let left = house.number(r#"SELECT count(*) AS "n" FROM "ConversionJob" WHERE "id" IN ('just done','stuck')"#).await;
        assert_eq!((left, house.number(r#"SELECT count(*) AS "n" FROM "ConversionJob""#).await), (2, 2));
    }

    async fn nothing_goes_under_a_hold(house: House) {
        for shop in [ADA, BEA, CYD] {
            house.open_shop(shop).await;
            answer(&house, shop, shop, 4_000).await;
        }
        let holds = house.app().holds();
        let of_shop = holds.place("ops", &hold(&format!(r#"{{"shop":"{ADA}","reason":"case 1"}}"#))).await.unwrap();
        let of_person = format!(r#"{{"shop":"{BEA}","subject":{{"customerId":7}},"reason":"case 2"}}"#);
        holds.place("ops", &hold(&of_person)).await.unwrap();
        let swept = sweep(&house, &wish()).await;
        let run = swept.runs.iter().find(|run| run.policy == "survey_response").unwrap();
        assert_eq!((run.rows_purged, run.rows_held, answers(&house).await), (1, 2, 2));

        let of_table = holds.place("ops", &hold(r#"{"table":"SurveyResponse","reason":"case 3"}"#)).await.unwrap();
        for (id, sweeps) in [(&of_shop.id, 2), (&of_table.id, 1)] {
            let tx = house.store().begin_write().await.unwrap();
            holds.end(&*tx, house.clock.now(), "ops", id).await.unwrap();
            tx.commit().await.unwrap();
            sweep(&house, &wish()).await;
            assert_eq!(answers(&house).await, sweeps);
        }
    }

    async fn more_than_the_share_waits_for_a_person(house: House) {
        house.open_shop(ADA).await;
        for n in 0..10 {
            answer(&house, &n.to_string(), ADA, if n < 6 { 4_000 } else { 1 }).await;
        }
        let unapproved = efface::retention::Wish { approved: false, ..wish() };
        let swept = sweep(&house, &unapproved).await;
        let run = swept.runs.iter().find(|run| run.policy == "survey_response").unwrap();
        assert!(run.error.as_ref().unwrap().contains("6 of 10 rows (60 %)"), "{run:?}");
        assert_eq!(answers(&house).await, 10);
        assert!(!swept.is_complete());
        assert_eq!(sweep(&house, &wish()).await.rows(), 6);
    }

    async fn a_dry_run_takes_the_same_steps_and_changes_nothing(house: House) {
        house.open_shop(ADA).await;
        for n in 0..5 {
            answer(&house, &n.to_string(), ADA, 4_000).await;
        }
        let before = house.contents().await;
        let dry = sweep(&house, &efface::retention::Wish { dry_run: true, ..wish() }).await;
        assert_eq!((dry.rows(), dry.dry_run), (5, true));
        assert_eq!(house.contents().await, before);
        let house = house.with(&[("retention.dry_run", "true")]).await;
        assert_eq!(sweep(&house, &wish()).await.rows(), 5);
        assert_eq!(house.contents().await, before);
        let house = house.with(&[]).await;
        assert_eq!(sweep(&house, &wish()).await.rows(), 5);
        assert_eq!(answers(&house).await, 0);
    }

    async fn a_clock_that_jumped_stops_the_run(house: House) {
        house.open_shop(ADA).await;
        answer(&house, "1", ADA, 4_000).await;
        for (hours, stops) in [(2, true), (-4, true), (2, false)] {
            house.advance(TimeDelta::hours(hours));
            let swept = house.app().retention().sweep(&wish(), &|_| {}, &Shutdown::new()).await;
            assert_eq!(matches!(swept, Err(RetentionError::Clock(_))), stops, "{swept:?}");
            assert_eq!(answers(&house).await, i64::from(stops));
        }
    }

    async fn a_shop_that_left_long_ago_without_a_redaction_is_reported(house: House) {
        for shop in [ADA, BEA, CYD] {
            house.open_shop(shop).await;
        }
        house.leaves_jobs();
        let gone = |shop: &str, days: i64| {
            let at = iso(house.clock.now() - TimeDelta::days(days));
            format!(r#"UPDATE "Shop" SET "isActive"=false,"uninstalledAt"='{at}' WHERE "shopDomain"='{shop}'"#)
        };
        for (shop, days) in [(ADA, 8), (BEA, 8), (CYD, 6)] {
            house.execute(&gone(shop, days)).await;
        }
        house.post(&Webhook::shop_redact(BEA)).await;
        let swept = sweep(&house, &wish()).await;
        let reported: Vec<_> = swept.findings.iter().filter(|f| f.kind == Kind::NotRedacted).map(|f| f.shop.clone().unwrap()).collect();
        assert_eq!(reported, [ADA]);
    }

    async fn efface_purges_itself_and_keeps_receipts_and_keys(house: House) {
        house.settle_town().await;
        let done = house.done(&Webhook::customers_redact(ADA, &[1001])).await;
        house.leaves_jobs();
        let open = house.post(&Webhook::customers_redact(BEA, &[1001])).await;
        let keys = house.number(r#"SELECT count(*) AS "n" FROM "SealingKey" WHERE "wrappedKey" IS NOT NULL"#).await;
        assert!(keys > 0);
        let own = |now| {
            let retention = house.app().retention();
            async move { retention.sweep_at(now, &wish(), &|_| {}, &Shutdown::new()).await.unwrap() }
        };
        let now = house.clock.now();
        own(now + TimeDelta::days(7) - TimeDelta::minutes(1)).await;
        assert_eq!(house.webhook_log().await.len(), 2);
        own(now + TimeDelta::days(7) + TimeDelta::minutes(1)).await;
        assert_eq!((house.webhook_log().await.len(), house.jobs().await.len()), (0, 2));
        own(now + TimeDelta::days(30) - TimeDelta::minutes(1)).await;
        assert_eq!(house.jobs().await.len(), 2);
        own(now + TimeDelta::days(30) + TimeDelta::minutes(1)).await;
        let left = house.jobs().await;
        assert_eq!(left.iter().map(|job| job.id.as_str()).collect::<Vec<_>>(), [open.as_str()]);
        let receipts = format!(r#"SELECT count(*) AS "n" FROM "DeletionReceipt" WHERE "jobId"='{}'"#, done.id);
        assert_eq!(house.number(&receipts).await, 1);
        assert_eq!(house.number(r#"SELECT count(*) AS "n" FROM "SealingKey" WHERE "wrappedKey" IS NOT NULL"#).await, keys);
        own(now + TimeDelta::days(3_649)).await;
        assert_eq!(house.number(&receipts).await, 1);
        own(now + TimeDelta::days(3_651)).await;
        assert_eq!(house.number(&receipts).await, 0);
        // Open jobs have no end, and neither has the audit log here: the evidence room prunes it.
        assert_eq!(house.jobs().await.len(), 1);
        assert!(house.number(r#"SELECT count(*) AS "n" FROM "AuditLog""#).await > 0);
    }

    async fn a_hold_that_comes_between_two_batches_is_kept(house: House) {
        house.open_shop(ADA).await;
        for n in 0..20 {
            answer(&house, &n.to_string(), ADA, 4_000).await;
        }
        // A few rows on each page: PostgreSQL purges by pages.
        let wide = "x".repeat(1_000);
        house.execute(&format!(r#"UPDATE "SurveyResponse" SET "feedback"='{wide}'"#)).await;
        let house = house.with(&[("retention.rows_max", "9")]).await;
        let gone = sweep(&house, &wish()).await.rows();
        assert!((1..=9).contains(&gone), "{gone}");
        house.app().holds().place("ops", &hold(&format!(r#"{{"shop":"{ADA}","reason":"case 1"}}"#))).await.unwrap();
        let swept = sweep(&house, &wish()).await;
        let run = swept.runs.iter().find(|run| run.policy == "survey_response").unwrap();
        let left = 20 - i64::try_from(gone).unwrap();
        assert_eq!((run.rows_purged, run.rows_held, answers(&house).await), (0, left, left));
    }

    async fn two_runs_do_not_work_at_once(house: House) {
        house.open_shop(ADA).await;
        let retention = house.app().retention();
        let other = house.another(&[]).await.retention();
        let (begun, begins) = std::sync::mpsc::channel();
        let (go_on, goes_on) = std::sync::mpsc::channel::<()>();
        let goes_on = std::sync::Mutex::new(goes_on);
        // Stands still between two transactions until it is told to go on, which it never hears.
        let first = tokio::spawn(async move {
            let tell = move |_| {
                let _ = begun.send(());
                let _ = tokio::task::block_in_place(|| goes_on.lock().unwrap().recv());
            };
            let _ = retention.sweep(&wish(), &tell, &Shutdown::new()).await;
        });
        tokio::task::block_in_place(|| begins.recv()).unwrap();
        let second = other.sweep(&wish(), &|_| {}, &Shutdown::new()).await;
        assert!(matches!(second, Err(RetentionError::Busy)), "{second:?}");
        // It dies, and its lease runs out.
        first.abort();
        drop(go_on);
        assert!(first.await.unwrap_err().is_cancelled());
        house.advance(TimeDelta::seconds(11));
        let third = other.sweep(&wish(), &|_| {}, &Shutdown::new()).await.unwrap();
        assert!(third.is_complete());
        let interrupted = r#"SELECT count(*) AS "n" FROM "RetentionRun" WHERE "error"='interrupted' AND "finishedAt" IS NULL"#;
        assert_eq!(house.number(interrupted).await, 1);
    }
}
