//! One row per order not to erase: who asked for it, on what ground, and when it is looked at again.

use sea_orm::entity::prelude::*;

use crate::text_enum::text_enum;

text_enum! {
    /// How much a hold covers.
    pub enum HoldScope {
        /// Everything of one shop.
        Shop = "shop",
        /// One person in one shop.
        Subject = "subject",
        /// One table, of one shop or of all.
        Table = "table",
    }
}

/// A legal hold. In force from `placedAt` until `releasedAt`; released ones stay as a record.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "LegalHold", rename_all = "camelCase")]
pub struct Model {
    /// A UUID v7. Set when placed; never changes.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    /// How much it covers. Set when placed; never changes.
    pub scope: HoldScope,
    /// The shop; null for a table of all shops. Set when placed; never changes.
    #[sea_orm(column_type = "Text", nullable)]
    pub shop_domain: Option<String>,
    /// Keyed hashes of the person's identifiers by kind, for the scope `subject`: `{"email":["…"],"order_id":["…","…"]}`.
    /// Set when placed; never changes.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub subject: Option<Json>,
    /// The table, for the scope `table`. Set when placed; never changes.
    #[sea_orm(column_type = "Text", nullable)]
    pub table_name: Option<String>,
    /// The legal ground, in the operator's words. Set when placed; never changes.
    #[sea_orm(column_type = "Text")]
    pub reason: String,
    /// The token's name of who placed it. Set when placed; never changes.
    #[sea_orm(column_type = "Text")]
    pub placed_by: String,
    /// When it was placed. Set when placed; never changes.
    pub placed_at: DateTimeUtc,
    /// When somebody must look at it again. Set when placed; never changes.
    pub review_at: Option<DateTimeUtc>,
    /// When it ended. Set when released; never changes after.
    pub released_at: Option<DateTimeUtc>,
    /// The token's name of who released it. Set when released; never changes after.
    #[sea_orm(column_type = "Text", nullable)]
    pub released_by: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
