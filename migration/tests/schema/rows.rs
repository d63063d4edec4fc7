//! One row of every entity, written and read back: the entities and the migrations mean the same columns.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use entity::reference::personal::{PersonalJson, PersonalText};
use entity::reference::{
    conversion_job, conversion_log, pixel_event_receipt, reconciliation_report, shop, survey_response,
};
use entity::{
    audit_log, deletion_receipt, export_package, export_part, gdpr_job, legal_hold, retention_run, scheduler_lease,
    sealing_key, source, suppression, webhook_log,
};
use sea_orm_migration::sea_orm::prelude::Decimal;
use sea_orm_migration::sea_orm::{
    ActiveModelTrait as _, ConnectionTrait as _, DatabaseConnection, EntityTrait, IntoActiveModel as _,
};
use serde_json::json;

macro_rules! reads_back {
    ($db:expr, $entity:ident { $($fields:tt)* }) => {{
        let written = $entity::Model { $($fields)* };
        let row = written.clone().into_active_model().reset_all();
        $entity::Entity::insert(row).exec_without_returning($db).await.unwrap();
        let read = $entity::Entity::find_by_id(&written.id).one($db).await.unwrap().unwrap();
        assert_eq!(read, written);
    }};
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn text(text: &str) -> String {
    text.to_owned()
}

pub async fn own(db: &DatabaseConnection) {
    let (early, late) = (at("2026-11-21T05:42:00Z"), at("2026-12-21T05:42:00.123Z"));

    reads_back!(
        db,
        gdpr_job {
            id: text("gdpr_1"),
            shop_domain: text("a.example"),
            shop_id: Some(text("9007199254740993")),
            job_type: gdpr_job::JobType::CustomerRedact,
            status: gdpr_job::JobStatus::Processing,
            outcome: Some(gdpr_job::Outcome::NothingFound),
            topic: text("customers/redact"),
            provider: text("shopify"),
            source: source::Source::Amqp,
            payload: json!({ "customer_id": 1, "orders_to_redact": ["9007199254740993"] }),
            sealed_payload: Some(vec![0, 1, 255]),
            body_digest: text("d1"),
            result: Some(json!({ "residual": 0 })),
            progress: Some(json!({})),
            error_message: Some(text("no")),
            hold_reason: Some(text("legal_hold")),
            plan_hash: None,
            approved_plan: None,
            attempts: 2,
            fence: i64::MAX,
            lease_until: Some(late),
            lease_owner: Some(text("w")),
            webhook_id: text("w1"),
            event_id: Some(text("e1")),
            triggered_at: Some(early),
            created_at: early,
            due_at: late,
            scheduled_at: early,
            processed_at: Some(early),
            verified_at: Some(late),
            completed_at: Some(late),
            updated_at: late,
        }
    );
    reads_back!(
        db,
        webhook_log {
            id: text("wl_1"),
            shop_domain: text("a.example"),
            webhook_id: text("w1"),
            topic: text("customers/redact"),
            event_id: None,
            provider: text("shopify"),
            source: source::Source::Http,
            api_version: Some(text("2026-10")),
            body_digest: text("d1"),
            job_key: Some(text("k1")),
            status: webhook_log::WebhookStatus::Accepted,
            reason: None,
            job_id: Some(text("gdpr_1")),
            deliveries: 3,
            triggered_at: None,
            received_at: early,
        }
    );
    reads_back!(
        db,
        audit_log {
            id: text("a_1"),
            actor_type: text("system"),
            actor_id: text("worker"),
            action: audit_log::Action::Delete,
            resource_type: text("GDPRJob"),
            resource_id: text("gdpr_1"),
            shop_domain: Some(text("a.example")),
            metadata: Some(json!({ "rows": 3 })),
            ip_address: None,
            created_at: early,
            salt: vec![8; 32],
            ordinal: 1,
        }
    );
    evidence(db, early, late).await;
    packages(db, early, late).await;
}

async fn evidence(db: &DatabaseConnection, early: DateTime<Utc>, late: DateTime<Utc>) {
    reads_back!(
        db,
        deletion_receipt {
            id: text("r_1"),
            job_id: text("gdpr_1"),
            shop_domain: text("a.example"),
            job_type: gdpr_job::JobType::ShopRedact,
            outcome: gdpr_job::Outcome::Erased,
            envelope: vec![b'{', b'}'],
            key_id: text("sign-1"),
            created_at: early,
            expires_at: late,
        }
    );
    reads_back!(
        db,
        retention_run {
            id: text("rr_1"),
            sweep_id: Some(text("sweep_1")),
            store: text("default"),
            rows_due: 1 << 40,
            because: Some(text("few rows are due")),
            longest_ms: 249,
            vacuumed: true,
            resume: Some(text("page 7")),
            trigger: text("schedule"),
            policy: text("by_shop"),
            table_name: text("ConversionLog"),
            cutoff: Some(early),
            rows_purged: 1 << 40,
            rows_held: 1,
            batches: 9,
            strategy: None,
            dry_run: true,
            limit_reached: false,
            error: None,
            started_at: early,
            finished_at: Some(late),
        }
    );
    reads_back!(
        db,
        legal_hold {
            id: text("h_1"),
            scope: legal_hold::HoldScope::Subject,
            shop_domain: Some(text("a.example")),
            subject: Some(json!({ "email": ["s1"] })),
            table_name: None,
            reason: text("litigation"),
            placed_by: text("ops"),
            placed_at: early,
            review_at: Some(late),
            released_at: None,
            released_by: None,
        }
    );
    let lease = scheduler_lease::Model {
        name: text("scheduler"),
        owner: text("w"),
        fence: i64::MAX,
        lease_until: late,
        slot_at: Some(early),
    };
    scheduler_lease::Entity::insert(lease.clone().into_active_model()).exec_without_returning(db).await.unwrap();
    assert_eq!(scheduler_lease::Entity::find_by_id("scheduler").one(db).await.unwrap(), Some(lease));
    let tombstone = suppression::Model {
        created_at: early,
        job_id: text("gdpr_1"),
        shop_domain: text("a.example"),
        shop_id: Some(text("9007199254740993")),
        purpose: suppression::Purpose::Shop,
        key_id: text("digest-1"),
        digests: vec![0, 255],
        shop_keys: Some(json!({ "default": "s1" })),
        expires_at: late,
        sweeps_done: 1,
        next_sweep_at: None,
    };
    let row = tombstone.clone().into_active_model().reset_all();
    suppression::Entity::insert(row).exec_without_returning(db).await.unwrap();
    assert_eq!(suppression::Entity::find_by_id((early, text("gdpr_1"))).one(db).await.unwrap().unwrap(), tombstone);
}

async fn packages(db: &DatabaseConnection, early: DateTime<Utc>, late: DateTime<Utc>) {
    reads_back!(
        db,
        export_package {
            id: text("pkg_1"),
            job_id: text("gdpr_2"),
            shop_domain: text("a.example"),
            status: export_package::PackageStatus::Ready,
            rows_total: 4,
            counts: json!({ "ConversionLog": 4 }),
            created_at: early,
            ready_at: Some(early),
            expires_at: late,
            removed_at: None,
            contents: Some(json!({ "tables": [], "parts": 0 })),
            received_at: Some(early),
            link_digest: Some(vec![7; 32]),
            link_expires_at: Some(late),
            link_recipient: Some(text("age1…")),
            link_tries: 2,
            link_used_at: None,
        }
    );
    reads_back!(
        db,
        export_part {
            id: text("p_1"),
            package_id: text("pkg_1"),
            sequence: 0,
            table_name: text("ConversionLog"),
            rows: 4,
            sealed: vec![1],
        }
    );
    reads_back!(
        db,
        sealing_key {
            id: text("transport-2026-11-21-0011aabb"),
            purpose: sealing_key::KeyPurpose::Transport,
            wrapped_key: Some(vec![9; 60]),
            kek_id: text("kek-1"),
            created_at: early,
            destroyed_at: None,
        }
    );
}

pub async fn reference(db: &DatabaseConnection) {
    let day = NaiveDate::from_ymd_opt(2026, 11, 21).unwrap();
    let noon: NaiveDateTime = day.and_hms_milli_opt(12, 0, 0, 5).unwrap();

    reads_back!(
        db,
        shop {
            id: text("shop-1"),
            shop_domain: text("a.example"),
            email: Some(PersonalText(text("owner@a.example"))),
            name: Some(PersonalText(text("A"))),
            plan: None,
            installed_at: Some(noon),
            uninstalled_at: None,
            is_active: false,
            data_retention_days: 30,
            created_at: noon,
            updated_at: noon,
        }
    );
    reads_back!(
        db,
        conversion_log {
            id: text("cl-1"),
            shop_id: text("shop-1"),
            order_id: text("gid://shopify/Order/1"),
            order_number: None,
            order_value: Some(Decimal::new(1999, 2)),
            currency: text("EUR"),
            event_id: None,
            platform: text("google"),
            event_type: text("purchase"),
            status: text("sent"),
            attempts: 1,
            error_message: None,
            platform_response: Some(PersonalJson(json!({ "ok": true }))),
            created_at: noon,
            sent_at: Some(noon),
        }
    );
    reads_back!(
        db,
        conversion_job {
            id: text("cj-1"),
            shop_id: text("shop-1"),
            order_id: text("1"),
            order_number: Some(text("#1")),
            order_value: None,
            currency: text("EUR"),
            capi_input: Some(PersonalJson(json!({ "em": "hash" }))),
            status: text("completed"),
            attempts: 1,
            error_message: None,
            created_at: noon,
            processed_at: None,
            completed_at: Some(noon),
        }
    );
    seen_and_said(db, noon, day).await;
}

async fn seen_and_said(db: &DatabaseConnection, noon: NaiveDateTime, day: NaiveDate) {
    reads_back!(
        db,
        pixel_event_receipt {
            id: text("pr-1"),
            shop_id: text("shop-1"),
            order_id: text("1"),
            event_type: text("purchase"),
            event_id: None,
            checkout_token: Some(text("t1")),
            pixel_timestamp: Some(noon),
            consent_state: Some(json!({ "marketing": true })),
            trust_level: None,
            origin_host: None,
            metadata: None,
            created_at: noon,
        }
    );
    reads_back!(
        db,
        survey_response {
            id: text("sr-1"),
            shop_id: text("shop-1"),
            order_id: text("1"),
            order_number: None,
            rating: Some(5),
            feedback: Some(PersonalText(text("thanks"))),
            source: None,
            custom_answers: None,
            created_at: noon,
        }
    );
    reads_back!(
        db,
        reconciliation_report {
            id: text("rep-1"),
            shop_id: text("shop-1"),
            platform: text("meta"),
            report_date: day,
            shopify_orders: 10,
            shopify_revenue: Decimal::new(12_345, 2),
            platform_conversions: 9,
            platform_revenue: Decimal::new(10_000, 2),
            order_discrepancy: 0.1,
            revenue_discrepancy: 0.25,
            status: text("done"),
            created_at: noon,
        }
    );
}

pub async fn reference_by_keys_alone(db: &DatabaseConnection) {
    for insert in [
        r#"INSERT INTO "Shop" ("id", "shopDomain") VALUES ('s', 'a.example')"#,
        r#"INSERT INTO "ConversionLog" ("id", "shopId", "orderId") VALUES ('a', 's', '1')"#,
        r#"INSERT INTO "ConversionJob" ("id", "shopId", "orderId") VALUES ('a', 's', '1')"#,
        r#"INSERT INTO "PixelEventReceipt" ("id", "shopId", "orderId") VALUES ('a', 's', '1')"#,
        r#"INSERT INTO "SurveyResponse" ("id", "shopId", "orderId") VALUES ('a', 's', '1')"#,
        r#"INSERT INTO "ReconciliationReport" ("id", "shopId", "reportDate") VALUES ('a', 's', '2026-11-21')"#,
    ] {
        db.execute_unprepared(insert).await.unwrap();
    }
    // What was left out reads back as a whole row.
    let made = shop::Entity::find_by_id("s").one(db).await.unwrap().unwrap();
    assert!(made.is_active);
    assert_eq!(made.data_retention_days, 90);
    assert!(made.installed_at.is_some());
    conversion_log::Entity::find_by_id("a").one(db).await.unwrap().unwrap();
    assert_eq!(conversion_job::Entity::find_by_id("a").one(db).await.unwrap().unwrap().status, "queued");
    pixel_event_receipt::Entity::find_by_id("a").one(db).await.unwrap().unwrap();
    survey_response::Entity::find_by_id("a").one(db).await.unwrap().unwrap();
    reconciliation_report::Entity::find_by_id("a").one(db).await.unwrap().unwrap();
}
