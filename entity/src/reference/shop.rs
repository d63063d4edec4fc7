//! A shop that installed the reference app: the tenant, and the parent of all its rows.

use sea_orm::entity::prelude::*;

use super::personal::PersonalText;

/// A shop.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "Shop", rename_all = "camelCase")]
pub struct Model {
    /// The app's own id. Set on install; never changes.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    /// `name.myshopify.com`, unique: what webhooks call the shop. Set on install; never changes.
    #[sea_orm(column_type = "Text", unique)]
    pub shop_domain: String,
    /// The owner's address. Personal. Set on install and whenever the app learns of a new one.
    #[sea_orm(column_type = "Text", nullable)]
    pub email: Option<PersonalText>,
    /// The shop's name, often the owner's. Personal. Set as `email` is.
    #[sea_orm(column_type = "Text", nullable)]
    pub name: Option<PersonalText>,
    /// The billing plan. Set by the app's billing.
    #[sea_orm(column_type = "Text", nullable)]
    pub plan: Option<String>,
    /// When it was installed, or installed again. Set on each install.
    pub installed_at: Option<DateTime>,
    /// When it was uninstalled; null while installed. Set on uninstall, cleared on the next install.
    pub uninstalled_at: Option<DateTime>,
    /// Whether the app is installed. Set on install and on uninstall.
    pub is_active: bool,
    /// Days that the shop's rows are kept; 0 means never delete. Set by the merchant.
    pub data_retention_days: i32,
    /// When the row was made. Set on the first install; never changes.
    pub created_at: DateTime,
    /// When the row last changed. Set by every write.
    pub updated_at: DateTime,
}

impl ActiveModelBehavior for ActiveModel {}
