//! Where the API's answers come from: the job room.

use std::borrow::Cow;

use entity::gdpr_job::Model;

use super::view::{JobPage, JobView};
use super::{Cursor, JobFilter, PageWish, Period};
use crate::audit::Actor;
use crate::clock::Clock;
use crate::erasure::preview::Preview;
use crate::evidence::bundle::gather::{BundleError, Bundles, Wishes};
use crate::evidence::log::Log;
use crate::evidence::receipt::{self, Signer};
use crate::export::Packages;
use crate::hold::Holds;
use crate::http::audited::Logins;
use crate::http::auth::Caller;
use crate::http::error::Problem;
use crate::job::approval::{PlanError, Planner};
use crate::job::command::{self, Command, CommandError};
use crate::job::query::{self, Filter};
use crate::job::report::{self, ComplianceReport};
use crate::job::wake::Wake;
use crate::retention::Retention;
use crate::shutdown::Shutdown;
use crate::store::{Store, StoreError};

/// Answers the API's questions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ApiState {
    planner: Option<Planner>,
    pub(super) retention: Option<(Retention, Shutdown)>,
    log: Option<Log>,
    bundles: Option<Bundles>,
    pub(in crate::http) logins: Logins,
    pub(in crate::http) store: Store,
    pub(in crate::http) clock: Clock,
    pub(super) wake: Wake,
    signer: Signer,
    packages: Option<Packages>,
    pub(super) holds: Holds,
}

impl ApiState {
    /// Answers from `store`, rings `wake` when a job may be worked again, and signs what is withdrawn with `signer`.
    pub fn new(store: Store, clock: Clock, wake: Wake, signer: Signer, holds: Holds) -> Self {
        Self {
            planner: None,
            log: None,
            bundles: None,
            logins: Logins::default(),
            packages: None,
            retention: None,
            store,
            clock,
            wake,
            signer,
            holds,
        }
    }

    /// Shows the plans of jobs as well.
    #[must_use]
    pub fn with_planner(self, planner: Planner) -> Self {
        Self { planner: Some(planner), ..self }
    }

    /// Answers questions about retention as well.
    #[must_use]
    pub fn with_retention(self, retention: Retention, shutdown: Shutdown) -> Self {
        Self { retention: Some((retention, shutdown)), ..self }
    }

    /// Serves the audit log's checkpoint and tiles as well.
    #[must_use]
    pub fn with_log(self, log: Log) -> Self {
        Self { log: Some(log), ..self }
    }

    /// Hands out evidence bundles as well.
    #[must_use]
    pub fn with_bundles(self, bundles: Bundles) -> Self {
        Self { bundles: Some(bundles), ..self }
    }

    /// The evidence bundle of a job.
    pub async fn evidence(&self, id: &str) -> Result<Vec<u8>, Problem> {
        let bundles = self.bundles.as_ref().ok_or(Problem::JobNotFound)?;
        match bundles.of_job(id, &Wishes::default()).await {
            Ok(bundle) => Ok(bundle),
            Err(BundleError::Nothing) => {
                self.job(id).await?;
                Err(Problem::NoEvidence)
            }
            Err(error) => {
                tracing::error!(error = %error, "an evidence bundle could not be made");
                let is_final = matches!(&error, BundleError::Log(error) if error.is_contradiction());
                Err(if is_final { Problem::Internal } else { Problem::Unavailable })
            }
        }
    }

    /// The audit log, if it is served.
    pub(in crate::http) fn log(&self) -> Option<Log> {
        self.log.clone()
    }

    /// What a job would do now.
    pub async fn plan(&self, id: &str) -> Result<Preview, Problem> {
        let job = query::find(&self.store, id).await.map_err(unavailable)?.ok_or(Problem::JobNotFound)?;
        let planner = self.planner.as_ref().ok_or(Problem::JobNotFound)?;
        planner.plan_of(&job).await.map_err(|error| match error {
            PlanError::Store(error) => unavailable(error),
            PlanError::Unreadable(_) => Problem::NoPlan,
        })
    }

