//! Rows that come back after they were deleted: no job may call itself done.

use efface::job::command::Command;
use entity::gdpr_job::JobStatus;

use super::figure;
use crate::house::{ADA, BEA, House, Webhook};

both_databases! {
    async fn rows_that_come_back_fail_the_job_and_name_the_table(house: House) {
        house.settle_town().await;
        house.bring_surveys_back().await;
        let job = house.done(&Webhook::customers_redact(ADA, &[1001_u64])).await;
        assert_eq!((job.status, job.outcome, job.completed_at), (JobStatus::Failed, None, None));
        let message = job.error_message.unwrap();
        assert!(message.contains("\"SurveyResponse\"") && !message.contains("\"ConversionLog\""), "{message}");
        assert!(!message.contains("1001"), "{message}");
        assert!(job.sealed_payload.is_some() && job.result.is_none());
    }

    async fn residue_of_a_whole_shop_fails_the_job_as_well(house: House) {
        house.settle_town().await;
        // The row comes back under a shop of another app's making, or the foreign key would not let it.
        if house.is_sqlite() {
            house.execute(r#"CREATE TRIGGER "revenant" AFTER DELETE ON "Shop" BEGIN
                INSERT INTO "Shop" ("id","shopDomain") VALUES (OLD."id", OLD."shopDomain"); END"#).await;
        } else {
            house.execute(r#"CREATE FUNCTION revenant() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO "Shop" ("id","shopDomain") VALUES (OLD."id", OLD."shopDomain"); RETURN NULL; END $$;
                CREATE TRIGGER "revenant" AFTER DELETE ON "Shop" FOR EACH ROW EXECUTE FUNCTION revenant()"#).await;
        }
        let job = house.done(&Webhook::shop_redact(ADA)).await;
        assert_eq!(job.status, JobStatus::Failed);
        assert!(job.error_message.unwrap().contains("\"Shop\""));
    }

    async fn neighbours_of_a_job_with_residue_complete(house: House) {
        house.settle_town().await;
        house.execute(r#"DELETE FROM "SurveyResponse" WHERE "shopId"='id of bea.myshopify.com'"#).await;
        house.bring_surveys_back().await;
        let accepted = house
            .accept(&[Webhook::customers_redact(ADA, &[1001_u64]), Webhook::customers_redact(BEA, &[1001_u64])])
            .await;
        house.work().await;
        assert_eq!(house.job(&accepted[0].job_id).await.status, JobStatus::Failed);
        assert_eq!(house.job(&accepted[1].job_id).await.status, JobStatus::Completed);
    }

    async fn a_row_that_comes_back_once_is_deleted_again_and_counted(house: House) {
        house.settle_town().await;
        let when = r#"OLD."id" NOT LIKE '%+'"#;
        if house.is_sqlite() {
            house.execute(&format!(r#"CREATE TRIGGER "once" AFTER DELETE ON "SurveyResponse" WHEN {when} BEGIN
                INSERT INTO "SurveyResponse" ("id","shopId","orderId") VALUES (OLD."id" || '+', OLD."shopId", OLD."orderId"); END"#)).await;
        } else {
            house.execute(&format!(r#"CREATE FUNCTION once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {when} THEN
                INSERT INTO "SurveyResponse" ("id","shopId","orderId") VALUES (OLD."id" || '+', OLD."shopId", OLD."orderId");
                END IF; RETURN NULL; END $$;
                CREATE TRIGGER "once" AFTER DELETE ON "SurveyResponse" FOR EACH ROW EXECUTE FUNCTION once()"#)).await;
        }
        let job = house.done(&Webhook::customers_redact(ADA, &[1001_u64])).await;
        assert_eq!(job.status, JobStatus::Completed);
        assert_eq!(figure(&job, "deletedSurveyResponses"), 2);
        assert_eq!(house.number(r#"SELECT count(*) AS n FROM "SurveyResponse" WHERE "orderId"='1001'"#).await, 2);
    }

    async fn a_failed_job_that_is_tried_again_completes_once_the_cause_is_gone(house: House) {
        house.settle_town().await;
        house.bring_surveys_back().await;
        let failed = house.done(&Webhook::customers_redact(ADA, &[1001_u64])).await;
        house.heal("revenant", "SurveyResponse").await;
        let queued = house.command(&failed.id, Command::Retry).await.unwrap();
        assert_eq!((queued.status, queued.attempts), (JobStatus::Queued, 0));
        house.work().await;
        let job = house.job(&failed.id).await;
        assert_eq!((job.status, job.error_message.clone()), (JobStatus::Completed, None));
        assert_eq!(figure(&job, "deletedConversionLogs"), 2, "counts of the first attempt are not forgotten");
    }
}
