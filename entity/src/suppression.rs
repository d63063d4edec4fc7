//! One row per person who was erased in a shop: a keyed trace that finds late rows and what a restore brought back.

use sea_orm::entity::prelude::*;

/// A tombstone. Unique per shop, subject and purpose: erasing again renews it.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "Suppression", rename_all = "camelCase")]
pub struct Model {
    /// A UUID v7. Set by the first erasure; never changes.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    /// The shop. Set by the first erasure; never changes.
    #[sea_orm(column_type = "Text", unique_key = "subject")]
    pub shop_domain: String,
    /// Keyed hash of the person: pseudonymised, still personal data. Set by the first erasure; never changes.
    #[sea_orm(column_type = "Text", unique_key = "subject")]
    pub subject_hash: String,
    /// What the trace may be used for (`resweep`, `replay`). Set by the first erasure; never changes.
    #[sea_orm(column_type = "Text", unique_key = "subject")]
    pub purpose: String,
    /// The latest job that erased the person. Set by each erasure.
    #[sea_orm(column_type = "Text")]
    pub job_id: String,
    /// When the person was last erased. Set by each erasure.
    pub created_at: DateTimeUtc,
    /// When the trace itself must go. Set by each erasure.
    pub expires_at: DateTimeUtc,
    /// Re-sweeps done since the last erasure. Made 0 by each erasure, raised by each re-sweep.
    pub sweeps_done: i32,
    /// When the next re-sweep is due. Set by each erasure and each re-sweep; null when none is left.
    pub next_sweep_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
