//! A release finishes the erasure by itself, once and only when no other hold is left.

use efface::hold::HoldError;
use serde_json::json;

use crate::house::{ADA, BEA, House, Webhook};

both_databases! {
    async fn the_last_hold_that_covers_a_job_lets_it_go(house: House) {
        house.settle_town().await;
        let shop = house.hold(json!({ "shop": ADA })).await;
        let table = house.hold(json!({ "table": "ConversionLog" })).await;
        let person = house.hold(json!({ "shop": ADA, "subject": { "orderIds": [1001] } })).await;
        let held = house.post(&Webhook::customers_redact(ADA, &[1001_u64])).await;
        let by_table = house.post(&Webhook::customers_redact(BEA, &[1001_u64])).await;
        house.work().await;
        assert_eq!(house.release_hold(&shop.id).await.unwrap().jobs_queued, 0);
        assert_eq!(house.release_hold(&table.id).await.unwrap().jobs_queued, 1);
        house.work().await;
        house.assert_held(&held).await;
        house.assert_completed(&by_table).await;
        let released = house.release_hold(&person.id).await.unwrap();
        assert_eq!(released.jobs_queued, 1);
        assert_eq!((released.hold.released_by.as_deref(), released.hold.placed_by.as_str()), (Some("dpo"), "ops"));
        house.work().await;
        house.assert_completed(&held).await;
    }

    async fn a_release_wakes_a_sleeping_worker(house: House) {
        house.settle_town().await;
        let hold = house.hold(json!({ "shop": ADA })).await;
        let id = house.post(&Webhook::shop_redact(ADA)).await;
        house.work().await;
        house.assert_held(&id).await;
        let rings = house.app().wake().listen();
        assert!(!rings.has_changed().unwrap());
        house.release_hold(&hold.id).await.unwrap();
        assert!(rings.has_changed().unwrap(), "the timer of a test's worker is 300 s: only the bell is heard");
        house.work().await;
        house.assert_completed(&id).await;
    }

    async fn many_held_jobs_are_all_let_go_in_one_release(house: House) {
        house.settle_town().await;
        let hold = house.hold(json!({ "table": "ConversionLog" })).await;
        let webhooks: Vec<Webhook> = (0..600_u64).map(|n| Webhook::customers_redact(ADA, &[n])).collect();
        let accepted = house.accept(&webhooks).await;
        house.work().await;
        assert_eq!(house.release_hold(&hold.id).await.unwrap().jobs_queued, 600);
        house.work().await;
        for accepted in accepted {
            house.assert_completed(&accepted.job_id).await;
        }
    }

    async fn jobs_that_are_held_for_another_reason_stay(house: House) {
        house.settle_town().await;
        house.uninstall(ADA, true).await;
        let id = house.post(&Webhook::shop_redact(ADA)).await;
        house.work().await;
        let hold = house.hold(json!({ "shop": ADA })).await;
        assert_eq!(house.release_hold(&hold.id).await.unwrap().jobs_queued, 0);
        assert_eq!(house.job(&id).await.hold_reason.as_deref(), Some("shop_reinstalled"));
    }

    async fn a_hold_ends_once_and_its_row_stays(house: House) {
        let hold = house.hold(json!({ "shop": ADA })).await;
        house.release_hold(&hold.id).await.unwrap();
        assert!(matches!(house.release_hold(&hold.id).await, Err(HoldError::Released(_))));
        assert!(matches!(house.release_hold("nothing").await, Err(HoldError::NotFound(_))));
        assert_eq!(house.number(r#"SELECT count(*) AS n FROM "LegalHold" WHERE "releasedAt" IS NOT NULL"#).await, 1);
    }

    async fn everything_is_audited(house: House) {
        house.settle_town().await;
        let hold = house.hold(json!({ "shop": ADA, "subject": { "orderIds": [1001, 1002], "customerId": 1 } })).await;
        let id = house.post(&Webhook::customers_redact(ADA, &[1001_u64])).await;
        house.work().await;
        house.release_hold(&hold.id).await.unwrap();
        house.work().await;

        let of_hold = house.audited(&hold.id).await;
        assert_eq!(of_hold.iter().map(|(actor, _)| actor.as_str()).collect::<Vec<_>>(), ["ops", "dpo"]);
        assert_eq!(of_hold[0].1["scope"], "subject");
        assert_eq!(of_hold[0].1["identifiers"], json!({ "customer_id": 1, "order_id": 2 }));
        assert_eq!(of_hold[1].1["because"], "released");
        let of_job = house.audited(&id).await;
        assert_eq!(of_job.iter().map(|(actor, _)| actor.as_str()).collect::<Vec<_>>(), ["shopify", "worker", "dpo", "worker"]);
        assert_eq!((&of_job[1].1["because"], &of_job[1].1["holds"]), (&json!("legal_hold"), &json!([hold.id])));
        assert_eq!((&of_job[2].1["status"], &of_job[2].1["hold"]), (&json!("queued"), &json!(hold.id)));
        assert_eq!(of_job[3].1["outcome"], "erased");
    }
}
