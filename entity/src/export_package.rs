//! One row per answered `customers/data_request`: the package that the merchant may fetch, and its end.

use sea_orm::entity::prelude::*;

use crate::text_enum::text_enum;

text_enum! {
    /// Where a package stands.
    pub enum PackageStatus {
        /// Its parts are being collected.
        Collecting = "collecting",
        /// All parts are there; it may be fetched.
        Ready = "ready",
        /// Its parts are being deleted, more than one transaction takes; nobody may fetch it any more.
        Removing = "removing",
        /// Its parts were removed; the row stays as a record.
        Removed = "removed",
    }
}

/// A package of what is held of one person.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ExportPackage", rename_all = "camelCase")]
pub struct Model {
    /// `pkg_` and a UUID v7. Set by the worker; never changes.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    /// The job that it answers; one package per job. Set by the worker; never changes.
    #[sea_orm(column_type = "Text", unique)]
    pub job_id: String,
    /// The shop that may fetch it. Set by the worker; never changes.
    #[sea_orm(column_type = "Text")]
    pub shop_domain: String,
    /// Where it stands: `collecting`, `ready`, for a large one `removing`, then `removed`. Never goes back.
    pub status: PackageStatus,
    /// Rows over all parts. Raised by the worker while collecting; never changes once `ready`.
    pub rows_total: i64,
    /// Rows per table, by export key. Set by the worker with `ready`; never changes after.
    #[sea_orm(column_type = "JsonBinary")]
    pub counts: Json,
    /// When collecting began. Set by the worker; never changes.
    pub created_at: DateTimeUtc,
    /// When the last part was there. Set with `ready`; never changes after.
    pub ready_at: Option<DateTimeUtc>,
    /// When its parts must go. Set by the worker when collecting begins, again with `ready`; never changes after.
    pub expires_at: DateTimeUtc,
    /// When its parts were removed. Set with `removed`; never changes after.
    pub removed_at: Option<DateTimeUtc>,
    /// Its tables with columns, rows and parts, and the number of parts. Set with `ready`; never changes after.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub contents: Option<Json>,
    /// When the request was received. Set by the worker when collecting begins; never changes.
    pub received_at: Option<DateTimeUtc>,
    /// SHA-256 of the nonce of the link that is in force. Set by whoever makes a link; made null with `removed`.
    pub link_digest: Option<Vec<u8>>,
    /// When that link ends. Set with `linkDigest`.
    pub link_expires_at: Option<DateTimeUtc>,
    /// The age recipient that the link's answer is encrypted to, if one. Set with `linkDigest`; made null with `removed`.
    #[sea_orm(column_type = "Text", nullable)]
    pub link_recipient: Option<String>,
    /// Times that the link was opened. Made 0 with a new link, raised by one before each answer.
    pub link_tries: i32,
    /// When the whole answer was handed over. Made null with a new link; set once for each link.
    pub link_used_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
