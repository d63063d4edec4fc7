//! What the process that keeps the clock does beside its runs: warnings, and the end of content keys.

use chrono::{DateTime, TimeDelta, Utc};
use efface::job::deadline;
use efface::retention::RetentionError;
use efface::shutdown::Shutdown;
use efface::store::content_key;
use entity::sealing_key::{KeyPurpose, Model};
use sea_orm::EntityTrait as _;

use crate::house::{ADA, BEA, CYD, House, Webhook};

async fn keys(house: &House, purpose: KeyPurpose) -> Vec<Model> {
    let mut keys = entity::sealing_key::Entity::find().all(house.store().db()).await.unwrap();
    keys.retain(|key| key.purpose == purpose);
    keys
}

/// The one key of a purpose, and whether it lives.
async fn lives(house: &House, purpose: KeyPurpose) -> bool {
    let keys = keys(house, purpose).await;
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].wrapped_key.is_none(), keys[0].destroyed_at.is_some());
    keys[0].wrapped_key.is_some()
}

async fn destroy(house: &House, at: DateTime<Utc>) -> usize {
    house.app().retention().destroy_keys_at(at).await.unwrap().len()
}

async fn forget_webhooks(house: &House) {
    house.execute(r#"DELETE FROM "WebhookLog""#).await;
}

/// The days of each warning of a job, as the audit log has them.
async fn warned(house: &House, job: &str) -> Vec<i64> {
    let rows = house.audit_rows().await;
    let of_job = rows.iter().filter(|row| row.resource_id == job);
    let mut days: Vec<i64> = of_job.filter_map(|row| row.metadata.as_ref()?["waitedDays"].as_i64()).collect();
    days.sort_unstable();
    days
}

both_databases! {
    async fn an_open_job_is_warned_of_once_at_each_of_its_days(house: House) {
        house.leaves_jobs();
        let warn = async || deadline::warn(house.store(), &house.clock).await.unwrap();
        let oldest = house.post(&Webhook::shop_redact(ADA)).await;
        house.advance(TimeDelta::days(19));
        let middle = house.post(&Webhook::shop_redact(BEA)).await;
        house.advance(TimeDelta::days(1));
        let youngest = house.post(&Webhook::shop_redact(CYD)).await;
        assert_eq!(warn().await, 1);
        house.advance(TimeDelta::days(6) - TimeDelta::seconds(1));
        assert_eq!(warn().await, 1, "what has not waited for seven days is left alone");
        house.advance(TimeDelta::seconds(2));
        assert_eq!(warn().await, 1);
        assert_eq!(warn().await, 0, "a second time");
        let all = async || [warned(&house, &oldest).await, warned(&house, &middle).await, warned(&house, &youngest).await];
        assert_eq!(all().await, [vec![14, 25], vec![7], vec![]]);
        house.advance(TimeDelta::days(7));
        assert_eq!(warn().await, 2);
        assert_eq!(all().await, [vec![14, 25], vec![7, 14], vec![7]]);

        // Whose end has come is warned of no more; and nobody is, for ever.
        house.command(&middle, house.cancel("withdrawn")).await.unwrap();
        house.advance(TimeDelta::days(2));
        assert_eq!(warn().await, 1);
        assert_eq!(all().await, [vec![14, 25], vec![7, 14], vec![7, 14]]);
        house.advance(TimeDelta::days(400));
        assert_eq!(warn().await, 0);
    }

    async fn two_that_warn_at_once_warn_once(house: House) {
        house.leaves_jobs();
        house.app().leader(Shutdown::new()).tick().await.unwrap();
        let other = house.another(&[]).await;
        let (mut jobs, mut told) = (Vec::new(), 0);
        for round in 0..10_u64 {
            jobs.push(house.post(&Webhook::customers_redact(ADA, &[round])).await);
            house.advance(TimeDelta::days(8));
            let (one, two) = tokio::join!(
                deadline::warn(house.store(), &house.clock), deadline::warn(other.store(), &house.clock));
            told += one.unwrap() + two.unwrap();
        }
        let entries = r#"SELECT count(*) AS "n" FROM "AuditLog" WHERE "actorId"='scheduler' AND "resourceType"='GDPRJob'"#;
        assert_eq!(house.number(entries).await, i64::try_from(told).unwrap());
        for job in &jobs[..6] {
            assert_eq!(warned(&house, job).await, [7, 14, 25]);
        }
    }

    async fn a_key_goes_when_its_jobs_and_log_rows_have(house: House) {
        house.leaves_jobs();
        house.settle_town().await;
        house.done(&Webhook::customers_redact(ADA, &[1001])).await;
        let now = house.clock.now();
        let late = now + TimeDelta::days(400);
        assert_eq!(destroy(&house, late).await, 0, "a log row of its day is there");
        let open = house.post(&Webhook::customers_redact(BEA, &[1001])).await;
        forget_webhooks(&house).await;
        assert_eq!(destroy(&house, late).await, 0, "an open job is sealed with it");
        for status in ["failed", "held", "retrying"] {
            house.execute(&format!(r#"UPDATE "GDPRJob" SET "status"='{status}' WHERE "id"='{open}'"#)).await;
            assert_eq!(destroy(&house, late).await, 0, "a {status} job is sealed with it");
        }
        house.execute(&format!(r#"UPDATE "GDPRJob" SET "status"='queued' WHERE "id"='{open}'"#)).await;
        assert!(lives(&house, KeyPurpose::Payload).await);
        house.work().await;
        assert_eq!(house.job(&open).await.sealed_payload, None);
        assert_eq!(destroy(&house, now + TimeDelta::days(8) - TimeDelta::minutes(1)).await, 0, "it is too young");
        assert_eq!(destroy(&house, now + TimeDelta::days(8) + TimeDelta::minutes(1)).await, 1);
        assert!(!lives(&house, KeyPurpose::Payload).await);
        assert_eq!(destroy(&house, late).await, 0, "a second time");
        let entry = r#"SELECT count(*) AS "n" FROM "AuditLog" WHERE "resourceType"='SealingKey' AND "action"='delete'"#;
        assert_eq!(house.number(entry).await, 1);

        // Others are made and used as ever, also by a process that has known the old one.
        house.advance(TimeDelta::days(9));
        let job = house.done(&Webhook::customers_redact(CYD, &[1001])).await;
        assert!(job.completed_at.is_some());
        assert_eq!(keys(&house, KeyPurpose::Payload).await.len(), 2);
        let gone = keys(&house, KeyPurpose::Payload).await.into_iter().find(|key| key.wrapped_key.is_none()).unwrap();
        assert!(house.app().keys().by_id(&gone.id).await.is_err(), "nobody remembers it");
    }

    async fn log_rows_of_other_days_keep_no_key(house: House) {
        house.settle_town().await;
        house.done(&Webhook::customers_redact(ADA, &[1001])).await;
        let first = house.clock.now();
        house.advance(TimeDelta::days(5));
        house.done(&Webhook::customers_redact(BEA, &[1001])).await;
        let log = house.webhook_log().await;
        let of_first_day = log.iter().min_by_key(|row| row.received_at).unwrap();
        house.execute(&format!(r#"DELETE FROM "WebhookLog" WHERE "id"='{}'"#, of_first_day.id)).await;
        let made: Vec<_> = keys(&house, KeyPurpose::Payload).await.iter().map(|key| key.created_at).collect();
        assert_eq!(made.len(), 2);
        let destroyed = house.app().retention().destroy_keys_at(first + TimeDelta::days(400)).await.unwrap();
        let key = content_key::find(house.store(), &destroyed[0]).await.unwrap().unwrap();
        assert_eq!((destroyed.len(), key.created_at), (1, made.into_iter().min().unwrap()));
    }

    async fn a_key_of_packages_goes_when_they_are_removed(house: House) {
        house.settle_town().await;
        house.done(&Webhook::data_request(ADA, &[1001])).await;
        let late = house.clock.now() + TimeDelta::days(400);
        forget_webhooks(&house).await;
        assert_eq!(destroy(&house, late).await, 0, "a package of their day is there");
        assert!(lives(&house, KeyPurpose::Export).await);
        let parts = r#"SELECT count(*) AS "n" FROM "ExportPart""#;
        assert!(house.number(parts).await > 0);
        // A part that outlived its package would still be sealed with it.
        house.execute(r#"UPDATE "ExportPackage" SET "removedAt"="createdAt""#).await;
        assert_eq!(destroy(&house, late).await, 1, "the key of the payload alone");
        assert!(lives(&house, KeyPurpose::Export).await);
        house.execute(r#"UPDATE "ExportPackage" SET "removedAt"=NULL"#).await;
        house.advance(TimeDelta::days(60));
        efface::export::expire(house.store(), &house.clock).await.unwrap();
        assert_eq!(house.number(parts).await, 0);
        assert_eq!(destroy(&house, late).await, 1);
        assert!(!lives(&house, KeyPurpose::Export).await);
    }

    async fn keys_of_the_transport_stay_for_what_a_broker_still_has(house: House) {
        house.app().keys().current(KeyPurpose::Transport).await.unwrap();
        assert_eq!(destroy(&house, house.clock.now() + TimeDelta::days(4_000)).await, 0);
        assert!(lives(&house, KeyPurpose::Transport).await);
    }

    async fn no_key_goes_in_dry_runs_or_by_a_wrong_clock(house: House) {
        house.advance(TimeDelta::days(-30));
        house.app().keys().current(KeyPurpose::Payload).await.unwrap();
        house.advance(TimeDelta::days(30));
        let house = house.with(&[("retention.dry_run", "true")]).await;
        assert!(house.app().retention().destroy_keys().await.unwrap().is_empty());
        let house = house.with(&[]).await;
        house.advance(TimeDelta::hours(2));
        let stopped = house.app().retention().destroy_keys().await;
        assert!(matches!(stopped, Err(RetentionError::Clock(_))), "{stopped:?}");
        house.advance(TimeDelta::hours(-2));
        assert!(lives(&house, KeyPurpose::Payload).await);
        assert_eq!(house.app().retention().destroy_keys().await.unwrap().len(), 1);
    }
}
