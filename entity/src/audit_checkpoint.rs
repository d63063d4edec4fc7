//! Signed heads of the audit log, as they were published. Never changed, never deleted.

use sea_orm::entity::prelude::*;

/// A checkpoint.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "AuditCheckpoint", rename_all = "camelCase")]
pub struct Model {
    /// Which log it is of. Set when signed; never changes.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub origin: String,
    /// Entries in the tree. Set when signed; never changes.
    #[sea_orm(primary_key, auto_increment = false)]
    pub size: i64,
    /// The tree's root (32 bytes). Set when signed; never changes.
    pub root: Vec<u8>,
    /// The signed note, byte for byte. Set when signed; never changes.
    #[sea_orm(column_type = "Text")]
    pub note: String,
    /// The public key's id. Set when signed; never changes.
    #[sea_orm(column_type = "Text")]
    pub key_id: String,
    /// When it was signed; never changes.
    pub signed_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
