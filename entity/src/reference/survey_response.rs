//! A buyer's answer to the reference app's survey after a purchase.

use sea_orm::entity::prelude::*;

use super::personal::{PersonalJson, PersonalText};

/// A survey answer.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "SurveyResponse", rename_all = "camelCase")]
pub struct Model {
    /// The app's own id. Set on insert; never changes.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    /// `"Shop"."id"`. Set on insert; never changes.
    #[sea_orm(column_type = "Text")]
    pub shop_id: String,
    /// The order, as a plain number or as `gid://shopify/Order/N`. Set on insert; never changes.
    #[sea_orm(column_type = "Text")]
    pub order_id: String,
    /// The order's number as people see it. Set on insert.
    #[sea_orm(column_type = "Text", nullable)]
    pub order_number: Option<String>,
    /// Stars from 1 to 5. Set on insert.
    pub rating: Option<i32>,
    /// The buyer's own words. Personal. Set on insert.
    #[sea_orm(column_type = "Text", nullable)]
    pub feedback: Option<PersonalText>,
    /// How the buyer found the shop. Set on insert.
    #[sea_orm(column_type = "Text", nullable)]
    pub source: Option<String>,
    /// Answers to the merchant's own questions. Personal. Set on insert.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub custom_answers: Option<PersonalJson>,
    /// When the row was made. Set on insert; never changes.
    pub created_at: DateTime,
}

impl ActiveModelBehavior for ActiveModel {}
