//! The sample shops. Their rows are few enough to count by hand, and the counts stand here as numbers.

use std::sync::LazyLock;

use chrono::{DateTime, Days, NaiveDateTime, Utc};
use entity::reference::personal::{PersonalJson, PersonalText};
use entity::reference::{
    conversion_job, conversion_log, pixel_event_receipt, reconciliation_report, shop, survey_response,
};
use sea_orm::prelude::Decimal;
use sea_orm::{DatabaseConnection, DbErr, EntityTrait, IntoActiveModel};
use serde_json::json;

/// A sample shop.
#[derive(Debug)]
pub struct Sample {
    /// `"Shop"."id"`.
    pub id: &'static str,
    pub domain: &'static str,
    /// What the demo calls it.
    pub name: &'static str,
    /// The platform's number.
    pub number: u64,
    pub email: &'static str,
    uninstalled: bool,
    orders: &'static [&'static str],
    /// Rows before anything happens, in the order of [`super::census::TABLES`].
    pub rows: [usize; 6],
}

/// One of its customers asks for the data, and then to be erased.
pub const ONE: Sample = Sample {
    id: "shop_1",
    domain: "demo-one.myshopify.com",
    name: "demo-one",
    number: 70_001,
    email: "owner-one@example.com",
    uninstalled: false,
    orders: &[
        "5678901234001",
        "9007199254740993",
        "gid://shopify/Order/5678901234003",
        "5678901234010",
        "5678901234011",
        "5678901234012",
        "5678901234013",
        "5678901234014",
    ],
    rows: [16, 8, 16, 4, 3, 1],
};

/// It was uninstalled, and is erased whole.
pub const TWO: Sample = Sample {
    id: "shop_2",
    domain: "demo-two.myshopify.com",
    name: "demo-two",
    number: 70_002,
    email: "owner-two@example.com",
    uninstalled: true,
    orders: &["5678901235001", "5678901235002", "5678901235003", "5678901235004", "5678901235005", "5678901235006"],
    rows: [12, 6, 12, 3, 3, 1],
};

/// Nobody with a valid signature asks anything of it. It has an order of the same number as the customer's.
pub const THREE: Sample = Sample {
    id: "shop_3",
    domain: "demo-three.myshopify.com",
    name: "demo-three",
    number: 70_003,
    email: "owner-three@example.com",
    uninstalled: false,
    orders: &["5678901234001", "5678901236002", "5678901236003", "5678901236004"],
    rows: [8, 4, 8, 2, 3, 1],
};

pub const ALL: [&Sample; 3] = [&ONE, &TWO, &THREE];

/// The customer of [`ONE`] who asks.
pub const CUSTOMER: &str = "7654321";
pub const CUSTOMER_EMAIL: &str = "customer@example.com";
/// The customer's orders as webhooks name them: one is beyond what JavaScript counts exactly, one is stored as global id.
pub const CUSTOMER_ORDERS: [&str; 3] = ["5678901234001", "9007199254740993", "5678901234003"];
/// The same, as a command line would give them.
pub fn customer_orders() -> &'static [String] {
    static ORDERS: LazyLock<[String; 3]> = LazyLock::new(|| CUSTOMER_ORDERS.map(str::to_owned));
    &*ORDERS
}

/// The customer's rows, in the order of [`super::census::TABLES`].
pub const CUSTOMER_ROWS: [usize; 6] = [6, 3, 6, 2, 0, 0];

/// Whether a stored order is one of the customer's.
pub fn is_the_customers(order: &str) -> bool {
    CUSTOMER_ORDERS.contains(&order.trim_start_matches("gid://shopify/Order/"))
}

/// Fills the shops in.
///
/// # Errors
/// When the database refuses.
pub async fn insert(db: &DatabaseConnection, now: DateTime<Utc>) -> Result<(), DbErr> {
    let now = now.naive_utc();
    for sample in ALL {
        add::<shop::Entity>(db, vec![shop_row(sample, now)]).await?;
        add::<conversion_log::Entity>(db, each(sample, |at| vec![log(&at, now, "meta"), log(&at, now, "google")]))
            .await?;
        add::<conversion_job::Entity>(db, each(sample, |at| vec![job(&at, now)])).await?;
        add::<pixel_event_receipt::Entity>(
            db,
            each(sample, |at| vec![pixel(&at, now, "checkout_started"), pixel(&at, now, "purchase")]),
        )
        .await?;
        let answered = |at: At| if at.place.is_multiple_of(2) { vec![survey(&at, now)] } else { Vec::new() };
        add::<survey_response::Entity>(db, each(sample, answered)).await?;
        add::<reconciliation_report::Entity>(db, (1..=3).map(|day| report(sample, now, day)).collect()).await?;
    }
    Ok(())
}

async fn add<E>(db: &DatabaseConnection, rows: Vec<E::Model>) -> Result<(), DbErr>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel>,
{
    let rows = rows.into_iter().map(IntoActiveModel::into_active_model);
    E::insert_many(rows).exec_without_returning(db).await.map(drop)
}

