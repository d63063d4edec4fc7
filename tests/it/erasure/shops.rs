//! `shop/redact`.

use efface::job::command::Command;
use entity::gdpr_job::{JobStatus, Outcome};

use super::{figure, keys};
use crate::house::{ADA, BEA, House, TABLES, Webhook};

const KEYS: [&str; 8] = [
    "completedAt",
    "deletedConversionJobs",
    "deletedConversionLogs",
    "deletedPixelReceipts",
    "deletedReconciliationReports",
    "deletedShops",
    "deletedSurveyResponses",
    "residual",
];

/// Notes down, in the order of deletion, from which table rows were deleted.
async fn write_down_deletes(house: &House) {
    house.execute("CREATE TABLE deleted (place integer, name text)").await;
    if !house.is_sqlite() {
        house
            .execute(
                "CREATE SEQUENCE places; CREATE FUNCTION write_down() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 INSERT INTO deleted VALUES (nextval('places'), TG_TABLE_NAME); RETURN OLD; END $$",
            )
            .await;
    }
    for table in TABLES {
        house
            .execute(&if house.is_sqlite() {
                format!(
                    r#"CREATE TRIGGER "down {table}" BEFORE DELETE ON "{table}" BEGIN
                       INSERT INTO deleted SELECT count(*) + 1, '{table}' FROM deleted; END"#
                )
            } else {
                format!(
                    r#"CREATE TRIGGER "down {table}" BEFORE DELETE ON "{table}" FOR EACH ROW EXECUTE FUNCTION write_down()"#
                )
            })
            .await;
    }
}

both_databases! {
    async fn all_of_the_shop_goes_and_nothing_of_another(house: House) {
        house.settle_town().await;
        let before = house.contents().await;
        let job = house.done(&Webhook::shop_redact(ADA)).await;
        let after = house.contents().await;
        assert_eq!(before.gone_in(&after), before.rows_where(|row| row.shop == ADA));
        assert_eq!((job.status, job.outcome), (JobStatus::Completed, Some(Outcome::Erased)));
        assert_eq!(keys(&job), KEYS);
        let counts: Vec<u64> = KEYS[1..].iter().map(|key| figure(&job, key)).collect();
        assert_eq!(counts, [10, 20, 20, 2, 1, 10, 0]);
    }

    async fn children_are_deleted_before_the_shop_so_that_no_cascade_takes_them_unseen(house: House) {
        house.settle_town().await;
        write_down_deletes(&house).await;
        house.done(&Webhook::shop_redact(ADA)).await;
        assert_eq!(house.number("SELECT count(*) AS n FROM deleted").await, 63);
        let last = house
            .number("SELECT count(*) AS n FROM deleted WHERE name='Shop' AND place=(SELECT max(place) FROM deleted)");
        assert_eq!(last.await, 1, "the shop's own row goes last");
    }

    async fn a_second_request_finds_nothing(house: House) {
        house.settle_town().await;
        house.done(&Webhook::shop_redact(ADA)).await;
        let again = house.done(&Webhook::shop_redact(ADA)).await;
        assert_eq!((again.status, again.outcome), (JobStatus::Completed, Some(Outcome::NothingFound)));
    }

    async fn a_shop_and_its_customers_may_be_asked_for_in_one_batch(house: House) {
        house.settle_town().await;
        let before = house.contents().await;
        let accepted = house
            .accept(&[
                Webhook::customers_redact(ADA, &[1001_u64]),
                Webhook::shop_redact(ADA),
                Webhook::customers_redact(ADA, &[1002_u64]),
            ])
            .await;
        assert_eq!(house.tick().await, 3);
        let gone = before.gone_in(&house.contents().await);
        assert_eq!(gone, before.rows_where(|row| row.shop == ADA));
        let mut total = 0;
        for accepted in accepted {
            let job = house.job(&accepted.job_id).await;
            assert_eq!(job.status, JobStatus::Completed, "{:?}", job.error_message);
            total += keys(&job).iter().filter(|key| *key != "completedAt").map(|key| figure(&job, key)).sum::<u64>();
        }
        assert_eq!(total, gone.len() as u64);
    }

    async fn a_shop_that_was_installed_again_is_held_and_loses_nothing(house: House) {
        house.settle_town().await;
        house.uninstall(ADA, true).await;
        house.uninstall(BEA, false).await;
        let before = house.contents().await;
        let accepted = house.accept(&[Webhook::shop_redact(ADA), Webhook::shop_redact(BEA)]).await;
        house.work().await;
        let held = house.job(&accepted[0].job_id).await;
        assert_eq!((held.status, held.hold_reason.as_deref()), (JobStatus::Held, Some("shop_reinstalled")));
        assert_eq!((held.attempts, held.lease_until, held.result), (0, None, None));
        assert_eq!(house.job(&accepted[1].job_id).await.status, JobStatus::Completed);
        assert_eq!(before.gone_in(&house.contents().await), before.rows_where(|row| row.shop == BEA));

        // What an operator may do about it is told in lifecycle/reinstalled.
        house.uninstall(ADA, false).await;
        house.command(&held.id, Command::Release { plan: None }).await.unwrap();
        house.work().await;
        let done = house.job(&held.id).await;
        assert_eq!((done.status, done.hold_reason.as_deref()), (JobStatus::Completed, None));
        assert_eq!(figure(&done, "deletedShops"), 1);
    }

    async fn a_large_shop_that_was_installed_again_is_held_as_well(house: House) {
        let house = house.with(&[("jobs.batch_rows_max", "7")]).await;
        house.settle_town().await;
        house.uninstall(ADA, true).await;
        let before = house.contents().await;
        let job = house.done(&Webhook::shop_redact(ADA)).await;
        assert_eq!((job.status, job.hold_reason.as_deref()), (JobStatus::Held, Some("shop_reinstalled")));
        assert_eq!(house.contents().await, before);
    }
}
