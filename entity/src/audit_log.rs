//! One row per act on personal data or on our own duties: append-only, and a leaf of the Merkle tree. Kept 180 days.

use sea_orm::entity::prelude::*;

use crate::text_enum::text_enum;

text_enum! {
    /// What was done.
    pub enum Action {
        /// Something was recorded.
        Create = "create",
        /// Something was looked at.
        Read = "read",
        /// Something was changed.
        Update = "update",
        /// Something was deleted.
        Delete = "delete",
        /// Something was handed out.
        Export = "export",
        /// Something was checked.
        Validate = "validate",
    }
}

/// An audit entry. Written in the transaction of the act, and never again.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "AuditLog", rename_all = "camelCase")]
pub struct Model {
    /// A UUID v7. Set on append; never changes.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    /// Kind of actor (`system`, `webhook`, `operator`, …). Set on append; never changes.
    #[sea_orm(column_type = "Text")]
    pub actor_type: String,
    /// Which actor: a role of ours, a provider or a token's name; never a person's data. Set on append; never changes.
    #[sea_orm(column_type = "Text")]
    pub actor_id: String,
    /// What was done. Set on append; never changes.
    pub action: Action,
    /// The kind of thing it was done to, by its table. Set on append; never changes.
    #[sea_orm(column_type = "Text")]
    pub resource_type: String,
    /// The id of that thing. Set on append; never changes.
    #[sea_orm(column_type = "Text")]
    pub resource_id: String,
    /// The shop it concerns, if one. Set on append; never changes.
    #[sea_orm(column_type = "Text", nullable)]
    pub shop_domain: Option<String>,
    /// Facts about the act, without personal data. Set on append; never changes.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Option<Json>,
    /// The caller's address, masked. Set on append; never changes.
    #[sea_orm(column_type = "Text", nullable)]
    pub ip_address: Option<String>,
    /// When it was done. Set on append; never changes.
    pub created_at: DateTimeUtc,
    /// 32 random bytes that the salts of its fields come from, so that nobody can guess a field from the tree. Set on append;
    /// never changes.
    pub salt: Vec<u8>,
    /// The number that the database gave it. Its place in the tree is in `"AuditSpan"`.
    pub ordinal: i64,
}

impl ActiveModelBehavior for ActiveModel {}
