//! A worker that is told to stop.

use entity::gdpr_job::JobStatus;

use crate::house::{ADA, House, PATIENCE, Webhook};

both_databases! {
    async fn claims_are_given_back_and_no_attempt_is_counted(house: House) {
        house.settle_town().await;
        let before = house.contents().await;
        house
            .accept(&[Webhook::customers_redact(ADA, &[1001_u64]), Webhook::shop_redact(ADA), Webhook::data_request(ADA, &[1_u64])])
            .await;
        let shutdown = efface::shutdown::Shutdown::new();
        let stopping = house.another_until(&[], &shutdown).await;
        shutdown.cancel();
        stopping.worker().tick().await.unwrap();
        for job in house.jobs().await {
            assert_eq!((job.status, job.attempts, job.fence), (JobStatus::Queued, 0, 1), "{}", job.topic);
            assert_eq!((job.lease_until, job.lease_owner, job.error_message), (None, None, None));
        }
        assert_eq!(house.contents().await, before);
        // Nobody has to wait for a lease: the next worker may begin at once.
        house.work().await;
        for job in house.jobs().await {
            assert_eq!((job.status, job.attempts, job.fence), (JobStatus::Completed, 1, 2), "{}", job.topic);
        }
        stopping.store().close().await;
    }

    async fn a_stopped_worker_ends_and_claims_nothing_more(house: House) {
        house.leaves_jobs();
        let shutdown = efface::shutdown::Shutdown::new();
        let stopping = house.another_until(&[], &shutdown).await;
        let worker = stopping.worker();
        let run = tokio::spawn(async move { worker.run().await });
        shutdown.cancel();
        tokio::time::timeout(PATIENCE, run).await.expect("it ends").unwrap();
        let id = house.post(&Webhook::shop_redact(ADA)).await;
        assert_eq!(house.job(&id).await.fence, 0);
        stopping.store().close().await;
    }
}
