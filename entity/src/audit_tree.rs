//! One row: the head of the Merkle tree over the audit log. Only its size and its minimum index ever move, and only upwards.

use sea_orm::entity::prelude::*;

/// The tree's head.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "AuditTree", rename_all = "camelCase")]
pub struct Model {
    /// Always `audit`.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    /// The first line of every checkpoint: which log this is. Made with the table; never changes.
    #[sea_orm(column_type = "Text")]
    pub origin: String,
    /// Entries that have a place. Set by the sequencer, together with their places.
    pub size: i64,
    /// Entries below it may be gone. Raised by the pruner before it deletes.
    pub minimum_index: i64,
    /// The signed note that publishes the minimum index. Set together with it.
    #[sea_orm(column_type = "Text", nullable)]
    pub policy: Option<String>,
    /// Every entry with a number up to it has its place. Raised by the sequencer.
    pub settled: i64,
}

impl ActiveModelBehavior for ActiveModel {}
