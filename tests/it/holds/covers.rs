//! What a hold covers, and what it leaves alone.

use chrono::TimeDelta;
use efface::job::report;
use entity::gdpr_job::{ActiveModel, JobStatus, JobType};
use sea_orm::{ActiveModelTrait as _, ActiveValue::Set};
use serde_json::json;

use super::redact;
use crate::house::{ADA, BEA, CYD, EMAIL, House, PHONE, Webhook};

both_databases! {
    async fn a_hold_on_a_shop_holds_all_of_it_and_nothing_of_another(house: House) {
        house.settle_town().await;
        house.hold(json!({ "shop": ADA })).await;
        let before = house.contents().await;
        let accepted = house
            .accept(&[
                Webhook::customers_redact(ADA, &[1001_u64]),
                Webhook::shop_redact(ADA),
                Webhook::customers_redact(BEA, &[1001_u64]),
                Webhook::shop_redact(CYD),
            ])
            .await;
        house.work().await;
        for held in &accepted[..2] {
            house.assert_held(&held.job_id).await;
        }
        for free in &accepted[2..] {
            house.assert_completed(&free.job_id).await;
        }
        let gone = before.gone_in(&house.contents().await);
        let of_bea = |order: &str| order == "1001";
        assert_eq!(gone, before.rows_where(|row| row.shop == CYD || row.shop == BEA && of_bea(&row.order)));
    }

    async fn a_person_is_held_by_any_of_their_identifiers_however_written(house: House) {
        house.settle_town().await;
        for (n, subject) in [
            json!({ "customerId": "gid://shopify/Customer/191167" }),
            json!({ "customerId": 191_167, "email": "somebody@else.example" }),
            json!({ "email": format!("  {} ", EMAIL.to_uppercase()) }),
            json!({ "phone": "0049 (555) 0147 11" }),
            json!({ "orderIds": [7, "gid://shopify/Order/1001"] }),
        ]
        .into_iter()
        .enumerate()
        {
            let hold = house.hold(json!({ "shop": ADA, "subject": subject })).await;
            let customer = json!({ "id": 191_167, "email": EMAIL, "phone": PHONE });
            let named = house.post(&redact(ADA, &customer, 1001)).await;
            let stranger = json!({ "id": 9, "email": format!("x{EMAIL}"), "phone": "0147" });
            let other_person = house.post(&redact(ADA, &stranger, 1002)).await;
            let other_shop = house.post(&redact(BEA, &customer, 1001)).await;
            house.work().await;
            house.assert_held(&named).await;
            house.assert_completed(&other_person).await;
            house.assert_completed(&other_shop).await;
            house.release_hold(&hold.id).await.unwrap();
            house.work().await;
            let job = house.assert_completed(&named).await;
            assert_eq!(job.attempts, 1, "subject {n}");
        }
    }

    async fn a_person_whose_email_is_only_in_the_sealed_body_is_held(house: House) {
        house.settle_town().await;
        let hold = house.hold(json!({ "shop": ADA, "subject": { "email": EMAIL } })).await;
        let before = house.contents().await;
        let id = house.post(&redact(ADA, &json!({ "email": EMAIL }), 1001)).await;
        house.work().await;
        let job = house.assert_held(&id).await;
        assert_eq!(job.payload, json!({ "customer_id": null, "orders_to_redact": [1001] }));
        assert_eq!(house.contents().await, before);
        // Neither the hold nor anything else tells the address.
        house.assert_not_kept(EMAIL).await;
        assert_eq!(hold.reason, "litigation, case 4711");
        house.release_hold(&hold.id).await.unwrap();
        house.work().await;
        house.assert_completed(&id).await;
    }

    async fn a_body_that_does_not_open_any_more_counts_as_anybody(house: House) {
        house.settle_town().await;
        let hold = house.hold(json!({ "shop": ADA, "subject": { "customerId": 5 } })).await;
        let id = house.post(&redact(ADA, &json!({ "id": 6 }), 1001)).await;
        let broken = ActiveModel { id: Set(id.clone()), sealed_payload: Set(Some(vec![1, 2, 3])), ..Default::default() };
        broken.update(house.store().db()).await.unwrap();
        house.work().await;
        house.assert_held(&id).await;
        assert_eq!(house.release_hold(&hold.id).await.unwrap().jobs_queued, 1);
        house.work().await;
        house.assert_completed(&id).await;
    }

    async fn a_shop_is_held_while_anybody_in_it_is(house: House) {
        house.settle_town().await;
        let hold = house.hold(json!({ "shop": ADA, "subject": { "customerId": 5 } })).await;
        let before = house.contents().await;
        let id = house.post(&Webhook::shop_redact(ADA)).await;
        let other = house.post(&Webhook::shop_redact(BEA)).await;
        house.work().await;
        house.assert_held(&id).await;
        house.assert_completed(&other).await;
        assert_eq!(before.gone_in(&house.contents().await), before.rows_where(|row| row.shop == BEA));
        house.release_hold(&hold.id).await.unwrap();
        house.work().await;
        house.assert_completed(&id).await;
    }

    async fn a_hold_on_a_table_holds_every_job_that_would_touch_it(house: House) {
        house.settle_town().await;
        // Reports are erased with the shop only; the shop's own row as well.
        for (table, holds_customers) in [("ConversionLog", true), ("ReconciliationReport", false), ("Shop", false)] {
            for of_shop in [true, false] {
                let wish = if of_shop { json!({ "table": table, "shop": ADA }) } else { json!({ "table": table }) };
                let hold = house.hold(wish).await;
                let customer = house.post(&Webhook::customers_redact(ADA, &[1001_u64])).await;
                let shop = house.post(&Webhook::shop_redact(ADA)).await;
                let elsewhere = house.post(&Webhook::shop_redact(CYD)).await;
                house.work().await;
                if holds_customers {
                    house.assert_held(&customer).await;
                } else {
                    house.assert_completed(&customer).await;
                }
                house.assert_held(&shop).await;
                if of_shop {
                    house.assert_completed(&elsewhere).await;
                } else {
                    house.assert_held(&elsewhere).await;
                }
                for id in [&customer, &shop, &elsewhere] {
                    if house.job(id).await.status == JobStatus::Held {
                        house.command(id, efface::job::command::Command::Cancel { reason: "next".into(), signer: crate::house::signer() }).await.unwrap();
                    }
                }
                house.release_hold(&hold.id).await.unwrap();
            }
        }
    }

    async fn an_export_is_no_erasure_and_goes_on(house: House) {
        house.settle_town().await;
        house.hold(json!({ "shop": ADA })).await;
        let job = house.done(&Webhook::data_request(ADA, &[1001_u64])).await;
        assert_eq!((job.job_type, job.status), (JobType::DataRequest, JobStatus::Completed));
    }

    async fn the_deadline_of_a_held_job_keeps_running_and_shows(house: House) {
        house.settle_town().await;
        house.hold(json!({ "shop": ADA })).await;
        let id = house.post(&Webhook::shop_redact(ADA)).await;
        let due_at = house.job(&id).await.due_at;
        house.work().await;
        assert_eq!(house.assert_held(&id).await.due_at, due_at);
        let report = || async { report::read(house.store(), &house.clock, None, None).await.unwrap() };
        assert_eq!((report().await.open, report().await.overdue), (1, 0));
        house.advance(TimeDelta::days(24));
        assert_eq!((report().await.due_within_seven_days, report().await.overdue), (1, 0));
        house.advance(TimeDelta::days(7));
        let late = report().await;
        assert_eq!((late.open, late.overdue), (1, 1));
        assert_eq!(late.oldest_open.unwrap().id, id);
    }

    async fn an_operator_cannot_release_a_job_from_a_hold_in_force(house: House) {
        house.settle_town().await;
        house.hold(json!({ "shop": ADA })).await;
        let before = house.contents().await;
        let id = house.post(&Webhook::shop_redact(ADA)).await;
        house.work().await;
        house.assert_held(&id).await;
        house.command(&id, efface::job::command::Command::Release { plan: None }).await.unwrap();
        house.work().await;
        house.assert_held(&id).await;
        assert_eq!(house.contents().await, before);
    }
}
