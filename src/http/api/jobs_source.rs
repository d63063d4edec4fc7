//! Where the API's answers come from.

use super::view::{ComplianceReport, JobPage, JobView};
use super::{JobFilter, PageWish, Period};
use crate::http::auth::Caller;
use crate::http::error::Problem;

/// Answers the API's questions.
#[derive(Clone, Debug, Default)]
pub struct ApiState;

#[expect(clippy::unused_async, reason = "the answers will come from the database")]
impl ApiState {
    /// The jobs that pass `filter`, the newest first, with the cursor of the next page.
    pub async fn jobs(&self, _filter: JobFilter, _page: PageWish) -> Result<JobPage, Problem> {
        Err(Problem::Unavailable)
    }

    /// One job.
    pub async fn job(&self, _id: &str) -> Result<JobView, Problem> {
        Err(Problem::Unavailable)
    }

    /// Queues a failed job again, in the caller's name.
    pub async fn retry(&self, _caller: &Caller, _id: &str, _reason: Option<String>) -> Result<JobView, Problem> {
        Err(Problem::Unavailable)
    }

    /// Withdraws a job that has not been worked yet, in the caller's name.
    pub async fn cancel(&self, _caller: &Caller, _id: &str, _reason: Option<String>) -> Result<JobView, Problem> {
        Err(Problem::Unavailable)
    }

    /// Queues a held job, in the caller's name.
    pub async fn release(&self, _caller: &Caller, _id: &str, _reason: Option<String>) -> Result<JobView, Problem> {
        Err(Problem::Unavailable)
    }

    /// How the duties received within `period` stand.
    pub async fn compliance(&self, _period: Period) -> Result<ComplianceReport, Problem> {
        Err(Problem::Unavailable)
    }
}
