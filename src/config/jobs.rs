//! `[jobs]`: how duties are worked off.

use std::time::Duration;

use super::reader::Reader;
use crate::erasure::reinstall::Policy;

/// Workers, batches, leases and retries.
#[derive(Clone, Debug)]
pub struct Jobs {
    pub workers: usize,
    pub batch_jobs_max: u64,
    pub batch_rows_max: u64,
    pub lease: Duration,
    pub poll: Duration,
    pub attempts_max: u32,
    pub retry_initial: Duration,
    /// Not below `retry_initial`.
    pub retry_max: Duration,
    /// What becomes of a `shop/redact` whose shop was installed again.
    pub reinstalled: Policy,
    pub due_days: u32,
    pub approval: Approval,
    /// 0: no number of rows asks for an approval.
    pub approval_rows_max: u64,
}

/// Which jobs wait until a person has approved their plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    Never,
    ShopRedact,
    All,
}

impl Jobs {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let jobs = Self {
            workers: reader.whole("jobs.workers", 1..=64),
            batch_jobs_max: reader.whole("jobs.batch_jobs_max", 1..=1024),
            batch_rows_max: reader.whole("jobs.batch_rows_max", 1..=100_000),
            lease: reader.seconds("jobs.lease_seconds", 1..=3600),
            poll: reader.seconds("jobs.poll_seconds", 1..=300),
            attempts_max: reader.whole("jobs.attempts_max", 1..=100),
            retry_initial: reader.seconds("jobs.retry_initial_seconds", 1..=3600),
            retry_max: reader.seconds("jobs.retry_max_seconds", 1..=86_400),
            reinstalled: reader
                .text_as("jobs.reinstalled", "one of hold, erase_before_uninstall, erase_all", Policy::parse)
                .unwrap_or_default(),
            due_days: reader.whole("jobs.due_days", 1..=30),
            approval: reader
                .text_as("jobs.approval", "\"never\", \"shop_redact\" or \"all\"", |text| match text {
                    "never" => Some(Approval::Never),
                    "shop_redact" => Some(Approval::ShopRedact),
                    "all" => Some(Approval::All),
                    _ => None,
                })
                .unwrap_or(Approval::Never),
            approval_rows_max: reader.whole("jobs.approval_rows_max", 0..=u64::MAX),
        };
        if !jobs.retry_max.is_zero() && jobs.retry_max < jobs.retry_initial {
            reader.complain("jobs.retry_max_seconds", "must not be below jobs.retry_initial_seconds");
        }
        jobs
    }
}
