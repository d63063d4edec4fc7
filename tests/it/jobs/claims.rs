//! Leases and fences: who may work on a job, for how long, and what a worker may do that slept too long.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use chrono::TimeDelta;
use efface::erasure::execute::Hands;
use efface::erasure::progress::Progress;
use efface::erasure::reinstall::Policy;
use efface::erasure::subject::Target;
use efface::job::machine::Event;
use efface::store::StoreError;
use efface::store::gdpr_job::{self, Claimed, Completion, StatusChange};
use entity::gdpr_job::{JobStatus, Outcome};
use serde_json::json;

use crate::house::{ADA, House, LEASE_MS, Webhook};

/// Asserts that nothing which a worker may do with this claim changes anything.
async fn assert_harmless(house: &House, stale: &Claimed) {
    let before = house.job(&stale.id).await;
    for renew in [None, Some(LEASE_MS)] {
        let tx = house.store().begin_write().await.unwrap();
        let held = gdpr_job::hold_claims(&*tx, &house.clock, &[stale.fenced()], renew).await.unwrap();
        assert!(held.is_empty(), "a stale claim is no claim");
        tx.commit().await.unwrap();
    }
    let tx = house.store().begin_write().await.unwrap();
    let completion = Completion {
        job: stale.fenced(),
        outcome: Outcome::Erased,
        result: json!({ "stale": true }),
        verified_at: None,
    };
    assert!(gdpr_job::complete(&*tx, house.clock.now(), &[completion]).await.unwrap().is_empty());
    let saved = gdpr_job::save_progress(&*tx, vec![(stale.fenced(), json!({ "deleted": { "x": 9 } }))]).await;
    assert!(matches!(saved, Err(StoreError::Count { expected: 1, touched: 0, .. })), "{saved:?}");
    let failed = StatusChange {
        from: JobStatus::Processing,
        to: JobStatus::Failed,
        attempts: 0,
        scheduled_at: None,
        hold_reason: None,
        error_message: Some("stale".into()),
        outcome: None,
        ends: false,
    };
    assert!(!gdpr_job::change_status(&*tx, house.clock.now(), &stale.id, Some(stale.fence), &failed).await.unwrap());
    tx.commit().await.unwrap();
    for event in [
        Event::GivenBack,
        Event::Forbidden { reason: "stale".into() },
        Event::AttemptFailed { curable: true, retry_at: house.clock.now(), message: "stale".into() },
    ] {
        assert!(!house.app().settler().claimed(stale, "worker", event).await.unwrap());
    }
    assert_eq!(house.job(&stale.id).await, before);
}

