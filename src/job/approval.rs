//! Which jobs wait for a person who approves exactly the plan that they would carry out.

use std::sync::Arc;

use entity::gdpr_job::{JobType, Model};

use super::unseal;
use crate::erasure::preview::{self, Preview};
use crate::erasure::progress::Progress;
use crate::erasure::reinstall::Policy;
use crate::erasure::stores::Stores;
use crate::erasure::subject::{Target, UnreadablePayload};
use crate::seal::{ContentKeys, Keyring};
use crate::store::StoreError;
use crate::store::gdpr_job;

/// The reason of jobs that wait for an approval.
pub const AWAITING: &str = "awaiting_approval";

/// Which jobs need an approval by their type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Approval {
    #[default]
    Never,
    /// Whole shops.
    ShopRedact,
    /// Every erasure.
    All,
}

/// When a job has to wait for an approval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApprovalPolicy {
    pub approval: Approval,
    /// More rows than this ask for an approval by themselves; 0: no number does.
    pub rows_max: u64,
}

impl ApprovalPolicy {
    /// Whether a job has to be looked at before it is carried out.
    pub fn may_hold(self, job_type: JobType) -> bool {
        job_type != JobType::DataRequest && (self.rows_max > 0 || self.asks(job_type))
    }

    /// Whether a job of this type that would erase so many rows has to wait.
    pub fn holds(self, job_type: JobType, rows: u64) -> bool {
        job_type != JobType::DataRequest && (self.asks(job_type) || (self.rows_max > 0 && rows > self.rows_max))
    }

    fn asks(self, job_type: JobType) -> bool {
        match self.approval {
            Approval::Never => false,
            Approval::ShopRedact => job_type == JobType::ShopRedact,
            Approval::All => job_type != JobType::DataRequest,
        }
    }
}

/// Why a job's plan cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Unreadable(#[from] UnreadablePayload),
}

/// Makes plans. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Planner {
    pub stores: Stores,
    pub keys: ContentKeys,
    pub keyring: Arc<Keyring>,
    /// What becomes of a shop that was installed again.
    pub reinstalled: Policy,
}

impl Planner {
    /// The plan of an erasure that begins or goes on now.
    ///
    /// # Errors
    /// When a database refuses or does not answer.
    pub async fn plan(&self, target: &Target, progress: &Progress) -> Result<Preview, StoreError> {
        preview::preview(&self.stores, &self.keyring, self.reinstalled, target, progress).await
    }

    /// The plan of a recorded job.
    ///
    /// # Errors
    /// See [`PlanError`]. Of a job that has ended the sealed payload is gone, and with it the plan.
    pub async fn plan_of(&self, job: &Model) -> Result<Preview, PlanError> {
        let mut target = unseal::target(&job.id, job.job_type, &job.shop_domain, job.shop_id.clone(), &job.payload)?;
        if self.stores.needs_personal_identifiers() || unseal::is_partly_sealed(&job.payload) {
            let db = self.stores.default_store().1.db();
            let body = gdpr_job::sealed_bodies(db, vec![job.id.clone()]).await?.pop();
            unseal::add_personal(&self.keys, &mut target, &job.id, &job.payload, body).await??;
        }
        Ok(self.plan(&target, &Progress::from_json(job.progress.as_ref())).await?)
    }
}
