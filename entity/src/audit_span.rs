//! Places in the Merkle tree over the audit log, many at once: entries with consecutive numbers at consecutive places.

use sea_orm::entity::prelude::*;

/// The entry numbered `firstOrdinal + n` stands at the place `firstIndex + n`, for every `n` below `length`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "AuditSpan", rename_all = "camelCase")]
pub struct Model {
    /// The first place. A span begins where the one before ended. Set by the sequencer; never changes.
    #[sea_orm(primary_key, auto_increment = false)]
    pub first_index: i64,
    /// The number of the first entry. Set with it; never changes.
    pub first_ordinal: i64,
    /// How many entries, at least one. Set with it; never changes.
    pub length: i64,
}

impl ActiveModelBehavior for ActiveModel {}
