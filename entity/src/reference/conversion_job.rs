//! A conversion that the reference app has yet to send, with the hashed identifiers it will send.

use sea_orm::entity::prelude::*;

use super::personal::PersonalJson;

/// A queued conversion. Unique per shop and order.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "ConversionJob", rename_all = "camelCase")]
pub struct Model {
    /// The app's own id. Set on insert; never changes.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    /// `"Shop"."id"`. Set on insert; never changes.
    #[sea_orm(column_type = "Text", unique_key = "order")]
    pub shop_id: String,
    /// The order, as a plain number or as `gid://shopify/Order/N`. Set on insert; never changes.
    #[sea_orm(column_type = "Text", unique_key = "order")]
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
    /// Hashed identifiers of the customer: still personal. Set on insert.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub capi_input: Option<PersonalJson>,
    /// `queued`, `processing`, `completed`, `failed`, `limit_exceeded` or `dead_letter`. Set by the app's worker.
    #[sea_orm(column_type = "Text")]
    pub status: String,
    /// Tries so far. Raised with each try.
    pub attempts: i32,
    /// The last try's error. Set after a failed try.
    #[sea_orm(column_type = "Text", nullable)]
    pub error_message: Option<String>,
    /// When the row was made. Set on insert; never changes.
    pub created_at: DateTime,
    /// When the latest try began. Set by the app's worker.
    pub processed_at: Option<DateTime>,
    /// When it was done; retention counts from here. Set once.
    pub completed_at: Option<DateTime>,
}

impl ActiveModelBehavior for ActiveModel {}
