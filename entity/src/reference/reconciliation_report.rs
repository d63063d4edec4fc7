//! A day's comparison of what the shop sold with what a platform counted: a shop's data, no person's.

use sea_orm::entity::prelude::*;

/// A report. Unique per shop, platform and day.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "ReconciliationReport", rename_all = "camelCase")]
pub struct Model {
    /// The app's own id. Set on insert; never changes.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    /// `"Shop"."id"`. Set on insert; never changes.
    #[sea_orm(column_type = "Text", unique_key = "day")]
    pub shop_id: String,
    /// The advertising platform. Set on insert; never changes.
    #[sea_orm(column_type = "Text", unique_key = "day")]
    pub platform: String,
    /// The day. Set on insert; never changes.
    #[sea_orm(unique_key = "day")]
    pub report_date: Date,
    /// Orders in the shop. Set when the report is made or made again, as are all that follow.
    pub shopify_orders: i32,
    /// Their value.
    #[sea_orm(column_type = "Decimal(Some((10, 2)))")]
    pub shopify_revenue: Decimal,
    /// Conversions at the platform.
    pub platform_conversions: i32,
    /// Their value.
    #[sea_orm(column_type = "Decimal(Some((10, 2)))")]
    pub platform_revenue: Decimal,
    /// Share of orders that the platform lacks.
    pub order_discrepancy: f64,
    /// Share of revenue that the platform lacks.
    pub revenue_discrepancy: f64,
    /// Where the report stands.
    #[sea_orm(column_type = "Text")]
    pub status: String,
    /// When the row was made. Set on insert; never changes.
    pub created_at: DateTime,
}

impl ActiveModelBehavior for ActiveModel {}
