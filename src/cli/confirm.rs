//! Asks for `--yes` before something that cannot be undone.

use super::UsageError;

/// Passes when `--yes` was given.
///
/// # Errors
/// Says what would have happened.
pub fn require_yes(yes: bool, what: &str) -> Result<(), UsageError> {
    if yes { Ok(()) } else { Err(UsageError(format!("this {what}; add --yes to do it"))) }
}
