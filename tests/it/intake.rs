//! A webhook becomes a job, once, whatever is repeated, reordered or raced.

use std::collections::{BTreeMap, BTreeSet};

use efface::acceptance::Acceptance;
use efface::intake::IntakeError;
use efface::job::command::Command;
use entity::gdpr_job::{JobStatus, JobType, Outcome};
use entity::webhook_log::WebhookStatus;
use serde_json::{Value, json};

use crate::house::{ADA, Accepted, BEA, EMAIL, House, PATIENCE, PHONE, Webhook};

const VECTORS: &str = include_str!("../vectors/shopify-webhooks.json");

/// The vectors that are to be held: topic and body.
fn forged() -> Vec<(&'static str, String)> {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let forged = vectors["vectors"].as_array().unwrap().iter().filter(|v| v["expect"] == "held_payload_mismatch");
    forged
        .map(|vector| {
            let topic = if vector["topic"] == "shop/redact" { "shop/redact" } else { "customers/redact" };
            (topic, vector["body"].as_str().unwrap().to_owned())
        })
        .collect()
}

both_databases! {
    async fn a_webhook_becomes_a_queued_job_that_is_due_in_thirty_days(house: House) {
        house.leaves_jobs();
        let before = house.clock.now();
        let id = house.post(&Webhook::customers_redact(ADA, &[1001_u64]).id("w1").event("e1")).await;
        let job = house.job(&id).await;
        assert!(id.starts_with("gdpr_"));
        assert_eq!((job.status, job.job_type), (JobStatus::Queued, JobType::CustomerRedact));
        assert_eq!((job.shop_domain.as_str(), job.shop_id.as_deref()), (ADA, Some("954889")));
        assert_eq!((job.attempts, job.fence, job.outcome, job.result), (0, 0, None, None));
        assert_eq!((job.webhook_id.as_str(), job.event_id.as_deref()), ("w1", Some("e1")));
        assert!(job.created_at >= before && job.created_at <= house.clock.now());
        assert_eq!(job.due_at - job.created_at, chrono::TimeDelta::days(30));
        assert!(job.sealed_payload.is_some());
        let log = house.webhook_log().await;
        assert_eq!(log.len(), 1);
        assert_eq!((log[0].status, log[0].deliveries), (WebhookStatus::Accepted, 1));
        assert_eq!(log[0].job_id.as_deref(), Some(id.as_str()));
        let audited =
            format!(r#"SELECT count(*) AS n FROM "AuditLog" WHERE "resourceId"='{id}' AND "action"='create'"#);
        assert_eq!(house.number(&audited).await, 1);
    }

    async fn the_payload_holds_the_ids_of_the_contract_and_nothing_else(house: House) {
        house.leaves_jobs();
        let orders = [1001, 9_007_199_254_740_993];
        let redact = house.post(&Webhook::customers_redact(ADA, &orders)).await;
        let shop = house.post(&Webhook::shop_redact(ADA)).await;
        let request = house.post(&Webhook::data_request(ADA, &["#72348"])).await;
        let payload = async |id: &str| house.job(id).await.payload;
        // Beyond 2^53 an id is a string: a reader in JavaScript would see another number.
        assert_eq!(
            payload(&redact).await,
            serde_json::json!({ "customer_id": 191_167, "orders_to_redact": [1001, "9007199254740993"] })
        );
        assert_eq!(payload(&shop).await, serde_json::json!({ "shop_id": "954889", "shop_domain": ADA }));
        assert_eq!(
            payload(&request).await,
            serde_json::json!({ "customer_id": 191_167, "orders_requested": ["#72348"], "data_request_id": 9_999 })
        );
    }

    async fn neither_e_mail_nor_phone_is_kept_in_the_clear_before_or_after_the_work(house: House) {
        house.settle_town().await;
        let webhooks = [
            Webhook::customers_redact(ADA, &[1001_u64]),
            Webhook::data_request(ADA, &[1002_u64]),
            Webhook::new("customers/redact", format!(r#"{{"shop_domain":"{ADA}","customer":{{"email":"{EMAIL}"}}}}"#)),
        ];
        let accepted = house.accept(&webhooks).await;
        for text in [EMAIL, PHONE] {
            house.assert_not_kept(text).await;
            house.assert_not_on_disk(text);
        }
        house.work().await;
        assert_eq!(house.job(&accepted[0].job_id).await.status, JobStatus::Completed);
        assert_eq!(house.job(&accepted[2].job_id).await.status, JobStatus::Held);
        for text in [EMAIL, PHONE] {
            house.assert_not_kept(text).await;
            house.assert_not_on_disk(text);
        }
    }

    async fn the_sealed_body_is_destroyed_when_the_duty_ends_and_not_before(house: House) {
        house.leaves_jobs();
        let webhooks = [
            Webhook::customers_redact(ADA, &[1_u64]),
            Webhook::shop_redact(ADA),
            Webhook::data_request(ADA, &[1_u64]),
        ];
        let accepted = house.accept(&webhooks).await;
        assert!(house.jobs().await.iter().all(|job| job.sealed_payload.is_some()));
        house.work().await;
        for Accepted { job_id, .. } in accepted {
            let job = house.job(&job_id).await;
            assert_eq!((job.status, job.sealed_payload), (JobStatus::Completed, None));
        }
        let withdrawn = house.post(&Webhook::shop_redact(BEA)).await;
        let cancelled = house.command(&withdrawn, house.cancel("a test shop")).await.unwrap();
        assert_eq!((cancelled.status, cancelled.sealed_payload), (JobStatus::Cancelled, None));
        assert_eq!(cancelled.outcome, Some(Outcome::NotExecuted));
    }

    async fn a_second_delivery_makes_no_second_job_and_is_counted(house: House) {
        house.leaves_jobs();
        let webhook = Webhook::customers_redact(ADA, &[1001_u64]).id("w1");
        let first = house.accept(std::slice::from_ref(&webhook)).await.remove(0);
        let second = house.accept(&[webhook]).await.remove(0);
        assert!(!first.duplicate && second.duplicate);
        assert_eq!(first.job_id, second.job_id);
        assert_eq!(house.jobs().await.len(), 1);
        let log = house.webhook_log().await;
        assert_eq!((log.len(), log[0].deliveries), (1, 2));
    }

    async fn a_second_delivery_after_completion_makes_no_second_job(house: House) {
        let webhook = Webhook::customers_redact(ADA, &[1001_u64]).id("w1");
        let first = house.done(&webhook).await;
        let again = house.accept(&[webhook]).await.remove(0);
        assert_eq!(again, Accepted { job_id: first.id.clone(), duplicate: true });
        assert_eq!(house.tick().await, 0);
        assert_eq!(house.job(&first.id).await, first);
    }

    async fn the_same_event_under_another_webhook_id_links_to_the_first_job(house: House) {
        house.leaves_jobs();
        let webhook = Webhook::customers_redact(ADA, &[1001_u64]).event("e1");
        let first = house.post(&webhook.clone().id("w1")).await;
        let second = house.accept(&[webhook.id("w2")]).await.remove(0);
        assert_eq!(second, Accepted { job_id: first.clone(), duplicate: true });
        assert_eq!(house.jobs().await.len(), 1);
        let log: BTreeMap<String, _> = house.webhook_log().await.into_iter().map(|w| (w.webhook_id.clone(), w)).collect();
        assert_eq!(log["w1"].status, WebhookStatus::Accepted);
        assert_eq!(log["w2"].status, WebhookStatus::Duplicate);
        assert_eq!(log["w2"].job_id.as_deref(), Some(first.as_str()));
        assert_eq!(log["w2"].job_key, None);
    }

    async fn the_same_event_with_another_body_shop_or_topic_is_another_job(house: House) {
        house.leaves_jobs();
        let webhooks = [
            Webhook::customers_redact(ADA, &[1001_u64]).event("e1"),
            Webhook::customers_redact(ADA, &[1002_u64]).event("e1"),
            Webhook::customers_redact(BEA, &[1001_u64]).event("e1"),
            Webhook::data_request(ADA, &[1001_u64]).event("e1"),
        ];
        let accepted = house.accept(&webhooks).await;
        assert!(accepted.iter().all(|accepted| !accepted.duplicate));
        assert_eq!(house.jobs().await.len(), 4);
    }

    async fn a_new_event_with_an_equal_body_is_a_new_job(house: House) {
        house.leaves_jobs();
        let webhook = Webhook::customers_redact(ADA, &[1001_u64]);
        let first = house.post(&webhook.clone().id("w1").event("e1")).await;
        let second = house.post(&webhook.clone().id("w2").event("e2")).await;
        let third = house.post(&webhook.id("w3")).await;
        assert_eq!(BTreeSet::from([first, second, third]).len(), 3);
    }

    async fn a_webhook_without_an_id_is_known_by_its_body(house: House) {
        house.leaves_jobs();
        let webhook = Webhook::customers_redact(ADA, &[1001_u64]).without_id();
        let first = house.accept(std::slice::from_ref(&webhook)).await.remove(0);
        let again = house.accept(&[webhook]).await.remove(0);
        let other = house.accept(&[Webhook::customers_redact(ADA, &[1002_u64]).without_id()]).await.remove(0);
        assert_eq!(again, Accepted { job_id: first.job_id.clone(), duplicate: true });
        assert!(!other.duplicate && other.job_id != first.job_id);
    }

    async fn the_same_webhook_id_with_another_body_is_held_and_erases_nothing(house: House) {
        house.settle_town().await;
        let honest = house.post(&Webhook::customers_redact(ADA, &[1001_u64]).id("w1")).await;
        let other = Webhook::customers_redact(ADA, &[1002_u64]).id("w1");
        let second = house.accept(std::slice::from_ref(&other)).await.remove(0);
        assert!(!second.duplicate && second.job_id != honest);
        let held = house.job(&second.job_id).await;
        assert_eq!((held.status, held.hold_reason.as_deref()), (JobStatus::Held, Some("webhook_id_conflict")));

        // That very body once more is a duplicate of the held job, and no third one.
        let third = house.accept(&[other]).await.remove(0);
        assert_eq!(third, Accepted { job_id: second.job_id.clone(), duplicate: true });

        let before = house.contents().await;
        house.work().await;
        let gone = before.gone_in(&house.contents().await);
        assert_eq!(gone, before.rows_where(|row| row.shop == ADA && row.order == "1001"));
        assert_eq!(house.job(&honest).await.status, JobStatus::Completed);
        assert_eq!(house.job(&second.job_id).await.status, JobStatus::Held);
    }

    async fn conflicting_bodies_within_one_batch_are_held_as_well(house: House) {
        house.leaves_jobs();
        let accepted = house
            .accept(&[
                Webhook::customers_redact(ADA, &[1001_u64]).id("w1"),
                Webhook::customers_redact(ADA, &[1002_u64]).id("w1"),
                Webhook::customers_redact(ADA, &[1001_u64]).id("w1"),
                Webhook::customers_redact(ADA, &[1002_u64]).id("w1"),
            ])
            .await;
        assert_eq!(accepted.iter().map(|a| a.duplicate).collect::<Vec<_>>(), [false, false, true, true]);
        assert_eq!(accepted[0].job_id, accepted[2].job_id);
        assert_eq!(accepted[1].job_id, accepted[3].job_id);
        assert_eq!(house.job(&accepted[0].job_id).await.status, JobStatus::Queued);
        assert_eq!(house.job(&accepted[1].job_id).await.hold_reason.as_deref(), Some("webhook_id_conflict"));
    }

    async fn duplicates_within_one_batch_make_one_job(house: House) {
        house.leaves_jobs();
        let webhook = Webhook::customers_redact(ADA, &[1001_u64]).event("e1");
        let batch = ["w1", "w1", "w2", "w1", "w2"].map(|id| webhook.clone().id(id));
        let accepted = house.accept(&batch).await;
        assert_eq!(accepted.iter().map(|a| a.duplicate).collect::<Vec<_>>(), [false, true, true, true, true]);
        assert_eq!(accepted.iter().map(|a| &a.job_id).collect::<BTreeSet<_>>().len(), 1);
        assert_eq!(house.jobs().await.len(), 1);
        let deliveries: BTreeMap<_, _> = house.webhook_log().await.into_iter().map(|w| (w.webhook_id, w.deliveries)).collect();
        assert_eq!(deliveries, BTreeMap::from([("w1".to_owned(), 3), ("w2".to_owned(), 2)]));
    }

    async fn a_forged_topic_is_held_and_erases_nothing(house: House) {
        house.open_shop("snowdevil.myshopify.com").await;
        for order in ["299938", "280263", "220458"] {
            house.place_order("snowdevil.myshopify.com", order).await;
        }
        let before = house.contents().await;
        assert_eq!(forged().len(), 2, "the vectors have changed");
        for (topic, body) in forged() {
            let job = house.done(&Webhook::new(topic, body)).await;
            assert_eq!((job.status, job.hold_reason.as_deref()), (JobStatus::Held, Some("payload_mismatch")), "{topic}");
            assert_eq!((job.result, job.outcome, job.fence), (None, None, 0));
            assert!(job.error_message.unwrap().contains("topic"), "nobody is told what does not fit");
            assert!(job.sealed_payload.is_some(), "nothing may be lost");
            assert!(job.due_at > job.created_at, "the deadline keeps running");
        }
        assert_eq!(house.contents().await, before);
    }

    /// Some sender may use an address as an id. The row keeps none, and a person decides.
    async fn an_address_in_place_of_an_id_holds_the_job_and_stays_sealed(house: House) {
        house.open_shop(ADA).await;
        for (field, id) in [("customer", "john@example.com"), ("order", "privperson@example.net"), ("order", "+15557778888")] {
            let mut body = json!({"shop_id": 1, "shop_domain": ADA, "customer": {"id": 7}, "orders_to_redact": [7]});
            if field == "customer" {
                body["customer"]["id"] = id.into();
            } else {
                body["orders_to_redact"] = vec![id].into();
            }
            let job = house.done(&Webhook::new("customers/redact", body.to_string())).await;
            assert_eq!((job.status, job.hold_reason.as_deref()), (JobStatus::Held, Some("payload_mismatch")), "{id}");
            assert_eq!(job.error_message.as_deref(), Some("an id is an e-mail address or a phone number"));
            house.assert_not_kept(id).await;
        }
        house.leaves_jobs();
    }

    async fn a_held_job_that_an_operator_releases_is_carried_out(house: House) {
        house.settle_town().await;
        house.post(&Webhook::customers_redact(ADA, &[1002_u64]).id("w1")).await;
        let held = house.post(&Webhook::customers_redact(ADA, &[1001_u64]).id("w1")).await;
        house.work().await;
        let before = house.contents().await;
        let released = house.command(&held, Command::Release { plan: None }).await.unwrap();
        assert_eq!((released.status, released.hold_reason), (JobStatus::Queued, None));
        house.work().await;
        let job = house.job(&held).await;
        assert_eq!((job.status, job.outcome), (JobStatus::Completed, Some(Outcome::Erased)));
        let gone = before.gone_in(&house.contents().await);
        assert_eq!(gone, before.rows_where(|row| row.shop == ADA && row.order == "1001"));
    }

    /// The row keeps no address; the sealed body does, and without it the erasure would find nothing, and say so.
    async fn a_released_job_finds_the_rows_of_an_address_in_place_of_an_id(house: House) {
        const ADDRESS: &str = "privperson@example.net";
        house.settle_town().await;
        house.place_order(ADA, ADDRESS).await;
        let before = house.contents().await;
        let body = json!({"shop_id": 1, "shop_domain": ADA, "customer": {"id": 7}, "orders_to_redact": [ADDRESS, 1001]});
        let held = house.done(&Webhook::new("customers/redact", body.to_string())).await;
        assert_eq!(held.status, JobStatus::Held);
        house.command(&held.id, Command::Release { plan: None }).await.unwrap();
        house.work().await;
        let job = house.job(&held.id).await;
        assert_eq!((job.status, job.outcome), (JobStatus::Completed, Some(Outcome::Erased)), "{:?}", job.error_message);
        let gone = before.gone_in(&house.contents().await);
        assert_eq!(gone, before.rows_where(|row| row.shop == ADA && [ADDRESS, "1001"].contains(&row.order.as_str())));
        house.assert_not_kept(ADDRESS).await;
    }

    async fn eight_that_race_the_same_webhooks_make_each_exactly_one_job(house: House) {
        const WEBHOOKS: usize = 200;
        const RACERS: usize = 8;
        house.leaves_jobs();
        let webhooks: Vec<Webhook> = (0..WEBHOOKS)
            .map(|n| Webhook::customers_redact(ADA, &[n as u64]).id(&format!("w{n}")).event(&format!("e{n}")))
            .collect();
        // As from several processes: nothing shared but the database.
        let mut apps = Vec::new();
        for _ in 0..2 {
            apps.push(house.another(&[]).await);
        }
        let racers = (0..RACERS).map(|racer| {
            let intake = if racer % 2 == 0 { house.app().intake() } else { apps[racer / 2 % 2].intake() }.clone();
            let mut mine = webhooks.clone();
            mine.rotate_left(racer * 37 % WEBHOOKS);
            if racer % 3 == 0 {
                mine.reverse();
            }
            let batches: Vec<Vec<Webhook>> = mine.chunks(20 + racer * 9).map(<[Webhook]>::to_vec).collect();
            let house = &house;
            async move {
                let mut made = Vec::new();
                for batch in batches {
                    // Told to come back, a sender comes back.
                    loop {
                        match intake.accept(batch.iter().map(|webhook| house.arrival(webhook)).collect()).await {
                            Ok(accepted) => break made.extend(accepted.into_iter().map(Accepted::from)),
                            Err(IntakeError::Contended) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
                made
            }
        });
        let accepted: Vec<Accepted> = futures_util::future::join_all(racers).await.into_iter().flatten().collect();
        assert_eq!(accepted.len(), WEBHOOKS * RACERS);
        assert_eq!(accepted.iter().filter(|accepted| !accepted.duplicate).count(), WEBHOOKS, "one of each is the first");
        let answered: BTreeSet<&String> = accepted.iter().map(|accepted| &accepted.job_id).collect();
        let jobs = house.jobs().await;
        assert_eq!(jobs.len(), WEBHOOKS);
        assert_eq!(answered, jobs.iter().map(|job| &job.id).collect());
        let log = house.webhook_log().await;
        assert_eq!(log.len(), WEBHOOKS);
        assert!(log.iter().all(|webhook| webhook.deliveries == i32::try_from(RACERS).unwrap()));
        assert_eq!(house.number(r#"SELECT count(*) AS n FROM "AuditLog" WHERE "resourceType"='GDPRJob'"#).await, i64::try_from(WEBHOOKS).unwrap());
    }

    async fn racing_deliveries_of_one_event_under_many_ids_make_one_job(house: House) {
        house.leaves_jobs();
        let webhook = Webhook::customers_redact(ADA, &[1001_u64]).event("e1");
        let racers = (0..16).map(|n| {
            let (intake, arrival) = (house.app().intake().clone(), house.arrival(&webhook.clone().id(&format!("w{n}"))));
            async move { intake.accept(vec![arrival]).await.unwrap().remove(0) }
        });
        let accepted = futures_util::future::join_all(racers).await;
        assert_eq!(accepted.iter().filter(|accepted| !accepted.duplicate).count(), 1);
        assert_eq!(house.jobs().await.len(), 1);
        assert_eq!(house.webhook_log().await.len(), 16);
    }

    async fn a_batch_is_recorded_whole_or_not_at_all(house: House) {
        house.app().keys().current(entity::sealing_key::KeyPurpose::Payload).await.unwrap();
        // The audit log comes last: what it refuses must take webhooks and jobs with it.
        if house.is_sqlite() {
            house
                .execute(r#"CREATE TRIGGER "refusal" BEFORE INSERT ON "AuditLog" BEGIN SELECT RAISE(ABORT, 'no'); END"#)
                .await;
        } else {
            house.execute(r#"ALTER TABLE "AuditLog" ADD CONSTRAINT refusal CHECK ("actorId" = 'nobody') NOT VALID"#).await;
        }
        let arrivals = vec![house.arrival(&Webhook::shop_redact(ADA)), house.arrival(&Webhook::shop_redact(BEA))];
        let error = house.app().intake().accept(arrivals).await.unwrap_err();
        assert!(matches!(error, IntakeError::Store(_)), "{error}");
        assert_eq!((house.jobs().await.len(), house.webhook_log().await.len()), (0, 0));
    }

    async fn the_door_without_a_broker_answers_when_the_job_is_committed(house: House) {
        house.leaves_jobs();
        let app = house.app();
        let desk = Acceptance::new(None, app.keys().clone(), app.intake().clone(), house.clock.clone(), PATIENCE);
        let senders = (0..100).map(|n| {
            let (desk, delivery) = (desk.clone(), Webhook::customers_redact(ADA, &[n / 2]).id(&format!("w{}", n / 2)).delivery());
            async move { desk.accept(delivery).await.unwrap() }
        });
        let accepted = futures_util::future::join_all(senders).await;
        let known: BTreeSet<String> = house.jobs().await.into_iter().map(|job| job.id).collect();
        assert_eq!(known.len(), 50);
        assert_eq!(accepted.iter().filter(|accepted| accepted.duplicate).count(), 50);
        assert!(accepted.iter().all(|accepted| known.contains(accepted.job_id.as_ref().unwrap())));
    }
}
