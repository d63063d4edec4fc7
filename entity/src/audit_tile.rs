//! The hashes of the Merkle tree, 256 to a row, as C2SP `tlog-tiles` cuts them. A tile only ever gets longer, up to 256.

use sea_orm::entity::prelude::*;

/// A tile, whole or not yet.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "AuditTile", rename_all = "camelCase")]
pub struct Model {
    /// 0 holds hashes of leaves; each hash of a higher level is that of a whole tile below. Set when made; never changes.
    #[sea_orm(primary_key, auto_increment = false)]
    pub level: i32,
    /// Its number within the level. Set when made; never changes.
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i64,
    /// 1 to 256 hashes of 32 bytes. Set by the sequencer, which only appends.
    pub hashes: Vec<u8>,
}

impl ActiveModelBehavior for ActiveModel {}