both_databases! {
    async fn a_claim_takes_a_lease_and_raises_the_fence(house: House) {
        house.leaves_jobs();
        let id = house.post(&Webhook::shop_redact(ADA)).await;
        let before = house.clock.now();
        let claims = house.claim("here", 10).await;
        assert_eq!(claims.len(), 1);
        assert_eq!((claims[0].id.as_str(), claims[0].fence, claims[0].attempts), (id.as_str(), 1, 1));
        let job = house.job(&id).await;
        assert_eq!((job.status, job.fence, job.lease_owner.as_deref()), (JobStatus::Processing, 1, Some("here")));
        let lease = job.lease_until.unwrap();
        // The database's clock gives the lease: a little apart from ours, and never by much.
        let apart = (lease - before - TimeDelta::milliseconds(LEASE_MS)).abs();
        assert!(apart < TimeDelta::seconds(20), "{apart}");
        assert_eq!(house.claim("there", 10).await.len(), 0, "a claimed job cannot be claimed");
    }

    async fn a_job_is_claimed_by_one_worker_only_however_many_try(house: House) {
        house.leaves_jobs();
        let webhooks: Vec<Webhook> = (0..120_u64).map(|n| Webhook::customers_redact(ADA, &[n])).collect();
        house.accept(&webhooks).await;
        let other = house.another(&[]).await;
        let claimers = (0..8).map(|n| {
            let store = if n % 2 == 0 { house.store() } else { other.store() }.clone();
            let clock = house.clock.clone();
            async move {
                let mut mine = Vec::new();
                let mut empty = 0;
                // Locked by somebody else is passed over: nothing to be had once is not the end.
                while empty < 20 {
                    let claims = gdpr_job::claim(&store, &clock, "racer", LEASE_MS, 7).await.unwrap().good;
                    empty = if claims.is_empty() { empty + 1 } else { 0 };
                    mine.extend(claims.into_iter().map(|claim| claim.id));
                }
                mine
            }
        });
        let all: Vec<String> = futures_util::future::join_all(claimers).await.into_iter().flatten().collect();
        assert_eq!(all.len(), 120);
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 120);
        assert!(house.jobs().await.iter().all(|job| job.fence == 1 && job.status == JobStatus::Processing));
    }

    async fn what_is_due_first_is_claimed_first_and_what_is_not_due_is_not(house: House) {
        house.leaves_jobs();
        let first = house.post(&Webhook::shop_redact("first.myshopify.com")).await;
        house.advance(TimeDelta::seconds(1));
        let second = house.post(&Webhook::shop_redact("second.myshopify.com")).await;
        house.advance(TimeDelta::seconds(-1_000));
        assert!(house.claim("early", 10).await.is_empty());
        house.advance(TimeDelta::seconds(1_000));
        assert_eq!(house.claim("a", 1).await[0].id, first);
        assert_eq!(house.claim("b", 1).await[0].id, second);
    }

    async fn an_expired_lease_is_rescued_counted_as_an_attempt_and_completed_by_another(house: House) {
        house.settle_town().await;
        let id = house.post(&Webhook::customers_redact(ADA, &[1001_u64])).await;
        house.claim("gone", 1).await;
        assert_eq!(house.rescue().await.retrying, 0, "the lease still holds");
        assert_eq!(house.tick().await, 0);
        house.let_leases_expire();
        let rescued = house.rescue().await;
        assert_eq!((rescued.retrying, rescued.failed), (1, 0));
        let job = house.job(&id).await;
        assert_eq!((job.status, job.attempts, job.fence), (JobStatus::Retrying, 1, 1));
        assert_eq!((job.lease_until, job.lease_owner), (None, None));
        assert!(job.error_message.unwrap().contains("lease"));
        assert!(job.scheduled_at <= house.clock.now(), "the lease was pause enough");
        house.work().await;
        let job = house.job(&id).await;
        assert_eq!((job.status, job.attempts, job.fence, job.error_message), (JobStatus::Completed, 2, 2, None));
        assert_eq!(house.rescue().await.retrying, 0);
    }

    async fn a_job_whose_workers_all_vanish_fails_at_the_last_attempt_and_never_runs_for_ever(house: House) {
        let house = house.with(&[("jobs.attempts_max", "3")]).await;
        let id = house.post(&Webhook::shop_redact(ADA)).await;
        for attempt in 1..=3 {
            assert_eq!(house.claim("doomed", 1).await[0].attempts, attempt);
            house.let_leases_expire();
            let rescued = house.rescue().await;
            assert_eq!((rescued.retrying, rescued.failed), if attempt < 3 { (1, 0) } else { (0, 1) });
        }
        let job = house.job(&id).await;
        assert_eq!((job.status, job.attempts, job.fence), (JobStatus::Failed, 3, 3));
        house.let_retries_come_due();
        assert_eq!(house.tick().await, 0);
    }

    async fn a_lapsed_claim_whose_row_does_not_read_back_keeps_no_other_from_being_rescued(house: House) {
        house.settle_town().await;
        let spoiled = house.post(&Webhook::customers_redact(ADA, &[1001_u64])).await;
        let other = house.post(&Webhook::customers_redact(ADA, &[1002_u64])).await;
        house.claim("gone", 2).await;
        let (spoil, mend) = if house.is_sqlite() {
            (r#""shopDomain"=CAST(x'c328' AS text)"#, format!(r#""shopDomain"='{ADA}'"#))
        } else {
            (r#""createdAt"='infinity'"#, r#""createdAt"="dueAt""#.to_owned())
        };
        house.execute(&format!(r#"UPDATE "GDPRJob" SET {spoil} WHERE "id"='{spoiled}'"#)).await;
        house.let_leases_expire();
        assert_eq!(house.rescue().await.retrying, 2);
        house.work().await;
        house.execute(&format!(r#"UPDATE "GDPRJob" SET {mend} WHERE "id"='{spoiled}'"#)).await;
        assert_eq!(house.job(&spoiled).await.status, JobStatus::Failed);
        assert_eq!(house.job(&other).await.status, JobStatus::Completed);
    }

    async fn many_rescuers_count_a_lapse_once(house: House) {
        house.leaves_jobs();
        let webhooks: Vec<Webhook> = (0..40_u64).map(|n| Webhook::customers_redact(ADA, &[n])).collect();
        house.accept(&webhooks).await;
        assert_eq!(house.claim("gone", 100).await.len(), 40);
        house.let_leases_expire();
        let summaries = futures_util::future::join_all((0..6).map(|_| house.rescue())).await;
        assert_eq!(summaries.iter().map(|summary| summary.retrying).sum::<u64>(), 40);
        assert!(house.jobs().await.iter().all(|job| job.attempts == 1));
        let audited = house.number(r#"SELECT count(*) AS n FROM "AuditLog" WHERE "actorId"='rescue'"#).await;
        assert_eq!(audited, 40);
    }

    async fn a_worker_that_slept_past_its_lease_commits_nothing_while_another_works(house: House) {
        house.settle_town().await;
        let id = house.post(&Webhook::customers_redact(ADA, &[1001_u64])).await;
        let slept = house.claim("slept", 1).await.remove(0);
        house.let_leases_expire();
        house.rescue().await;
        assert_harmless(&house, &slept).await;
        let second = house.claim("second", 1).await.remove(0);
        assert_eq!((second.id.as_str(), second.fence), (id.as_str(), 2));
        assert_harmless(&house, &slept).await;
        assert!(house.app().settler().claimed(&second, "worker", Event::GivenBack).await.unwrap());
        assert_harmless(&house, &slept).await;
        house.work().await;
    }

    async fn a_worker_that_slept_past_its_lease_commits_nothing_after_another_has_finished(house: House) {
        house.settle_town().await;
        let id = house.post(&Webhook::customers_redact(ADA, &[1001_u64])).await;
        let slept = house.claim("slept", 1).await.remove(0);
        house.let_leases_expire();
        house.rescue().await;
        house.work().await;
        let done = house.job(&id).await;
        assert_eq!(done.status, JobStatus::Completed);
        assert_harmless(&house, &slept).await;
        assert_eq!(house.number(r#"SELECT count(*) AS n FROM "AuditLog" WHERE "action"='delete'"#).await, 1);
    }

    async fn rows_that_a_vanished_worker_deleted_are_counted_by_the_next(house: House) {
        house.settle_town().await;
        let id = house.post(&Webhook::customers_redact(ADA, &[1001_u64, 1002])).await;
        let claim = house.claim("vanishes", 1).await.remove(0);
        let target = Target::of_subject(&id, ADA, &claim.payload, "orders_to_redact").unwrap();
        let mut progress = [Progress::default()];
        let tx = house.store().begin_write().await.unwrap();
        let tools = house.app().tools();
        let map = tools.stores.default_store().0;
        let hands = Hands { conn: &*tx, map, masker: &tools.masker, rows_max: 1_000, reinstalled: Policy::Hold, one_by_one: &AtomicBool::new(false) };
        hands.batch(&[target], &mut progress).await.unwrap();
        gdpr_job::save_progress(&*tx, vec![(claim.fenced(), progress[0].to_json())]).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(progress[0].total(), 12);

        house.let_leases_expire();
        house.rescue().await;
        house.work().await;
        let job = house.job(&id).await;
        assert_eq!((job.status, job.outcome), (JobStatus::Completed, Some(Outcome::Erased)));
        assert_eq!(job.result.unwrap()["deletedConversionLogs"], 4);
    }
}
