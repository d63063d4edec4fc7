//! `app/uninstalled` marks the shop, makes no job and erases nothing.

use std::collections::HashMap;
use std::process::Command;

use chrono::{DateTime, TimeDelta, Utc};
use efface::acceptance::carrier::Carrier;
use efface::acceptance::receiver::Receiver;
use efface::app::Roles;
use efface::broker::{Disposition, Incoming};
use efface::erasure::data_map::DataMap;
use efface::erasure::execute::uninstall::{self, Mark};
use efface::shutdown::Shutdown;
use efface::store::target;
use efface::webhook::{Mismatch, Secrets};
use entity::webhook_log::WebhookStatus;
use serde_json::{Value, json};

use super::uninstalled;
use crate::house::{ADA, BEA, CYD, House, SECRET, Webhook};

/// The day of an instant as both databases write it.
fn day(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d").to_string()
}

/// What the audit log says of the one webhook that was told.
async fn audited(house: &House) -> Value {
    use entity::audit_log::{Column, Entity};
    use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};
    let told = Entity::find().filter(Column::ResourceType.eq("WebhookLog")).all(house.store().db()).await.unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    let log = house.webhook_log().await;
    let row = log.iter().find(|row| row.topic == "app/uninstalled").unwrap();
    assert_eq!((told[0].actor_id.as_str(), &told[0].resource_id), ("shopify", &row.id));
    told[0].metadata.clone().unwrap()
}

