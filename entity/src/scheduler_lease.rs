//! One row per thing that only one process at a time may do: who does it, and until when nobody else may.

use sea_orm::entity::prelude::*;

/// A lease.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "SchedulerLease", rename_all = "camelCase")]
pub struct Model {
    /// What it is about (`scheduler`, `retention`). Set with the first holder; never changes.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub name: String,
    /// Who holds it, for people only. Set by each holder.
    #[sea_orm(column_type = "Text")]
    pub owner: String,
    /// Raised by one with each holder: the number that makes a stale one harmless. Never falls.
    pub fence: i64,
    /// From when on anybody may take it. Moved on by the holder.
    pub lease_until: DateTimeUtc,
    /// The last scheduled instant that was dealt with. Set by the holder; null before the first.
    pub slot_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
