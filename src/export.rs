//! Answers `customers/data_request`: collects what is held of a customer, keeps it sealed, hands it to the merchant as a
//! zip, and takes it away when its time is over.
//!
//! [`collect`] reads the rows in one snapshot and seals them part by part. [`archive`] writes the zip out of the parts
//! while it is read, so that neither collecting nor handing over needs memory or disk that grow with what is held; only
//! a single row is never taken apart. [`packages`] is the desk: operators make links and files there, merchants fetch.
//! [`expire`] removes the parts. `docs/data-requests.md` tells merchants and operators the same.

pub mod archive;
pub mod collect;
pub mod contents;
mod csv;
mod json;
pub mod link;
mod page;
pub mod packages;
pub mod recipient;
pub mod removal;
mod row;

pub use collect::{Collecting, Exporter, Kept};
pub use link::Link;
pub use packages::{Download, LinkSettings, Packages};
pub use recipient::Recipient;
pub use removal::{Expired, expire};

use crate::seal::{Aad, ContentKeyError};
use crate::store::StoreError;

/// The table's name, as the audit log writes it.
pub const TABLE: &str = "ExportPackage";

/// Why a package is not handed out, or not handed out whole.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The job is none of ours, is no `data_request`, or has collected nothing yet.
    #[error("there is no package for job {0}")]
    NoPackage(String),
    /// Its parts are still coming.
    #[error("the package is still being collected")]
    NotReady,
    /// Its time was over, or an operator removed it.
    #[error("the package was removed")]
    Removed,
    /// The token was altered, made for another package, or by another installation.
    #[error("there is no such link")]
    UnknownLink,
    /// A link that was good once.
    #[error("the link {0}")]
    LinkGone(&'static str),
    /// As many packages as one process builds at a time are being built.
    #[error("too many packages are being handed out just now")]
    Busy,
    /// What lies in the database is not what was collected.
    #[error("package {0} is not whole: a part is missing or does not read back")]
    NotWhole(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Key(#[from] ContentKeyError),
    #[error("the package could not be written")]
    Write(#[from] std::io::Error),
    #[error("the package could not be written as a zip")]
    Zip(#[from] zip::result::ZipError),
    #[error("the package could not be encrypted")]
    Encrypt(#[from] age::EncryptError),
}

/// The place of a part: a sealed part opens nowhere else.
fn place<'a>(row: &'a str, shop: &'a str) -> Aad<'a> {
    Aad { table: "ExportPart", row, column: "sealed", shop }
}

fn place_row(package_id: &str, sequence: i32) -> String {
    format!("{package_id}/{sequence}")
}