/// Takes in an uninstallation between two erasures.
async fn the_batch_goes_on_without_the_mark(house: &House) {
    let arrivals =
        [Webhook::customers_redact(ADA, &[1001_u64]), uninstalled(ADA), Webhook::customers_redact(BEA, &[1001_u64])];
    let arrivals = arrivals.iter().map(|webhook| house.arrival(webhook)).collect();
    let answers = house.app().intake().accept(arrivals).await.unwrap();
    assert_eq!(answers.iter().map(|answer| answer.job_id.is_some()).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(audited(house).await["shop"], "not_marked");
    assert_eq!(house.webhook_log().await.len(), 3);
}

both_databases! {
    async fn the_shop_is_marked_nothing_is_erased_and_no_job_is_made(house: House) {
        house.settle_town().await;
        let before = house.contents().await.digests();
        assert!(!house.tell(&uninstalled(ADA)).await);
        let (active, at) = house.shop(ADA).await;
        assert!(!active && at.clone().unwrap().starts_with(&day(house.clock.now())), "{at:?}");
        assert_eq!(house.shop(BEA).await, (true, None));
        let mut after = house.contents().await.digests();
        let shop = ("Shop", ADA.to_owned());
        assert_ne!(after[&shop], before[&shop]);
        after.insert(shop.clone(), before[&shop].clone());
        assert_eq!(after, before, "nothing but the shop's own row has changed");

        assert!(house.jobs().await.is_empty());
        let log = house.webhook_log().await;
        assert_eq!(log.len(), 1);
        assert_eq!((log[0].status, log[0].job_id.as_deref(), log[0].topic.as_str()), (WebhookStatus::Accepted, None, "app/uninstalled"));
        assert_eq!((&audited(&house).await["shop"], &audited(&house).await["topic"]), (&json!("marked"), &json!("app/uninstalled")));
        for personal in ["owner@", "Jane Owner"] {
            house.assert_not_kept(personal).await;
        }
    }

    async fn duplicates_and_a_second_event_change_nothing_more(house: House) {
        house.settle_town().await;
        let webhook = uninstalled(ADA).event("e-1");
        assert!(!house.tell(&webhook).await);
        let marked = house.shop(ADA).await;
        house.advance(TimeDelta::days(1));
        assert!(house.tell(&webhook).await);
        assert_eq!(house.webhook_log().await[0].deliveries, 2);
        // The same news under another id, as with two subscriptions.
        assert!(!house.tell(&uninstalled(ADA).event("e-1")).await);
        assert_eq!(house.shop(ADA).await, marked, "the first date stays");
        let arrivals = vec![house.arrival(&webhook), house.arrival(&uninstalled(BEA)), house.arrival(&webhook)];
        let answers = house.app().intake().accept(arrivals).await.unwrap();
        assert_eq!(answers.iter().map(|a| a.duplicate).collect::<Vec<_>>(), [true, false, true]);
        assert!(house.jobs().await.is_empty());
    }

    async fn the_apps_own_date_stays_and_the_switch_goes_off(house: House) {
        house.settle_town().await;
        house.uninstall(ADA, false).await;
        house.execute(&format!(r#"UPDATE "Shop" SET "isActive"=true WHERE "shopDomain"='{ADA}'"#)).await;
        house.tell(&uninstalled(ADA)).await;
        let (active, at) = house.shop(ADA).await;
        assert!(!active && at.unwrap().starts_with("2026-11-02"));
    }

    async fn a_shop_that_left_once_more_gets_a_new_date(house: House) {
        house.settle_town().await;
        house.uninstall(ADA, true).await;
        house.tell(&uninstalled(ADA)).await;
        let (active, at) = house.shop(ADA).await;
        assert!(!active && at.unwrap().starts_with(&day(house.clock.now())));
    }

    async fn news_that_is_older_than_the_installation_undoes_nothing(house: House) {
        house.settle_town().await;
        house.uninstall(ADA, true).await;
        let before = house.shop(ADA).await;
        let mut arrival = house.arrival(&uninstalled(ADA));
        arrival.delivery.triggered_at = Some("2026-11-02T00:00:00Z".parse().unwrap());
        house.app().intake().accept(vec![arrival]).await.unwrap();
        assert_eq!(house.shop(ADA).await, before);
        assert_eq!(audited(&house).await["shop"], "installed_since");
    }

    async fn a_time_in_the_future_counts_as_now(house: House) {
        house.settle_town().await;
        let mut arrival = house.arrival(&uninstalled(ADA));
        arrival.delivery.triggered_at = Some("2099-01-01T00:00:00Z".parse().unwrap());
        house.app().intake().accept(vec![arrival]).await.unwrap();
        assert!(house.shop(ADA).await.1.unwrap().starts_with(&day(house.clock.now())));
    }

    async fn an_unknown_shop_is_recorded(house: House) {
        assert!(!house.tell(&uninstalled(ADA)).await);
        assert_eq!(audited(&house).await["shop"], "unknown");
    }

    async fn news_that_contradicts_itself_is_rejected_and_marks_nothing(house: House) {
        house.settle_town().await;
        let mut arrival = house.arrival(&uninstalled(ADA));
        arrival.delivery.mismatch = Some(Mismatch::OtherShop);
        house.app().intake().accept(vec![arrival]).await.unwrap();
        assert_eq!(house.shop(ADA).await, (true, None));
        let log = house.webhook_log().await;
        assert_eq!((log[0].status, log[0].reason.as_deref()), (WebhookStatus::Rejected, Some("payload_mismatch")));
        assert_eq!(audited(&house).await["rejected"], "payload_mismatch");
    }

    async fn the_same_id_with_another_body_is_rejected(house: House) {
        house.settle_town().await;
        house.tell(&uninstalled(BEA).id("w")).await;
        let other = Webhook::new("app/uninstalled", json!({ "myshopify_domain": BEA, "id": 1 }).to_string()).id("w");
        assert!(!house.tell(&other).await);
        assert!(house.tell(&other).await, "and recognised when it comes again");
        let log = house.webhook_log().await;
        let rejected = log.iter().find(|row| row.status == WebhookStatus::Rejected).unwrap();
        assert_eq!(rejected.reason.as_deref(), Some("webhook_id_conflict"));
    }

    async fn a_table_that_does_not_take_the_mark_loses_no_webhook_of_the_batch(house: House) {
        house.settle_town().await;
        if house.is_sqlite() {
            let sql = r#"CREATE TRIGGER "no" BEFORE UPDATE ON "Shop" BEGIN SELECT RAISE(ABORT, 'no'); END"#;
            house.execute(sql).await;
        } else {
            house.execute(r#"ALTER TABLE "Shop" ALTER COLUMN "isActive" DROP DEFAULT, ALTER COLUMN "isActive" TYPE integer USING 1"#).await;
        }
        the_batch_goes_on_without_the_mark(&house).await;
        house.leaves_jobs();
    }

    async fn it_travels_through_the_queue_raw_and_sealed(house: House) {
        house.settle_town().await;
        let app = house.app();
        let carrier = Carrier::new(app.keys().clone());
        let secrets = Secrets::new(vec![SECRET.to_owned()]);
        let receiver = Receiver::new(carrier.clone(), app.intake().clone(), secrets, house.clock.clone(), 256);
        let packed = carrier.pack(&[house.arrival(&uninstalled(ADA))]).await.unwrap();
        assert_eq!(packed.routing_key, "app.uninstalled");
        let sealed = Incoming {
            content_type: Some(packed.content_type.to_owned()),
            routing_key: packed.routing_key,
            headers: HashMap::new(),
            body: packed.body,
            message_id: Some(packed.message_id),
            redelivered: false,
        };
        let (body, hmac) = uninstalled(BEA).signed();
        let raw = Incoming {
            content_type: Some("application/json".to_owned()),
            routing_key: "app.uninstalled".to_owned(),
            headers: HashMap::from([("x-shopify-hmac-sha256".to_owned(), hmac)]),
            body,
            message_id: None,
            redelivered: false,
        };
        let dispositions = receiver.receive(vec![sealed, raw]).await.unwrap();
        assert!(dispositions.iter().all(|done| matches!(done, Disposition::Done)));
        assert!(!house.shop(ADA).await.0 && !house.shop(BEA).await.0 && house.shop(CYD).await.0);
        assert!(house.jobs().await.is_empty());
    }

    async fn the_command_line_triggers_it_at_the_http_door(house: House) {
        house.settle_town().await;
        let shutdown = Shutdown::new();
        let door = house.another_until(&[("http.listen", "127.0.0.1:0")], &shutdown).await;
        let listener = door.listen().await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let served = tokio::spawn(door.serve(Roles { http: true, worker: false, scheduler: false }, Some(listener)));
        let trigger = move || {
            let args = ["webhook", "trigger", "--topic", "app/uninstalled", "--shop", ADA, "--secret", SECRET, "--json"];
            Command::new(env!("CARGO_BIN_EXE_efface")).env_clear().args(args).args(["--address", &address]).output().unwrap()
        };
        let output = tokio::task::spawn_blocking(trigger).await.unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(printed["lastAnswer"], json!({ "jobId": null, "duplicate": false }));
        shutdown.cancel();
        served.await.unwrap();
        assert!(!house.shop(ADA).await.0);
    }

    async fn the_date_is_written_as_the_app_writes_its_dates(house: House) {
        let types: &[(&str, &str)] = if house.is_sqlite() {
            &[("DATETIME", "1700000000000"), ("DATETIME", "'2026-01-01T00:00:00.000Z'"), ("TEXT", "'2026-01-01'")]
        } else {
            &[("timestamp(3)", "'2026-01-01'"), ("timestamptz", "'2026-01-01'"), ("date", "'2026-01-01'"), ("text", "'2026-01-01'")]
        };
        for (n, (column_type, installed)) in types.iter().enumerate() {
            let map = format!(
                "version = 1\n[shop]\ntable = \"Store{n}\"\nid = \"id\"\ndomain = \"domain\"\nactive = \"active\"\n\
                 installed_at = \"installed\"\nuninstalled_at = \"left\"\nresult_key = \"deletedStores\"\n"
            );
            let shop = DataMap::parse(&map).unwrap().default_store().shop.clone().unwrap().table;
            house
                .execute(&format!(
                    r#"CREATE TABLE "Store{n}" ("id" text, "domain" text, "active" boolean, "installed" {column_type}, "left" {column_type});
                       INSERT INTO "Store{n}" VALUES ('1', '{ADA}', true, {installed}, NULL)"#
                ))
                .await;
            let at = house.clock.now();
            let tx = house.store().begin_write().await.unwrap();
            assert_eq!(uninstall::mark(&tx, &shop, &[(ADA.to_owned(), at)]).await.unwrap(), [Mark::Made], "{column_type}");
            tx.commit().await.unwrap();
            let read = target::installations(house.store().db(), &shop, vec![ADA.to_owned()], false).await.unwrap().remove(0);
            let left = read.uninstalled_at.unwrap();
            assert!(left == at || left.date_naive() == at.date_naive() && *column_type == "date", "{column_type}: {left} and {at}");
            if house.is_sqlite() {
                let same = format!(r#"SELECT typeof("left")=typeof("installed") AS n FROM "Store{n}""#);
                assert_eq!(house.number(&same).await, 1);
            }
            assert_eq!(house.number(&format!(r#"SELECT count(*) AS n FROM "Store{n}" WHERE NOT "active""#)).await, 1);
        }
    }
}

on_postgres! {
    /// The code that a trigger's deletes raise when they meet Efface's is a refusal like any other where Efface deletes nothing.
    async fn a_trigger_that_refuses_the_mark_loses_no_webhook_of_the_batch(house: House) {
        house.settle_town().await;
        house.execute(r#"CREATE FUNCTION "no"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
              RAISE EXCEPTION 'no' USING ERRCODE = '27000'; END $$;
            CREATE TRIGGER "no" BEFORE UPDATE ON "Shop" FOR EACH ROW EXECUTE FUNCTION "no"()"#).await;
        the_batch_goes_on_without_the_mark(&house).await;
        house.leaves_jobs();
    }
}
