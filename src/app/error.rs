//! Why the house cannot be opened.

use std::path::PathBuf;

use super::data_map;
use crate::erasure::check::Finding;
use crate::erasure::data_map::Problems;
use crate::seal::KeyringError;
use crate::store::StoreError;

/// Why the house cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("the database at {0} cannot be used")]
    Database(String, #[source] StoreError),
    #[error("the tables could not be brought up to date")]
    Migration(#[from] migration::MigrationError),
    #[error("{0} migration(s) are pending; run `efface migrate up`, or set database.auto_migrate = true")]
    Pending(usize),
    #[error("the keys at {0} cannot be used")]
    Keys(PathBuf, #[source] KeyringError),
    #[error("the keys at {0} are not those that this database was used with: what is sealed in it would not open")]
    OtherKeys(PathBuf),
    #[error(
        "the keys at {0} are gone, and what is sealed in this database opens with no others: put the file back, or say in \
         keys.file where it is"
    )]
    KeysGone(PathBuf),
    #[error("keys.file is not set; make one with `efface keys generate --output FILE`, or use a SQLite file")]
    NoKeysFile,
    #[error("webhooks.secrets is empty: without the app's secret no webhook can be verified")]
    NoSecret,
    #[error("data_map.file {0} cannot be read")]
    DataMapFile(PathBuf, #[source] std::io::Error),
    #[error(transparent)]
    DataMap(#[from] Problems),
    #[error("{}", data_map::told(.0))]
    Findings(Vec<Finding>),
    #[error("cannot listen on {0}")]
    Listen(std::net::SocketAddr, #[source] std::io::Error),
}

impl AppError {
    /// Whether the configuration is at fault, as opposed to something that does not answer.
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::NoKeysFile
                | Self::NoSecret
                | Self::DataMapFile(..)
                | Self::DataMap(_)
                | Self::Findings(_)
                | Self::Keys(..)
                | Self::OtherKeys(_)
                | Self::KeysGone(_)
        )
    }
}
