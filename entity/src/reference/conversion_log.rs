//! A conversion that the reference app sent to an advertising platform.

use sea_orm::entity::prelude::*;

use super::personal::PersonalJson;

/// A sent conversion. Unique per shop, order, platform and event type.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "ConversionLog", rename_all = "camelCase")]
pub struct Model {
    /// The app's own id. Set on insert; never changes.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    /// `"Shop"."id"`. Set on insert; never changes.
    #[sea_orm(column_type = "Text", unique_key = "event")]
    pub shop_id: String,
    /// The order, as a plain number or as `gid://shopify/Order/N`. Set on insert; never changes.
    #[sea_orm(column_type = "Text", unique_key = "event")]
    pub order_id: String,
    /// The order's number as people see it. Set on insert.
    #[sea_orm(column_type = "Text", nullable)]
    pub order_number: Option<String>,
    /// The order's value. Set on insert.
    #[sea_orm(column_type = "Decimal(Some((10, 2)))", nullable)]
    pub order_value: Option<Decimal>,
    /// ISO 4217 code. Set on insert.
    #[sea_orm(column_type = "Text")]
    pub currency: String,
    /// The event's id at the platform. Set on insert.
    #[sea_orm(column_type = "Text", nullable)]
    pub event_id: Option<String>,
    /// The advertising platform. Set on insert; never changes.
    #[sea_orm(column_type = "Text", unique_key = "event")]
    pub platform: String,
    /// The kind of event. Set on insert; never changes.
    #[sea_orm(column_type = "Text", unique_key = "event")]
    pub event_type: String,
    /// Where the sending stands. Set on insert and after each try.
    #[sea_orm(column_type = "Text")]
    pub status: String,
    /// Tries so far. Raised with each try.
    pub attempts: i32,
    /// The last try's error. Set after a failed try.
    #[sea_orm(column_type = "Text", nullable)]
    pub error_message: Option<String>,
    /// What the platform answered. Personal. Set after each try.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub platform_response: Option<PersonalJson>,
    /// When the row was made. Set on insert; never changes.
    pub created_at: DateTime,
    /// When the platform took it. Set once.
    pub sent_at: Option<DateTime>,
}

impl ActiveModelBehavior for ActiveModel {}
