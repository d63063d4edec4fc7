//! `shop/redact` of a shop that has installed the app again: `jobs.reinstalled`, and an operator's word.

use efface::job::command::Command;
use entity::gdpr_job::{JobStatus, Outcome};
use serde_json::json;

use super::uninstalled;
use crate::house::{ADA, House, Webhook};

/// A large shop is taken in steps, which have a guard of their own.
const SIZES: [&str; 2] = ["5000", "7"];

/// The app notes that the shop is back.
async fn install_again(house: &House, at: &str) {
    house
        .execute(&format!(r#"UPDATE "Shop" SET "isActive"=true,"installedAt"='{at}' WHERE "shopDomain"='{ADA}'"#))
        .await;
}

async fn assert_held_for_reinstallation(house: &House, id: &str) {
    let job = house.job(id).await;
    assert_eq!((job.status, job.hold_reason.as_deref()), (JobStatus::Held, Some("shop_reinstalled")));
}

both_databases! {
    async fn a_shop_that_left_is_erased_and_one_that_came_back_is_held(house: House) {
        house.settle_town().await;
        house.tell(&uninstalled(ADA)).await;
        install_again(&house, "2099-01-01T00:00:00.000Z").await;
        let before = house.contents().await;
        let id = house.post(&Webhook::shop_redact(ADA)).await;
        house.work().await;
        assert_held_for_reinstallation(&house, &id).await;
        assert_eq!(house.contents().await, before);

        house.execute(&format!(r#"UPDATE "Shop" SET "installedAt"='2026-01-01T00:00:00.000Z' WHERE "shopDomain"='{ADA}'"#)).await;
        house.tell(&uninstalled(ADA)).await;
        let done = house.done(&Webhook::shop_redact(ADA)).await;
        assert_eq!((done.status, done.outcome), (JobStatus::Completed, Some(Outcome::Erased)));
    }

    async fn a_release_is_an_operators_word_and_goes_through(house: House) {
        for rows_max in SIZES {
            house.settle_town().await;
            house.uninstall(ADA, true).await;
            let app = house.another(&[("jobs.batch_rows_max", rows_max)]).await;
            let id = house.post(&Webhook::shop_redact(ADA)).await;
            while app.worker().tick().await.unwrap().claimed > 0 {}
            assert_held_for_reinstallation(&house, &id).await;
            house.command(&id, Command::Release { plan: None }).await.unwrap();
            while app.worker().tick().await.unwrap().claimed > 0 {}
            let done = house.job(&id).await;
            assert_eq!((done.status, done.outcome), (JobStatus::Completed, Some(Outcome::Erased)), "{:?}", done.error_message);
            assert_eq!(done.result.unwrap()["deletedShops"], 1);
            assert!(house.contents().await.rows_where(|row| row.shop == ADA).is_empty());
            app.store().close().await;
            house.execute(r#"DELETE FROM "Shop""#).await;
        }
    }

    async fn a_release_does_not_stand_for_an_installation_that_came_after_it(house: House) {
        house.settle_town().await;
        house.uninstall(ADA, true).await;
        let id = house.post(&Webhook::shop_redact(ADA)).await;
        house.work().await;
        house.command(&id, Command::Release { plan: None }).await.unwrap();
        install_again(&house, "2099-01-01T00:00:00.000Z").await;
        let before = house.contents().await;
        house.work().await;
        assert_held_for_reinstallation(&house, &id).await;
        assert_eq!(house.contents().await, before);
    }

    async fn a_release_survives_a_legal_hold(house: House) {
        house.settle_town().await;
        house.uninstall(ADA, true).await;
        let id = house.post(&Webhook::shop_redact(ADA)).await;
        house.work().await;
        let wish = serde_json::from_value(json!({ "shop": ADA, "reason": "r" })).unwrap();
        let hold = house.app().holds().place("ops", &wish).await.unwrap();
        house.command(&id, Command::Release { plan: None }).await.unwrap();
        house.work().await;
        assert_eq!(house.job(&id).await.hold_reason.as_deref(), Some("legal_hold"));
        let app = house.app();
        efface::job::legal_hold::release(house.store(), &house.clock, app.wake(), app.holds(), "ops", &hold.id).await.unwrap();
        house.work().await;
        assert_eq!(house.job(&id).await.status, JobStatus::Completed);
    }

    async fn erase_all_erases_as_if_the_shop_had_not_come_back(house: House) {
        for rows_max in SIZES {
            let app = house.another(&[("jobs.reinstalled", "erase_all"), ("jobs.batch_rows_max", rows_max)]).await;
            house.settle_town().await;
            house.uninstall(ADA, true).await;
            let before = house.contents().await;
            let id = house.post(&Webhook::shop_redact(ADA)).await;
            while app.worker().tick().await.unwrap().claimed > 0 {}
            assert_eq!(house.job(&id).await.status, JobStatus::Completed);
            assert_eq!(before.gone_in(&house.contents().await), before.rows_where(|row| row.shop == ADA));
            app.store().close().await;
            house.execute(r#"DELETE FROM "Shop""#).await;
        }
    }
}
