//! A hold is asked for before every step, not once.

use efface::erasure::progress::Progress;
use serde_json::json;

use crate::house::{ADA, BEA, House, Webhook};

/// A shop that takes hundreds of steps.
async fn open_vast_shop(house: &House) {
    house.open_shop(ADA).await;
    let rows: Vec<String> = (0..60).map(|n| format!("('sr {n}','id of {ADA}','{n}')")).collect();
    let rows = rows.join(",");
    house.execute(&format!(r#"INSERT INTO "SurveyResponse" ("id","shopId","orderId") VALUES {rows}"#)).await;
}

/// A hold that commits together with the first step that deletes something.
async fn hold_with_the_first_step(house: &House) {
    let insert = format!(
        r#"INSERT INTO "LegalHold" ("id","scope","shopDomain","reason","placedBy","placedAt") SELECT 'between','shop','{ADA}','r','ops',
           '2026-11-21T00:00:00.000+00:00' WHERE NOT EXISTS (SELECT 1 FROM "LegalHold");"#
    );
    let on = r#"AFTER UPDATE OF "progress" ON "GDPRJob""#;
    house
        .execute(&if house.is_sqlite() {
            format!(r#"CREATE TRIGGER "holding" {on} WHEN NEW."progress"->>'$.counts'<>'{{}}' BEGIN {insert} END"#)
        } else {
            format!(
                r#"CREATE FUNCTION holding() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW."progress"->'counts'<>'{{}}' THEN
                   {insert} END IF; RETURN NULL; END $$;
                   CREATE TRIGGER "holding" {on} FOR EACH ROW EXECUTE FUNCTION holding()"#
            )
        })
        .await;
}

both_databases! {
    async fn a_hold_between_two_steps_stops_a_large_shop_and_its_counts_stay(house: House) {
        let house = house.with(&[("jobs.batch_rows_max", "3")]).await;
        open_vast_shop(&house).await;
        hold_with_the_first_step(&house).await;
        let id = house.post(&Webhook::shop_redact(ADA)).await;
        house.work().await;
        let job = house.assert_held(&id).await;
        assert_eq!(Progress::from_json(job.progress.as_ref()).total(), 3, "the one step that began before the hold");
        assert_eq!(house.number(r#"SELECT count(*) AS n FROM "SurveyResponse""#).await, 57);
        // Nothing but a release moves it.
        house.let_retries_come_due();
        house.work().await;
        house.assert_held(&id).await;
        assert_eq!(house.number(r#"SELECT count(*) AS n FROM "SurveyResponse""#).await, 57);

        assert_eq!(house.release_hold("between").await.unwrap().jobs_queued, 1);
        house.work().await;
        let done = house.assert_completed(&id).await;
        let result = done.result.unwrap();
        assert_eq!((&result["deletedSurveyResponses"], &result["deletedShops"]), (&json!(60), &json!(1)));
        assert_eq!(done.attempts, 1);
    }

    async fn held_jobs_of_a_batch_do_not_stop_their_neighbours(house: House) {
        house.settle_town().await;
        house.hold(json!({ "shop": ADA })).await;
        let webhooks: Vec<Webhook> = [1001_u64, 1002, 1003, 1004]
            .iter()
            .flat_map(|order| [ADA, BEA].map(|shop| Webhook::customers_redact(shop, &[*order])))
            .collect();
        let accepted = house.accept(&webhooks).await;
        assert_eq!(house.tick().await, 8);
        for (n, accepted) in accepted.iter().enumerate() {
            if n % 2 == 0 {
                house.assert_held(&accepted.job_id).await;
            } else {
                house.assert_completed(&accepted.job_id).await;
            }
        }
    }

    async fn a_hold_that_comes_before_rows_are_deleted_again_stops_that_too(house: House) {
        house.settle_town().await;
        house.bring_surveys_back().await;
        hold_with_the_first_step(&house).await;
        let id = house.post(&Webhook::customers_redact(ADA, &[1001_u64])).await;
        house.work().await;
        let job = house.assert_held(&id).await;
        assert_eq!(Progress::from_json(job.progress.as_ref()).total(), 6);
    }
}