/// An order and its place in the shop's list.
struct At {
    shop: &'static Sample,
    order: &'static str,
    place: usize,
}

impl At {
    fn id(&self, kind: &str) -> String {
        format!("{}_{kind}_{}", self.shop.id, self.place)
    }

    fn shop_id(&self) -> String {
        self.shop.id.to_owned()
    }

    fn number(&self) -> String {
        format!("#{}", 1001 + self.place)
    }

    fn buyer(&self) -> &'static str {
        if self.shop.id == ONE.id && is_the_customers(self.order) { CUSTOMER_EMAIL } else { "somebody@example.org" }
    }
}

fn each<T>(shop: &'static Sample, rows: impl Fn(At) -> Vec<T>) -> Vec<T> {
    shop.orders.iter().enumerate().flat_map(|(place, order)| rows(At { shop, order, place })).collect()
}

fn value() -> Decimal {
    Decimal::new(4_990, 2)
}

fn days_before(now: NaiveDateTime, days: u64) -> NaiveDateTime {
    now.checked_sub_days(Days::new(days)).unwrap_or(now)
}

fn shop_row(sample: &Sample, now: NaiveDateTime) -> shop::Model {
    shop::Model {
        id: sample.id.to_owned(),
        shop_domain: sample.domain.to_owned(),
        email: Some(PersonalText(sample.email.to_owned())),
        name: Some(PersonalText(format!("Sample shop {}", sample.name))),
        plan: Some("basic".to_owned()),
        installed_at: Some(days_before(now, 60)),
        uninstalled_at: sample.uninstalled.then(|| days_before(now, 2)),
        is_active: !sample.uninstalled,
        data_retention_days: 90,
        created_at: days_before(now, 60),
        updated_at: days_before(now, 2),
    }
}

fn log(at: &At, now: NaiveDateTime, platform: &str) -> conversion_log::Model {
    conversion_log::Model {
        id: at.id(&format!("log_{platform}")),
        shop_id: at.shop_id(),
        order_id: at.order.to_owned(),
        order_number: Some(at.number()),
        order_value: Some(value()),
        currency: "EUR".to_owned(),
        event_id: Some(at.id("event")),
        platform: platform.to_owned(),
        event_type: "purchase".to_owned(),
        status: "sent".to_owned(),
        attempts: 1,
        error_message: None,
        platform_response: Some(PersonalJson(json!({ "events_received": 1, "matched": at.buyer() }))),
        created_at: days_before(now, 10),
        sent_at: Some(days_before(now, 10)),
    }
}

fn job(at: &At, now: NaiveDateTime) -> conversion_job::Model {
    conversion_job::Model {
        id: at.id("job"),
        shop_id: at.shop_id(),
        order_id: at.order.to_owned(),
        order_number: Some(at.number()),
        order_value: Some(value()),
        currency: "EUR".to_owned(),
        capi_input: Some(PersonalJson(json!({ "user_data": { "em": at.buyer() } }))),
        status: "completed".to_owned(),
        attempts: 1,
        error_message: None,
        created_at: days_before(now, 10),
        processed_at: Some(days_before(now, 10)),
        completed_at: Some(days_before(now, 10)),
    }
}

fn pixel(at: &At, now: NaiveDateTime, event: &str) -> pixel_event_receipt::Model {
    pixel_event_receipt::Model {
        id: at.id(&format!("pixel_{event}")),
        shop_id: at.shop_id(),
        order_id: at.order.to_owned(),
        event_type: event.to_owned(),
        event_id: Some(at.id("event")),
        checkout_token: Some(at.id("checkout")),
        pixel_timestamp: Some(days_before(now, 10)),
        consent_state: Some(json!({ "marketing": true })),
        trust_level: Some("trusted".to_owned()),
        origin_host: Some(at.shop.domain.to_owned()),
        metadata: None,
        created_at: days_before(now, 10),
    }
}

fn survey(at: &At, now: NaiveDateTime) -> survey_response::Model {
    survey_response::Model {
        id: at.id("survey"),
        shop_id: at.shop_id(),
        order_id: at.order.to_owned(),
        order_number: Some(at.number()),
        rating: Some(5),
        feedback: Some(PersonalText(format!("Please write to {} when it is back in stock.", at.buyer()))),
        source: Some("search".to_owned()),
        custom_answers: Some(PersonalJson(json!({ "gift": false }))),
        created_at: days_before(now, 9),
    }
}

fn report(sample: &Sample, now: NaiveDateTime, day: u64) -> reconciliation_report::Model {
    reconciliation_report::Model {
        id: format!("{}_report_{day}", sample.id),
        shop_id: sample.id.to_owned(),
        platform: "meta".to_owned(),
        report_date: days_before(now, day).date(),
        shopify_orders: 2,
        shopify_revenue: Decimal::new(9_980, 2),
        platform_conversions: 2,
        platform_revenue: Decimal::new(9_980, 2),
        order_discrepancy: 0.0,
        revenue_discrepancy: 0.0,
        status: "ok".to_owned(),
        created_at: days_before(now, day),
    }
}
