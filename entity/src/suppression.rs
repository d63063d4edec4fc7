//! One row per erasure that completed: a keyed trace that finds late rows, and what a restore brought back.

use sea_orm::entity::prelude::*;

use crate::text_enum::text_enum;

text_enum! {
    /// Whom a tombstone stands for.
    pub enum Purpose {
        /// One customer of the shop.
        Customer = "customer",
        /// The whole shop.
        Shop = "shop",
    }
}

/// A tombstone. It is written in the transaction that completes its job, and holds no identifier in the clear but the shop's.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "Suppression", rename_all = "camelCase")]
pub struct Model {
    /// When the erasure completed. First part of the key, so that rows lie in the order in which a replay reads them. Never changes.
    #[sea_orm(primary_key, auto_increment = false)]
    pub created_at: DateTimeUtc,
    /// The job that erased. Second part of the key. Never changes.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub job_id: String,
    /// The shop's domain. Never changes.
    #[sea_orm(column_type = "Text")]
    pub shop_domain: String,
    /// The provider's number of the shop, when the webhook gave one. Never changes.
    #[sea_orm(column_type = "Text", nullable)]
    pub shop_id: Option<String>,
    /// Whom it stands for. Never changes.
    pub purpose: Purpose,
    /// Which digest key the shop's own key was derived from. Never changes.
    #[sea_orm(column_type = "Text")]
    pub key_id: String,
    /// Keyed digests of the identifiers, 16 bytes each, one after the other: pseudonymised, still personal data. Never changes.
    pub digests: Vec<u8>,
    /// Whole shops: the key that the shop's rows were found under, per store, because the row that told it is gone. Never changes.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub shop_keys: Option<Json>,
    /// When the trace itself must go. Never changes.
    pub expires_at: DateTimeUtc,
    /// Re-sweeps done. Raised by each.
    pub sweeps_done: i32,
    /// When the next re-sweep is due. Set with the row and by each re-sweep; null when none is left.
    pub next_sweep_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
