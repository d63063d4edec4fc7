//! `customers/redact`.

use std::collections::BTreeSet;

use entity::gdpr_job::{JobStatus, Outcome};
use serde_json::json;

use super::{figure, keys};
use crate::house::{ADA, BEA, FEEDBACK, House, TABLES, Webhook};

const KEYS: [&str; 6] = [
    "completedAt",
    "deletedConversionJobs",
    "deletedConversionLogs",
    "deletedPixelReceipts",
    "deletedSurveyResponses",
    "residual",
];

both_databases! {
    async fn exactly_the_listed_orders_are_deleted_in_both_forms_from_all_four_tables(house: House) {
        house.settle_town().await;
        let before = house.contents().await;
        // 1001 is stored as a number, 1003 as a global id, 1004 as both, 1005 not at all.
        let job = house.done(&Webhook::customers_redact(ADA, &[1001_u64, 1003, 1004, 1005])).await;
        let after = house.contents().await;
        let listed = ["1001", "gid://shopify/Order/1003", "1004", "gid://shopify/Order/1004"];
        let gone = before.gone_in(&after);
        assert_eq!(gone, before.rows_where(|row| row.shop == ADA && listed.contains(&row.order.as_str())));
        assert_eq!(gone.iter().map(|row| row.table).collect::<BTreeSet<_>>(), BTreeSet::from_iter(&TABLES[..4]).into_iter().copied().collect());
        let (digests_before, digests_after) = (before.digests(), after.digests());
        for ((table, shop), digest) in &digests_before {
            let touched = shop == ADA && TABLES[..4].contains(table);
            assert_eq!(digests_after.get(&(*table, shop.clone())) != Some(digest), touched, "{table} of {shop}");
        }

        assert_eq!((job.status, job.outcome, job.attempts), (JobStatus::Completed, Some(Outcome::Erased), 1));
        assert_eq!(keys(&job), KEYS);
        let counts = KEYS[1..].iter().map(|key| figure(&job, key)).collect::<Vec<_>>();
        assert_eq!(counts, [4, 8, 8, 4, 0]);
        assert_eq!(job.result.as_ref().unwrap()["completedAt"], json!(efface::clock::rfc3339(job.completed_at.unwrap())));
        assert_eq!((job.lease_until, job.lease_owner, job.progress, job.error_message), (None, None, None, None));
    }

    async fn a_global_id_or_a_text_in_the_webhook_finds_the_same_rows(house: House) {
        house.settle_town().await;
        let before = house.contents().await;
        let job = house.done(&Webhook::customers_redact(ADA, &["gid://shopify/Order/1004", "1001", "#1001"])).await;
        let listed = ["1001", "#1001", "1004", "gid://shopify/Order/1004"];
        let gone = before.gone_in(&house.contents().await);
        assert_eq!(gone, before.rows_where(|row| row.shop == ADA && listed.contains(&row.order.as_str())));
        assert_eq!(figure(&job, "deletedSurveyResponses"), 4);
    }

    async fn ids_beyond_what_a_float_holds_are_told_apart(house: House) {
        house.settle_town().await;
        let before = house.contents().await;
        house.done(&Webhook::customers_redact(ADA, &[9_007_199_254_740_993_u64])).await;
        let gone = before.gone_in(&house.contents().await);
        assert_eq!(gone, before.rows_where(|row| row.shop == ADA && row.order == "9007199254740993"));
        assert_eq!(gone.len(), 6);
    }

    async fn an_order_listed_twice_or_in_two_forms_is_counted_once(house: House) {
        house.settle_town().await;
        let orders = ["1001", "1001", "gid://shopify/Order/1001"];
        let job = house.done(&Webhook::customers_redact(ADA, &orders)).await;
        assert_eq!(figure(&job, "deletedConversionLogs"), 2);
        assert_eq!(figure(&job, "deletedConversionJobs"), 1);
    }

    async fn an_empty_list_finds_nothing_and_says_so(house: House) {
        house.settle_town().await;
        let before = house.contents().await;
        let job = house.done(&Webhook::customers_redact(ADA, &[] as &[u64])).await;
        assert_eq!((job.status, job.outcome), (JobStatus::Completed, Some(Outcome::NothingFound)));
        assert_eq!(keys(&job), KEYS);
        assert_eq!(house.contents().await, before);
    }

    async fn an_unknown_shop_completes_as_nothing_found_with_every_figure_zero(house: House) {
        house.settle_town().await;
        let before = house.contents().await;
        for webhook in [
            Webhook::customers_redact("nobody.myshopify.com", &[1001_u64]),
            Webhook::shop_redact("nobody.myshopify.com"),
            Webhook::data_request("nobody.myshopify.com", &[1001_u64]),
        ] {
            let job = house.done(&webhook).await;
            assert_eq!((job.status, job.outcome), (JobStatus::Completed, Some(Outcome::NothingFound)), "{}", job.topic);
            assert!(keys(&job).len() >= 5, "{:?}", job.result);
            for key in keys(&job).iter().filter(|key| *key != "completedAt") {
                assert_eq!(figure(&job, key), 0, "{key}");
            }
        }
        assert_eq!(house.contents().await, before);
    }

    async fn jobs_of_one_batch_that_ask_for_the_same_rows_count_each_row_once(house: House) {
        house.settle_town().await;
        let before = house.contents().await;
        let accepted = house
            .accept(&[
                Webhook::customers_redact(ADA, &[1001_u64, 1002]),
                Webhook::customers_redact(ADA, &[1002_u64, 1003]),
                Webhook::customers_redact(ADA, &[1001_u64, 1002, 1003]),
                Webhook::customers_redact(BEA, &[1001_u64]),
            ])
            .await;
        assert_eq!(house.tick().await, 4, "one batch");
        let mut total = 0;
        for accepted in &accepted {
            let job = house.job(&accepted.job_id).await;
            assert_eq!(job.status, JobStatus::Completed);
            total += KEYS[1..].iter().map(|key| figure(&job, key)).sum::<u64>();
        }
        let gone = before.gone_in(&house.contents().await);
        assert_eq!(total, gone.len() as u64);
        assert_eq!(gone.len(), 4 * 6);
        let bea = house.job(&accepted[3].job_id).await;
        assert_eq!(figure(&bea, "deletedConversionLogs"), 2, "another shop's rows are another job's");
    }

    async fn deleted_rows_leave_no_copy_in_the_files_of_sqlite(house: House) {
        house.open_shop(ADA).await;
        for order in 1..200 {
            house.place_order(ADA, &order.to_string()).await;
        }
        let orders: Vec<u64> = (1..200).collect();
        let job = house.done(&Webhook::customers_redact(ADA, &orders)).await;
        assert_eq!(figure(&job, "deletedSurveyResponses"), 199);
        house.assert_not_on_disk(FEEDBACK);
    }
}
