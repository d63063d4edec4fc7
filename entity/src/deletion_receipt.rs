//! One row per ended job: the signed statement of what was done. Kept 10 years; holds no personal data.

use sea_orm::entity::prelude::*;

use crate::gdpr_job::{JobType, Outcome};

/// A receipt. Inserted in the transaction that ends its job; no field changes after.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "DeletionReceipt", rename_all = "camelCase")]
pub struct Model {
    /// A UUID v7. Set by the signer; never changes.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    /// The job it speaks of; one receipt per job. Set by the signer; never changes.
    #[sea_orm(column_type = "Text", unique)]
    pub job_id: String,
    /// The shop it speaks of. Set by the signer; never changes.
    #[sea_orm(column_type = "Text")]
    pub shop_domain: String,
    /// What was asked for. Set by the signer; never changes.
    pub job_type: JobType,
    /// What it came to. Set by the signer; never changes.
    pub outcome: Outcome,
    /// The DSSE envelope, byte for byte as signed. Set by the signer; never changes.
    pub envelope: Vec<u8>,
    /// Which signing key signed it: SHA-256 of its `SubjectPublicKeyInfo`, in hex. Set by the signer; never changes.
    #[sea_orm(column_type = "Text")]
    pub key_id: String,
    /// When it was signed. Set by the signer; never changes.
    pub created_at: DateTimeUtc,
    /// When the row may be purged. Set by the signer; never changes.
    pub expires_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
