//! One row per content key, wrapped: destroying the wrapped bytes makes everything sealed with it unreadable.

use sea_orm::entity::prelude::*;

use crate::text_enum::text_enum;

text_enum! {
    /// What a content key seals.
    pub enum KeyPurpose {
        /// Webhooks while the broker carries them.
        Transport = "transport",
        /// The bodies kept with open jobs.
        Payload = "payload",
        /// Parts of export packages.
        Export = "export",
    }
}

/// A content key.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "SealingKey", rename_all = "camelCase")]
pub struct Model {
    /// Its id, as sealed bytes name it (`transport-2026-11-21-…`). Set when made; never changes.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    /// What it seals. Set when made; never changes.
    pub purpose: KeyPurpose,
    /// The key under its key-encryption key. Set when made, again when rewrapped; made null when destroyed, and never set again.
    pub wrapped_key: Option<Vec<u8>>,
    /// The key-encryption key it is wrapped under. Set when made, again when rewrapped.
    #[sea_orm(column_type = "Text")]
    pub kek_id: String,
    /// When it was made. Set when made; never changes.
    pub created_at: DateTimeUtc,
    /// When it was destroyed. Set together with the loss of `wrappedKey`; never changes after.
    pub destroyed_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
