//! Jobs that wait until a person has approved exactly their plan.

use efface::job::command::{Command, CommandError};
use entity::gdpr_job::{JobStatus, Outcome};

use crate::house::{ADA, House, Webhook};

fn release(plan: Option<&str>) -> Command {
    Command::Release { plan: plan.map(str::to_owned) }
}

both_databases! {
    async fn a_job_waits_for_the_approval_of_exactly_its_plan(house: House) {
        let house = house.with(&[("jobs.approval", "all")]).await;
        house.settle_town().await;
        let before = house.contents().await;
        let job = house.done(&Webhook::customers_redact(ADA, &[1001_u64])).await;
        assert_eq!((job.status, job.hold_reason.as_deref()), (JobStatus::Held, Some("awaiting_approval")));
        assert_eq!(before, house.contents().await, "nothing is touched before the approval");
        let plan = house.app().planner().plan_of(&job).await.unwrap();
        assert_eq!(Some(&plan.hash), job.plan_hash.as_ref());
        assert!(plan.rows() > 0 && plan.tables.iter().all(|table| !table.samples.is_empty()));

        for wrong in [None, Some("0000")] {
            let refused = house.command(&job.id, release(wrong)).await.unwrap_err();
            assert!(matches!(refused, CommandError::NotThePlan { .. }), "{refused}");
        }
        house.command(&job.id, release(Some(&plan.hash))).await.unwrap();
        house.work().await;
        let done = house.job(&job.id).await;
        assert_eq!((done.status, done.outcome), (JobStatus::Completed, Some(Outcome::Erased)), "{:?}", done.error_message);
        assert_eq!(done.approved_plan, job.plan_hash);
    }

    async fn rows_that_came_after_the_approval_were_not_approved(house: House) {
        let house = house.with(&[("jobs.approval", "shop_redact")]).await;
        house.settle_town().await;
        let job = house.done(&Webhook::shop_redact(ADA)).await;
        house.command(&job.id, release(job.plan_hash.as_deref())).await.unwrap();
        house.place_order(ADA, "777777").await;
        house.work().await;
        let again = house.job(&job.id).await;
        assert_eq!((again.status, again.hold_reason.as_deref()), (JobStatus::Held, Some("awaiting_approval")));
        assert_ne!(again.plan_hash, job.plan_hash);
        house.command(&job.id, release(again.plan_hash.as_deref())).await.unwrap();
        house.work().await;
        assert_eq!(house.job(&job.id).await.status, JobStatus::Completed);
        let customer = house.done(&Webhook::customers_redact("nobody.myshopify.com", &[1_u64])).await;
        assert_eq!(customer.status, JobStatus::Completed, "only whole shops wait");
    }

    async fn many_rows_ask_for_an_approval_by_themselves(house: House) {
        house.settle_town().await;
        let rows = house.app().planner().plan_of(&house.job(&house.post(&Webhook::customers_redact(ADA, &[1001_u64])).await).await).await.unwrap().rows();
        let ceiling = rows.to_string();
        let generous = house.another(&[("jobs.approval_rows_max", &ceiling)]).await;
        let below = (rows - 1).to_string();
        let strict = house.another(&[("jobs.approval_rows_max", &below)]).await;
        assert_eq!(strict.worker().tick().await.unwrap().claimed, 1);
        let held = house.jobs().await.remove(0);
        assert_eq!(held.hold_reason.as_deref(), Some("awaiting_approval"));
        house.command(&held.id, release(held.plan_hash.as_deref())).await.unwrap();
        assert_eq!(generous.worker().tick().await.unwrap().claimed, 1);
        assert_eq!(house.job(&held.id).await.status, JobStatus::Completed);
    }
}
