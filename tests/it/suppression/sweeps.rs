//! Rows that come late are found at each re-sweep and erased by a job of their own.

use entity::audit_log;
use entity::gdpr_job::{JobStatus, JobType, Outcome};
use entity::source::Source;
use sea_orm::EntityTrait as _;
use serde_json::json;

use super::{after, children, contents, erased, furnished, furnished_with, sha256, shop, shouted, sweep, tombstones};
use crate::house::{EMAIL, House, Webhook};

fn mac(text: &str) -> String {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"crm-secret").unwrap();
    mac.update(text.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

both_databases! {
    async fn a_late_row_is_found_by_each_identifier_and_erased_by_a_child_with_a_result_of_its_own(house: House) {
        let house = furnished(house).await;
        let mut parents = Vec::new();
        for n in 1..=8 {
            parents.push(erased(&house, n).await);
        }
        let rest = contents(&house).await;
        let (sha, mac) = (sha256(EMAIL), mac("4001"));
        let contacts = format!(r#"{{"contacts":[{{"email":"x@example.com"}},{{"email":"{EMAIL}"}}]}}"#);
        for late in [
            "INSERT INTO orders VALUES (1, 1, 4001, NULL, NULL, NULL)".to_owned(),
            "INSERT INTO orders VALUES (2, 2, NULL, 'gid://shopify/Customer/191167', NULL, NULL)".to_owned(),
            format!("INSERT INTO orders VALUES (3, 3, 5, '6', '{}', NULL)", shouted()),
            "INSERT INTO orders VALUES (4, 4, 5, '6', 'john@example.com', '0049 (555) 0147-11')".to_owned(),
            format!("INSERT INTO profiles VALUES (5, '{}', '{sha}', NULL, NULL)", shop(5)),
            format!("INSERT INTO profiles VALUES (6, '{}', NULL, '{mac}', NULL)", shop(6)),
            format!("INSERT INTO profiles VALUES (7, '{}', NULL, NULL, '{contacts}')", shop(7)),
            // The same person in a shop that did not ask for her erasure.
            format!("INSERT INTO orders VALUES (9, 9, 4001, '191167', '{EMAIL}', NULL)"),
        ] {
            house.execute(&late).await;
        }
        assert_eq!(sweep(&house).await.swept, 0, "not yet due");
        after(&house, 1);
        let summary = sweep(&house).await;
        assert_eq!((summary.swept, summary.rows, summary.jobs.len()), (8, 7, 7));
        house.work().await;
        let children = children(&house).await;
        for (n, parent) in parents.iter().enumerate().take(7) {
            let child = children.iter().find(|child| child.payload["parent"] == json!(parent.id)).unwrap();
            assert_eq!((child.status, child.outcome), (JobStatus::Completed, Some(Outcome::Erased)), "{n} {:?}", child.error_message);
            assert_eq!((child.source, child.job_type), (Source::Sweep, JobType::CustomerRedact));
            let result = child.result.clone().unwrap();
            let deleted = result["deletedOrders"].as_u64().unwrap() + result["deletedProfiles"].as_u64().unwrap();
            assert_eq!(deleted, 1, "{n}: {result}");
            assert!(child.verified_at.is_some() && child.sealed_payload.is_none());
            let shown = format!("{} {:?}", child.payload, child.webhook_id);
            assert!(!shown.contains('@') && !shown.contains(&sha) && !shown.contains(&mac), "{shown}");
        }
        let mut now = contents(&house).await;
        let orders = now.get_mut("orders").unwrap();
        assert_eq!(orders.len(), rest["orders"].len() + 1);
        orders.retain(|row| !row.to_lowercase().contains(EMAIL));
        assert_eq!(now, rest, "everybody else is as before");
        assert_eq!(tombstones(&house).await.len(), 8, "a child leaves none of its own");
        let entries = audit_log::Entity::find().all(house.store().db()).await.unwrap();
        let made = entries.iter().filter(|entry| entry.actor_id == "scheduler");
        let mut made: Vec<_> = made.map(|entry| entry.resource_id.clone()).collect();
        made.sort();
        let mut jobs = summary.jobs.clone();
        jobs.sort();
        assert_eq!(made, jobs);
    }

    async fn a_sweep_that_finds_nothing_makes_no_job_and_three_are_enough(house: House) {
        let house = furnished(house).await;
        erased(&house, 1).await;
        house.execute(&format!("INSERT INTO letters VALUES (1, '{}', '{EMAIL}', '***REDACTED***')", shop(1))).await;
        for (done, hours) in [(1, 1), (2, 23), (3, 144)] {
            after(&house, hours);
            let summary = sweep(&house).await;
            assert_eq!((summary.swept, summary.jobs.len()), (1, 0));
            assert_eq!(tombstones(&house).await[0].sweeps_done, done);
            assert_eq!(sweep(&house).await.swept, 0, "once each");
        }
        assert_eq!(tombstones(&house).await[0].next_sweep_at, None);
        house.execute("INSERT INTO orders VALUES (1, 1, 4001, NULL, NULL, NULL)").await;
        after(&house, 24 * 30);
        assert_eq!(sweep(&house).await.swept, 0, "three sweeps, then no more");
        assert!(children(&house).await.is_empty());
    }

    async fn what_is_masked_is_masked_again_when_it_comes_back_and_then_left_alone(house: House) {
        let house = furnished(house).await;
        erased(&house, 1).await;
        house.execute(&format!("INSERT INTO letters VALUES (1, '{}', '{}', 'Dear Jane')", shop(1), shouted())).await;
        after(&house, 1);
        assert_eq!(sweep(&house).await.jobs.len(), 1);
        house.work().await;
        assert_eq!(house.number("SELECT count(*) AS n FROM letters WHERE id = 1 AND body = '***REDACTED***'").await, 1);
        after(&house, 23);
        assert_eq!(sweep(&house).await.jobs.len(), 0);
    }

    async fn after_a_long_silence_a_missed_sweep_is_made_once(house: House) {
        let house = furnished(house).await;
        erased(&house, 1).await;
        after(&house, 30);
        assert_eq!(sweep(&house).await.swept, 1);
        assert_eq!(sweep(&house).await.swept, 0);
        after(&house, 150);
        assert_eq!(sweep(&house).await.swept, 1);
        assert_eq!(tombstones(&house).await[0].next_sweep_at, None);
    }

    async fn a_tombstone_goes_when_its_time_is_over_and_not_before(house: House) {
        let house = furnished_with(house, &[("suppression.keep_days", "30")]).await;
        erased(&house, 1).await;
        after(&house, 24 * 29);
        assert_eq!(sweep(&house).await.expired, 0);
        after(&house, 24);
        assert_eq!(sweep(&house).await.expired, 1);
        assert!(tombstones(&house).await.is_empty());
    }

    async fn two_schedulers_make_one_child(house: House) {
        let house = furnished(house).await;
        erased(&house, 1).await;
        house.execute("INSERT INTO orders VALUES (1, 1, 4001, NULL, NULL, NULL)").await;
        after(&house, 1);
        let other = house.another(&[("data_map.file", &super::map_file()), ("data_map.match_keys.crm", "crm-secret")]).await;
        let (here, there) = (house.app().suppression(), other.suppression());
        let (one, two) = tokio::join!(here.sweep(), there.sweep());
        let made: usize = [one, two].into_iter().flatten().map(|summary| summary.jobs.len()).sum();
        assert_eq!((made, children(&house).await.len()), (1, 1));
        house.work().await;
        other.store().close().await;
    }

    async fn late_rows_of_a_shop_are_found_by_its_domain_and_by_the_key_it_had(house: House) {
        let house = furnished(house).await;
        house.done(&Webhook::shop_redact(&shop(1))).await;
        let rest = contents(&house).await;
        house.execute(&format!("INSERT INTO letters VALUES (1, '{}', 'a@example.com', 'b')", shop(1))).await;
        house.execute("INSERT INTO orders VALUES (1, 1, 1, NULL, NULL, NULL)").await;
        after(&house, 1);
        let summary = sweep(&house).await;
        assert_eq!((summary.rows, summary.jobs.len()), (2, 1));
        house.work().await;
        let child = children(&house).await.remove(0);
        assert_eq!((child.status, child.job_type), (JobStatus::Completed, JobType::ShopRedact), "{:?}", child.error_message);
        assert_eq!(child.result.unwrap()["deletedOrders"], 1);
        assert_eq!(contents(&house).await, rest);
    }

    async fn a_shop_that_was_installed_again_is_never_swept(house: House) {
        let house = furnished(house).await;
        house.done(&Webhook::shop_redact(&shop(1))).await;
        let at = efface::clock::rfc3339(house.clock.now() + chrono::TimeDelta::minutes(5));
        house.execute(&format!("INSERT INTO stores VALUES (11, '{}', '{at}')", shop(1))).await;
        house.execute("INSERT INTO orders VALUES (1, 11, 1, NULL, NULL, NULL)").await;
        let new = contents(&house).await;
        after(&house, 1);
        let summary = sweep(&house).await;
        assert_eq!((summary.swept, summary.jobs.len()), (1, 0));
        assert_eq!(tombstones(&house).await[0].next_sweep_at, None, "it tells nothing new later");
        assert_eq!(contents(&house).await, new);
    }

    async fn a_person_decides_when_nobody_can_tell_whether_a_shop_is_back(house: House) {
        let house = furnished(house).await;
        house.done(&Webhook::shop_redact(&shop(1))).await;
        house.execute(&format!("INSERT INTO stores VALUES (11, '{}', NULL)", shop(1))).await;
        let new = contents(&house).await;
        after(&house, 1);
        let summary = sweep(&house).await;
        assert_eq!(summary.jobs.len(), 1);
        house.work().await;
        let child = house.job(&summary.jobs[0]).await;
        assert_eq!((child.status, child.hold_reason.as_deref()), (JobStatus::Held, Some("shop_reinstalled")));
        assert_eq!(contents(&house).await, new);
        after(&house, 24);
        assert_eq!(sweep(&house).await.swept, 0, "asked once");
    }
}