    /// Also hands out data request packages; without, none is found.
    #[must_use]
    pub fn with_packages(self, packages: Packages) -> Self {
        Self { packages: Some(packages), ..self }
    }

    /// The desk that hands out data request packages.
    pub(super) fn packages(&self) -> Result<&Packages, Problem> {
        self.packages.as_ref().ok_or(Problem::NotFound)
    }

    /// The jobs that pass `filter`, the newest first, with the cursor of the next page.
    pub async fn jobs(&self, filter: JobFilter, page: PageWish) -> Result<JobPage, Problem> {
        let filter = Filter {
            shop_domain: filter.shop,
            job_types: filter.job_type.into_iter().collect(),
            statuses: filter.status.into_iter().collect(),
            before: page.after.map(|cursor| cursor.id),
        };
        let (jobs, more) = query::page(&self.store, &filter, page.limit.into()).await.map_err(unavailable)?;
        let next_cursor = jobs.last().filter(|_| more).map(|job| Cursor { id: job.id.clone() });
        Ok(JobPage { data: jobs.into_iter().map(JobView::from).collect(), next_cursor })
    }

    /// One job.
    pub async fn job(&self, id: &str) -> Result<JobView, Problem> {
        let job = query::find(&self.store, id).await.map_err(unavailable)?;
        job.map(JobView::from).ok_or(Problem::JobNotFound)
    }

    /// A job's receipt, byte for byte as it was signed. It outlives its job.
    pub async fn receipt(&self, id: &str) -> Result<Vec<u8>, Problem> {
        if let Some(receipt) = receipt::find(&self.store, id).await.map_err(unavailable)? {
            return Ok(receipt);
        }
        self.job(id).await?;
        Err(Problem::NoReceipt)
    }

    /// Queues a failed job again, in the caller's name.
    pub async fn retry(&self, caller: &Caller, id: &str, _reason: Option<String>) -> Result<JobView, Problem> {
        self.apply(caller, id, Command::Retry, "retry").await
    }

    /// Withdraws a job that is not being worked, in the caller's name.
    pub async fn cancel(&self, caller: &Caller, id: &str, reason: Option<String>) -> Result<JobView, Problem> {
        let reason = reason.unwrap_or_else(|| "no reason given".to_owned());
        let signer = self.signer.clone();
        self.apply(caller, id, Command::Cancel { reason, signer }, "cancel").await
    }

    /// Queues a held job, in the caller's name.
    pub async fn release(&self, caller: &Caller, id: &str, plan: Option<String>) -> Result<JobView, Problem> {
        self.apply(caller, id, Command::Release { plan }, "release").await
    }

    async fn apply(&self, caller: &Caller, id: &str, command: Command, name: &'static str) -> Result<JobView, Problem> {
        let actor = Actor::Operator(caller.name.to_string());
        let applied: Result<Model, CommandError> =
            command::apply(&self.store, &self.clock, &self.wake, actor, id, command).await;
        applied.map(JobView::from).map_err(|error| match error {
            CommandError::NotFound(_) => Problem::JobNotFound,
            CommandError::Refused(refused) => {
                Problem::TransitionNotAllowed { status: Cow::Borrowed(refused.from.as_str()), command: name }
            }
            CommandError::NotThePlan { waits_with } => Problem::NotThePlan { waits_with },
            CommandError::Changed => {
                Problem::TransitionNotAllowed { status: Cow::Borrowed("processing"), command: name }
            }
            CommandError::BadReason(reason) => Problem::BadBody { reason },
            CommandError::Store(error) => unavailable(error),
        })
    }

    /// How the duties received within `period` stand.
    pub async fn compliance(&self, period: Period) -> Result<ComplianceReport, Problem> {
        report::read(&self.store, &self.clock, period.from, period.to).await.map_err(unavailable)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
pub(super) fn unavailable(error: StoreError) -> Problem {
    tracing::warn!(error = %error, "a question of the API could not be answered");
    if error.is_outage() { Problem::Unavailable } else { Problem::Internal }
}
