//! Deletes, and proves that it did: data map → plan → execute → verify.
//!
//! One pair of hands: whoever wants application data gone (a webhook, the clock, an operator) goes through
//! [`execute`]. What it may touch is declared in the [`data_map`], and a job counts as erased only with the
//! [`verify::Verified`] that the verifier alone can make.

pub mod check;
pub mod data_map;
pub mod execute;
pub mod found;
pub mod introspect;
pub mod mask;
pub mod plan;
pub mod preview;
pub mod progress;
pub mod reinstall;
pub mod standing_plan;
pub mod stores;
pub mod subject;
pub mod traces;
pub mod verify;

use crate::store::StoreError;

/// Why an erasure did not come about.
#[derive(Debug, thiserror::Error)]
pub enum ErasureError {
    /// The database did not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The claim is no longer ours: another worker has the job, and nothing of this transaction may stay.
    #[error("the claim was lost to another worker")]
    ClaimLost,
}
