//! Many workers at once.

use entity::gdpr_job::JobStatus;

use crate::house::{ADA, BEA, CYD, House, Webhook};

both_databases! {
    async fn workers_that_meet_on_the_same_rows_finish_all_jobs_and_count_each_row_once(house: House) {
        let settings = [("jobs.batch_jobs_max", "5"), ("jobs.batch_rows_max", "40")];
        let house = house.with(&settings).await;
        for shop in [ADA, BEA, CYD] {
            house.open_shop(shop).await;
            for order in 0..12 {
                house.place_order(shop, &order.to_string()).await;
            }
        }
        let before = house.contents().await;
        let mut webhooks = Vec::new();
        for n in 0..60_u64 {
            let shop = if n % 3 == 0 { BEA } else { ADA };
            // Each in another order, so that locks taken in the order sent would meet head on.
            let mut orders: Vec<u64> = (0..6).map(|i| (n * 5 + i * 7) % 12).collect();
            if n % 2 == 0 {
                orders.reverse();
            }
            webhooks.push(Webhook::customers_redact(shop, &orders));
        }
        webhooks.insert(20, Webhook::shop_redact(CYD));
        webhooks.insert(40, Webhook::shop_redact(CYD));
        webhooks.insert(45, Webhook::shop_redact(BEA));
        house.accept(&webhooks).await;

        let other = house.another(&settings).await;
        let workers = (0..6).map(|n| {
            let worker = if n % 2 == 0 { house.app().worker() } else { other.worker() };
            async move { while worker.tick().await.unwrap().claimed > 0 {} }
        });
        futures_util::future::join_all(workers).await;
        // Whoever had to give in to another is tried again, as in life.
        house.let_retries_come_due();
        house.work().await;

        let mut counted = 0;
        for job in house.jobs().await {
            assert_eq!(job.status, JobStatus::Completed, "{} {:?}", job.topic, job.error_message);
            assert!(job.attempts <= 3, "{} attempts", job.attempts);
            let result = job.result.unwrap();
            counted += result.as_object().unwrap().values().filter_map(serde_json::Value::as_u64).sum::<u64>();
        }
        let gone = before.gone_in(&house.contents().await);
        assert_eq!(counted, gone.len() as u64);
        assert_eq!(gone, before.rows_where(|row| row.shop != ADA || !row.order.is_empty()));
        other.store().close().await;
    }

    async fn intake_and_work_go_on_side_by_side(house: House) {
        house.settle_town().await;
        let before = house.contents().await;
        let (taken_in, worked) = (
            async {
                for n in 0..60_u64 {
                    house.post(&Webhook::customers_redact(if n.is_multiple_of(2) { ADA } else { BEA }, &[1000 + n])).await;
                }
            },
            async {
                let mut done = 0;
                while done < 60 {
                    done += house.tick().await;
                    tokio::task::yield_now().await;
                }
            },
        );
        let both = Box::pin(futures_util::future::join(taken_in, worked));
        tokio::time::timeout(crate::house::PATIENCE, both).await.unwrap();
        assert!(house.jobs().await.iter().all(|job| job.status == JobStatus::Completed && job.attempts == 1));
        let gone = before.gone_in(&house.contents().await);
        // Even numbers were asked of one shop, odd ones of the other.
        let asked = |row: &crate::house::Row| {
            let plain = row.order.strip_prefix("gid://shopify/Order/").unwrap_or(&row.order);
            plain.parse().is_ok_and(|n: u64| (1000..1060).contains(&n) && row.shop == if n.is_multiple_of(2) { ADA } else { BEA })
        };
        assert_eq!(gone, before.rows_where(asked));
    }
}
