//! A tombstone comes with the completion, and tells nobody whom it stands for.

use entity::gdpr_job::JobStatus;
use entity::suppression::Purpose;

use super::{contents, erased, furnished, sha256, shop, tombstones};
use crate::house::{EMAIL, House, PHONE, Webhook};

both_databases! {
    async fn a_job_completes_with_its_tombstone_or_not_at_all(house: House) {
        let house = furnished(house).await;
        house.execute(r#"ALTER TABLE "Suppression" RENAME TO "Elsewhere""#).await;
        let id = house.post(&Webhook::customers_redact(&shop(1), &[4001_u64])).await;
        house.tick().await;
        let job = house.job(&id).await;
        assert_eq!(job.status, JobStatus::Retrying);
        assert!(job.sealed_payload.is_some(), "the identifiers are still needed");
        house.execute(r#"ALTER TABLE "Elsewhere" RENAME TO "Suppression""#).await;
        assert!(tombstones(&house).await.is_empty());
        house.let_retries_come_due();
        house.work().await;
        let job = house.job(&id).await;
        assert_eq!(job.status, JobStatus::Completed, "{:?}", job.error_message);
        let tombstone = tombstones(&house).await.remove(0);
        assert_eq!((&tombstone.job_id, Some(tombstone.created_at)), (&id, job.completed_at));
    }

    async fn one_row_holds_all_identifiers_of_a_job_in_sixteen_bytes_each(house: House) {
        let house = furnished(house).await;
        let job = erased(&house, 1).await;
        let tombstone = tombstones(&house).await.remove(0);
        // Two orders and their keyed hashes, the customer, e-mail address and its hash, phone.
        assert_eq!(tombstone.digests.len(), 8 * 16);
        assert_eq!((tombstone.purpose, tombstone.sweeps_done), (Purpose::Customer, 0));
        assert_eq!(tombstone.next_sweep_at, Some(job.completed_at.unwrap() + chrono::TimeDelta::hours(1)));
        assert_eq!(tombstone.expires_at, job.completed_at.unwrap() + chrono::TimeDelta::days(365));
        let whole = house.done(&Webhook::shop_redact(&shop(2))).await;
        let tombstone = tombstones(&house).await.into_iter().find(|row| row.job_id == whole.id).unwrap();
        assert_eq!((tombstone.purpose, tombstone.digests.len()), (Purpose::Shop, 16));
        assert_eq!(tombstone.shop_keys, Some(serde_json::json!({ "default": "2" })));
    }

    async fn nothing_but_the_shop_stands_in_the_clear(house: House) {
        let house = furnished(house).await;
        erased(&house, 1).await;
        let room = house.app().suppression();
        let mut told = format!("{:?}", tombstones(&house).await);
        room.export(chrono::DateTime::UNIX_EPOCH, |line| { told.push_str(line); Ok(()) }).await.unwrap();
        for row in tombstones(&house).await {
            told.push_str(&String::from_utf8_lossy(&row.digests));
            told.push_str(&hex::encode(&row.digests));
        }
        let phone: String = PHONE.chars().filter(char::is_ascii_digit).collect();
        for secret in [EMAIL, PHONE, &phone, "191167", "9007199254740993", &sha256(EMAIL), &sha256("191167")] {
            assert!(!told.contains(secret) && !told.contains(&hex::encode(secret)), "{secret} is there");
        }
        assert!(!told.contains(&sha256(EMAIL)[..32]));
        assert!(told.contains(&shop(1)));
    }

    async fn the_same_person_has_other_digests_in_another_shop(house: House) {
        let house = furnished(house).await;
        erased(&house, 1).await;
        erased(&house, 2).await;
        let rows = tombstones(&house).await;
        let digests = |at: usize| efface::suppression::tombstone::digests(&rows[at]).collect::<std::collections::HashSet<_>>();
        assert!(digests(0).is_disjoint(&digests(1)));
    }

    async fn whoever_asks_is_told_who_was_erased_where(house: House) {
        let house = furnished(house).await;
        let before = contents(&house).await;
        let job = erased(&house, 1).await;
        assert_eq!(contents(&house).await, before, "nothing was there of her");
        let room = house.app().suppression();
        let asked = async |shop: String, kind: &str, value: &str| {
            let rows = room.tombstones_of(&shop, kind, value).await.unwrap().unwrap();
            rows.into_iter().map(|row| row.job_id).collect::<Vec<_>>()
        };
        for (kind, value) in [
            ("email", " JANE.doe.4711@EXAMPLE.com"),
            ("phone", "0049 555 0147 11"),
            ("customer", "gid://shopify/Customer/191167"),
            ("order", "4001"),
            ("order", "gid://shopify/Order/9007199254740993"),
        ] {
            assert_eq!(asked(shop(1), kind, value).await, [job.id.as_str()], "{kind} {value}");
            assert!(asked(shop(2), kind, value).await.is_empty());
        }
        assert!(asked(shop(1), "email", "john@example.com").await.is_empty());
        assert!(asked(shop(1), "customer", "4001").await.is_empty(), "an order's number is no customer's");
        assert!(room.tombstones_of(&shop(1), "email", "  ").await.unwrap().is_none());
        house.advance(chrono::TimeDelta::days(366));
        assert!(asked(shop(1), "order", "4001").await.is_empty(), "expired");
    }
}
