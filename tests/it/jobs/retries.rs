//! Attempts that fail: who is tried again, when, and what is said about it.

use chrono::TimeDelta;
use efface::job::query::{self, Filter};
use entity::gdpr_job::{JobStatus, Outcome};

use crate::house::{ADA, BEA, EMAIL, House, Webhook};

/// Seconds that a retry may wait after the n-th failure under the settings of these tests: jitter takes up to a half.
const PAUSES: [(i64, i64); 4] = [(5, 10), (10, 20), (20, 40), (25, 50)];

both_databases! {
    async fn a_bad_job_never_fails_its_neighbours(house: House) {
        let house = house.with(&[("jobs.attempts_max", "3")]).await;
        house.settle_town().await;
        house.refuse_delete("ConversionLog", &format!(r#"OLD."orderId"='1002' AND OLD."shopId"='id of {ADA}'"#)).await;
        let before = house.contents().await;
        let mut webhooks: Vec<Webhook> = (0..9_u64).map(|n| Webhook::customers_redact(BEA, &[1001 + n])).collect();
        webhooks.insert(4, Webhook::customers_redact(ADA, &[1001_u64, 1002, 1003]));
        webhooks.push(Webhook::shop_redact("cyd.myshopify.com"));
        let accepted = house.accept(&webhooks).await;
        assert_eq!(house.tick().await, 11, "one batch");
        let bad = &accepted[4].job_id;
        for job in house.jobs().await {
            let expected = if job.id == *bad { JobStatus::Retrying } else { JobStatus::Completed };
            assert_eq!(job.status, expected, "{:?}", job.error_message);
            assert_eq!(job.attempts, 1);
        }
        let job = house.job(bad).await;
        let message = job.error_message.unwrap();
        assert!(message.contains("refused"), "{message}");
        assert!(!message.contains(EMAIL) && !message.contains("1002") && !message.contains("protected"), "{message}");
        let gone = before.gone_in(&house.contents().await);
        assert!(gone.iter().all(|row| row.shop != ADA), "a failed attempt leaves nothing half done");

        for attempt in 2..=3 {
            house.let_retries_come_due();
            assert_eq!(house.tick().await, 1);
            let job = house.job(bad).await;
            assert_eq!(job.attempts, attempt);
            assert_eq!(job.status, if attempt < 3 { JobStatus::Retrying } else { JobStatus::Failed });
        }
        house.let_retries_come_due();
        assert_eq!(house.tick().await, 0, "failed is for a person");
        let job = house.job(bad).await;
        assert!(job.error_message.is_some() && job.completed_at.is_none() && job.sealed_payload.is_some());
        assert!(!house.own_rows().await.contains(EMAIL), "nor does the audit log quote the refusal");
    }

    async fn a_row_that_does_not_read_back_fails_alone_and_is_named(house: House) {
        house.settle_town().await;
        let webhooks: Vec<Webhook> = (1001..=1003_u64).map(|order| Webhook::customers_redact(ADA, &[order])).collect();
        let accepted = house.accept(&webhooks).await;
        let bad = &accepted[1].job_id;
        let spoil = if house.is_sqlite() { r#""shopDomain"=CAST(x'c328' AS text)"# } else { r#""createdAt"='infinity'"# };
        house.execute(&format!(r#"UPDATE "GDPRJob" SET {spoil} WHERE "id"='{bad}'"#)).await;
        assert_eq!(house.tick().await, 3, "one batch");
        let mend = if house.is_sqlite() { format!(r#""shopDomain"='{ADA}'"#) } else { r#""createdAt"="dueAt""#.to_owned() };
        house.execute(&format!(r#"UPDATE "GDPRJob" SET {mend} WHERE "id"='{bad}'"#)).await;
        for accepted in &accepted {
            let job = house.job(&accepted.job_id).await;
            let expected = if job.id == *bad { JobStatus::Failed } else { JobStatus::Completed };
            assert_eq!((job.status, job.attempts), (expected, 1), "{:?}", job.error_message);
        }
        let message = house.job(bad).await.error_message.unwrap();
        let why = if house.is_sqlite() { r#"column "shopDomain" has an unexpected type"# } else { "an instant is out of range" };
        assert_eq!(message, format!(r#"row {bad} of "GDPRJob" does not read back: {why}"#));

        house.execute(&format!(r#"UPDATE "GDPRJob" SET "source"='nowhere' WHERE "id"='{bad}'"#)).await;
        let listed = query::page(house.store(), &Filter::default(), 10).await.unwrap_err().to_string();
        assert_eq!(listed, format!(r#"row {bad} of "GDPRJob" does not read back: an unknown text in "source""#));
        house.execute(&format!(r#"UPDATE "GDPRJob" SET "source"='http' WHERE "id"='{bad}'"#)).await;
    }

    async fn the_pauses_between_attempts_follow_the_policy_and_stand_in_the_row(house: House) {
        let settings =
            [("jobs.retry_initial_seconds", "10"), ("jobs.retry_max_seconds", "50"), ("jobs.attempts_max", "5")];
        let house = house.with(&settings).await;
        house.settle_town().await;
        house.refuse_delete("ConversionJob", "true").await;
        let id = house.post(&Webhook::customers_redact(ADA, &[1001_u64])).await;
        for (least, most) in PAUSES {
            let before = house.clock.now();
            assert_eq!(house.tick().await, 1);
            let after = house.clock.now();
            let job = house.job(&id).await;
            assert_eq!(job.status, JobStatus::Retrying);
            assert!(job.scheduled_at >= before + TimeDelta::seconds(least), "{} after {before}", job.scheduled_at);
            assert!(job.scheduled_at <= after + TimeDelta::seconds(most), "{} after {after}", job.scheduled_at);
            assert_eq!(house.tick().await, 0, "not before its time");
            house.advance(job.scheduled_at - house.clock.now());
        }
        assert_eq!(house.tick().await, 1);
        assert_eq!(house.job(&id).await.status, JobStatus::Failed);
    }

    async fn a_cause_that_goes_away_is_survived(house: House) {
        house.settle_town().await;
        house.refuse_delete("SurveyResponse", "true").await;
        let job = house.done(&Webhook::customers_redact(ADA, &[1001_u64])).await;
        assert_eq!(job.status, JobStatus::Retrying);
        house.heal("refusal", "SurveyResponse").await;
        house.let_retries_come_due();
        house.work().await;
        let job = house.job(&job.id).await;
        assert_eq!((job.status, job.outcome, job.attempts), (JobStatus::Completed, Some(Outcome::Erased), 2));
        assert_eq!(job.error_message, None);
        let result = job.result.unwrap();
        assert_eq!((&result["deletedConversionLogs"], &result["deletedSurveyResponses"]), (&2.into(), &1.into()));
    }

    async fn a_payload_that_makes_no_sense_fails_at_once_and_is_not_quoted(house: House) {
        house.settle_town().await;
        let before = house.contents().await;
        let bad = house.post(&Webhook::customers_redact(ADA, &[1001_u64])).await;
        let good = house.post(&Webhook::customers_redact(BEA, &[1001_u64])).await;
        let json = if house.is_sqlite() { "" } else { "::jsonb" };
        house
            .execute(&format!(
                r#"UPDATE "GDPRJob" SET "payload"='{{"orders_to_redact":[{{"email":"{EMAIL}"}}]}}'{json} WHERE "id"='{bad}'"#
            ))
            .await;
        house.work().await;
        let job = house.job(&bad).await;
        assert_eq!((job.status, job.attempts), (JobStatus::Failed, 1));
        let message = job.error_message.unwrap();
        assert!(message.contains(&bad) && message.contains("\"payload\"") && !message.contains(EMAIL), "{message}");
        assert_eq!(house.job(&good).await.status, JobStatus::Completed);
        let gone = before.gone_in(&house.contents().await);
        assert_eq!(gone, before.rows_where(|row| row.shop == BEA && row.order == "1001"));
    }

    async fn a_package_that_cannot_be_kept_is_tried_again_and_kept_once(house: House) {
        house.settle_town().await;
        let (refuse, heal) = if house.is_sqlite() {
            (
                r#"CREATE TRIGGER "refusal" BEFORE INSERT ON "ExportPart" BEGIN SELECT RAISE(ABORT, 'no'); END"#,
                r#"DROP TRIGGER "refusal""#,
            )
        } else {
            (
                r#"ALTER TABLE "ExportPart" ADD CONSTRAINT refusal CHECK ("rows" < 0)"#,
                r#"ALTER TABLE "ExportPart" DROP CONSTRAINT refusal"#,
            )
        };
        house.execute(refuse).await;
        let job = house.done(&Webhook::data_request(ADA, &[1001_u64])).await;
        assert_eq!((job.status, job.attempts), (JobStatus::Retrying, 1));
        assert_eq!(house.number(r#"SELECT count(*) AS n FROM "ExportPackage" WHERE "status"='ready'"#).await, 0);
        house.execute(heal).await;
        house.let_retries_come_due();
        house.work().await;
        assert_eq!(house.job(&job.id).await.outcome, Some(Outcome::Exported));
        assert_eq!(house.number(r#"SELECT count(*) AS n FROM "ExportPackage""#).await, 1);
        assert_eq!(house.number(r#"SELECT count(*) AS n FROM "ExportPart""#).await, 4);
    }
}
