//! An event that the reference app's pixel saw in a buyer's browser.

use sea_orm::entity::prelude::*;

/// A pixel event. Unique per shop, order and event type.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "PixelEventReceipt", rename_all = "camelCase")]
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
    /// The kind of event. Set on insert; never changes.
    #[sea_orm(column_type = "Text", unique_key = "event")]
    pub event_type: String,
    /// The event's id in the browser. Set on insert.
    #[sea_orm(column_type = "Text", nullable)]
    pub event_id: Option<String>,
    /// The checkout's token, a second key of the order. Set on insert.
    #[sea_orm(column_type = "Text", nullable)]
    pub checkout_token: Option<String>,
    /// When the browser says that it happened. Set on insert.
    pub pixel_timestamp: Option<DateTime>,
    /// What the buyer agreed to. Set on insert.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub consent_state: Option<Json>,
    /// How far the app trusts the event. Set on insert.
    #[sea_orm(column_type = "Text", nullable)]
    pub trust_level: Option<String>,
    /// The page's host. Set on insert.
    #[sea_orm(column_type = "Text", nullable)]
    pub origin_host: Option<String>,
    /// Anything else that the pixel sent. Set on insert.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Option<Json>,
    /// When the row was made. Set on insert; never changes.
    pub created_at: DateTime,
}

impl ActiveModelBehavior for ActiveModel {}
