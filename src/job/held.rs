//! Remembers in a job's row what held it, so that its receipt can tell: the row's own reason goes with the release.

use sea_orm::ConnectionTrait;

use crate::erasure::progress::{HeldBy, Progress};
use crate::store::StoreError;
use crate::store::gdpr_job::holding;

/// A reason of a row as a receipt may tell it: one of our codes, and never free words.
pub(super) fn by(reason: &str) -> HeldBy {
    // What stands behind the code is for the job's row.
    let code = reason.split(':').next().unwrap_or_default();
    let is_code = code.len() <= 40 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    HeldBy { reason: if is_code { code } else { "other" }.to_owned(), id: None }
}

/// A legal hold as a receipt tells it.
pub(super) fn by_legal_hold(id: String) -> HeldBy {
    HeldBy { reason: super::legal_hold::REASON.to_owned(), id: Some(id) }
}

/// Notes what holds, or has held, a job that nobody works. The caller's transaction has written its row before: what is
/// read here stays as it is until the transaction ends.
///
/// # Errors
/// When the database refuses or does not answer.
pub(super) async fn note(
    conn: &impl ConnectionTrait,
    id: &str,
    by: impl IntoIterator<Item = HeldBy>,
) -> Result<Progress, StoreError> {
    let mut progress = Progress::from_json(holding::progress(conn, id).await?.as_ref());
    let mut is_new = false;
    for by in by {
        is_new |= progress.hold(by);
    }
    if is_new {
        holding::put_progress(conn, id, &progress.to_json()).await?;
    }
    Ok(progress)
}
