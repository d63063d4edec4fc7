//! Holds and steps that meet: who came first is decided by what has committed.

use efface::hold::Question;
use efface::job::machine::{self, Event, State};
use efface::store::gdpr_job;
use entity::gdpr_job::JobStatus;
use serde_json::json;

use crate::house::{ADA, House, Webhook};

/// Somebody waits for a lock that another holds.
const WAITING: &str =
    r#"SELECT count(*)>0 AS "is" FROM pg_stat_activity WHERE datname=current_database() AND wait_event_type='Lock'"#;

on_postgres! {
    async fn placing_waits_for_the_steps_that_began_before_and_none_begins_after(house: House) {
        house.settle_town().await;
        let id = house.post(&Webhook::shop_redact(ADA)).await;
        let claim = house.claim("slow", 1).await.remove(0);
        let step = house.store().begin_write().await.unwrap();
        gdpr_job::hold_claims(&*step, &house.clock, &[claim.fenced()], None).await.unwrap();
        let question = [Question { job_id: &id, shop_domain: ADA, whole_shop: true }];
        assert!(house.app().holds().in_force(&*step, &question).await.unwrap().is_empty(), "it began before the hold");

        // The server lets the placing go on before it answers the commit.
        let committing = std::cell::Cell::new(false);
        let placing = async {
            house.hold(json!({ "shop": ADA })).await;
            assert!(committing.get(), "the hold was placed while a step was under way");
        };
        let meanwhile = async {
            house.until(r#"SELECT count(*)=1 AS "is" FROM "LegalHold""#).await;
            house.until(WAITING).await;
            // The step does what it began, and only then the hold is said to be placed.
            let seen = house.app().holds().in_force(house.store().db(), &question).await.unwrap();
            assert_eq!(seen.len(), 1, "whoever asks from now on sees the hold");
            committing.set(true);
            step.commit().await.unwrap();
        };
        tokio::join!(placing, meanwhile);
        house.let_leases_expire();
        house.rescue().await;
        house.let_retries_come_due();
        house.work().await;
        assert_eq!(house.job(&id).await.hold_reason.as_deref(), Some("legal_hold"));
    }

    async fn a_release_waits_for_a_job_that_is_about_to_be_held_and_lets_it_go(house: House) {
        house.settle_town().await;
        let hold = house.hold(json!({ "shop": ADA })).await;
        let id = house.post(&Webhook::shop_redact(ADA)).await;
        let claim = house.claim("slow", 1).await.remove(0);
        let tx = house.store().begin_write().await.unwrap();
        gdpr_job::hold_claims(&*tx, &house.clock, &[claim.fenced()], None).await.unwrap();
        let question = [Question { job_id: &id, shop_domain: ADA, whole_shop: true }];
        assert_eq!(house.app().holds().in_force(&*tx, &question).await.unwrap()[&0][0].hold_id, hold.id);

        let releasing = house.release_hold(&hold.id);
        let meanwhile = async {
            house.until(WAITING).await;
            let state = State { status: JobStatus::Processing, attempts: claim.attempts, fence: claim.fence };
            let step = machine::step(state, Event::Forbidden { reason: "legal_hold".into() }, 8).unwrap();
            let now = house.clock.now();
            assert!(gdpr_job::change_status(&*tx, now, &id, Some(claim.fence), &step.change).await.unwrap());
            tx.commit().await.unwrap();
        };
        let (released, ()) = tokio::join!(releasing, meanwhile);
        assert_eq!(released.unwrap().jobs_queued, 1, "nobody else would ever ask for that job");
        house.work().await;
        house.assert_completed(&id).await;
    }
}
