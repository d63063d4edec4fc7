//! Wake-ups: nobody waits for the timer, which looks every 300 s in these tests.

use efface::app::Roles;
use efface::shutdown::Shutdown;

use crate::house::{ADA, House, Webhook};

fn completed(id: &str) -> String {
    format!(r#"SELECT "status"='completed' AS "is" FROM "GDPRJob" WHERE "id"='{id}'"#)
}

both_databases! {
    async fn a_job_that_comes_while_the_workers_sleep_is_done_without_the_timer(house: House) {
        let worker = house.app().worker();
        let run = tokio::spawn(async move { worker.run().await });
        for n in 0..40_u64 {
            let id = house.post(&Webhook::customers_redact(ADA, &[n])).await;
            house.until(&completed(&id)).await;
        }
        house.shutdown.cancel();
        run.await.unwrap();
    }

    async fn jobs_that_come_in_bursts_are_all_done_without_the_timer(house: House) {
        let house = house.with(&[("jobs.batch_jobs_max", "3"), ("jobs.workers", "2")]).await;
        let worker = house.app().worker();
        let run = tokio::spawn(async move { worker.run().await });
        for burst in 0..6_u64 {
            let posts = (0..10).map(|n| {
                let (house, webhook) = (&house, Webhook::customers_redact(ADA, &[burst * 100 + n]));
                async move { house.post(&webhook).await }
            });
            futures_util::future::join_all(posts).await;
            house.until(r#"SELECT count(*)=0 AS "is" FROM "GDPRJob" WHERE "status"<>'completed'"#).await;
        }
        house.shutdown.cancel();
        run.await.unwrap();
    }

    async fn a_released_job_wakes_the_workers(house: House) {
        house.post(&Webhook::customers_redact(ADA, &[1_u64]).id("w1")).await;
        let held = house.post(&Webhook::customers_redact(ADA, &[2_u64]).id("w1")).await;
        house.work().await;
        let worker = house.app().worker();
        let run = tokio::spawn(async move { worker.run().await });
        house.command(&held, efface::job::command::Command::Release { plan: None }).await.unwrap();
        house.until(&completed(&held)).await;
        house.shutdown.cancel();
        run.await.unwrap();
    }
}

on_postgres! {
    async fn another_process_hears_of_a_job_without_its_timer(house: House) {
        let shutdown = Shutdown::new();
        let worker = house.another_until(&[], &shutdown).await;
        let door = house.another_until(&[], &shutdown).await;
        let intake = door.intake().clone();
        let nothing = Roles { http: false, worker: false, scheduler: false };
        let working = tokio::spawn(worker.serve(Roles { worker: true, ..nothing }, None));
        let announcing = tokio::spawn(door.serve(nothing, None));
        for n in 0..20_u64 {
            let arrival = house.arrival(&Webhook::customers_redact(ADA, &[n]));
            let id = intake.accept(vec![arrival]).await.unwrap().remove(0).job_id.unwrap();
            house.until(&completed(&id)).await;
        }
        shutdown.cancel();
        working.await.unwrap();
        announcing.await.unwrap();
    }
}
