//! Lists, shows and changes jobs.

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::Uri;
use axum::{Json, RequestExt as _};
use serde::Deserialize;

use super::body::object;
use super::view::{JobPage, JobView};
use super::{ApiState, query};
use crate::erasure::preview::Preview;
use crate::http::auth::Caller;
use crate::http::error::Problem;
use crate::http::server::read_body;

/// Characters of an operator's reason, at most.
const REASON_CHARS_MAX: usize = 500;

/// The path's id, or why there is none.
pub(super) type PathId = Result<Path<String>, PathRejection>;

pub(super) async fn list(State(api): State<ApiState>, uri: Uri) -> Result<Json<JobPage>, Problem> {
    let (filter, page) = query::job_list(&uri)?;
    api.jobs(filter, page).await.map(Json)
}

pub(super) async fn show(State(api): State<ApiState>, path: PathId, uri: Uri) -> Result<Json<JobView>, Problem> {
    query::none(&uri)?;
    api.job(&job_id(path)?).await.map(Json)
}

pub(super) async fn retry(State(api): State<ApiState>, order: Order) -> Result<Json<JobView>, Problem> {
    api.retry(&order.caller, &order.job_id, order.reason).await.map(Json)
}

pub(super) async fn cancel(State(api): State<ApiState>, order: Order) -> Result<Json<JobView>, Problem> {
    api.cancel(&order.caller, &order.job_id, order.reason).await.map(Json)
}

pub(super) async fn release(State(api): State<ApiState>, order: Order) -> Result<Json<JobView>, Problem> {
    api.release(&order.caller, &order.job_id, order.plan_hash).await.map(Json)
}

pub(super) async fn plan(State(api): State<ApiState>, path: PathId, uri: Uri) -> Result<Json<Preview>, Problem> {
    query::none(&uri)?;
    api.plan(&job_id(path)?).await.map(Json)
}

/// A command to one job: who gives it, to which, and why.
pub(super) struct Order {
    caller: Caller,
    job_id: String,
    reason: Option<String>,
    plan_hash: Option<String>,
}

/// The body of a command; it may be left out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Command {
    reason: Option<String>,
    /// Of the plan that a release approves.
    plan_hash: Option<String>,
}

impl<S: Send + Sync> FromRequest<S> for Order {
    type Rejection = Problem;

    async fn from_request(mut request: Request, _state: &S) -> Result<Self, Problem> {
        query::none(request.uri())?;
        let job_id = job_id(request.extract_parts::<Path<String>>().await)?;
        let caller = request.extensions().get::<Caller>().cloned().ok_or(Problem::NoToken)?;
        let Command { reason, plan_hash } = command(&read_body(request.into_body()).await?)?;
        Ok(Self { caller, job_id, reason, plan_hash })
    }
}

/// What cannot be an id names no job.
pub(super) fn job_id(path: PathId) -> Result<String, Problem> {
    match path {
        Ok(Path(id)) if query::is_id(&id) => Ok(id),
        _ => Err(Problem::JobNotFound),
    }
}

fn command(body: &[u8]) -> Result<Command, Problem> {
    if body.trim_ascii().is_empty() {
        return Ok(Command { reason: None, plan_hash: None });
    }
    let command: Command = object(body).ok_or(Problem::BadBody { reason: r#"send nothing, or {"reason": "…"}"# })?;
    if command.reason.as_ref().is_some_and(|reason| reason.chars().count() > REASON_CHARS_MAX) {
        return Err(Problem::BadBody { reason: "the reason is longer than 500 characters" });
    }
    Ok(command)
}
