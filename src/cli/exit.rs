//! How a command ends.

use std::process::ExitCode;

use crate::app::AppError;
use crate::config::ConfigErrors;

/// The exit codes that scripts may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// Something that should verify does not.
    Unverified = 3,
}

/// A mistake in how a command was called that only the command itself can see.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

impl Exit {
    /// The code for an error that ended a command.
    pub(super) fn of(error: &anyhow::Error) -> Self {
        let is_usage = error.chain().any(|cause| {
            cause.is::<UsageError>()
                || cause.is::<ConfigErrors>()
                || cause.downcast_ref::<AppError>().is_some_and(AppError::is_configuration)
        });
        if is_usage { Self::Usage } else { Self::Failed }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
