//! Lists, shows and changes jobs.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::{Extension, Json};
use serde::Deserialize;

use super::view::{JobPage, JobView};
use super::{ApiState, query};
use crate::http::auth::Caller;
use crate::http::error::Problem;
use crate::http::server::read_body;

/// Characters of an operator's reason, at most.
const REASON_CHARS_MAX: usize = 500;

/// The body of a command; it may be left out.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    reason: Option<String>,
}

pub(super) async fn list(State(api): State<ApiState>, uri: Uri) -> Result<Json<JobPage>, Problem> {
    let (filter, page) = query::job_list(&uri)?;
    api.jobs(filter, page).await.map(Json)
}

pub(super) async fn show(State(api): State<ApiState>, path: Path<String>, uri: Uri) -> Result<Json<JobView>, Problem> {
    query::none(&uri)?;
    api.job(job_id(&path)?).await.map(Json)
}

pub(super) async fn retry(
    State(api): State<ApiState>,
    Extension(caller): Extension<Caller>,
    path: Path<String>,
    body: Body,
) -> Result<Json<JobView>, Problem> {
    let reason = reason(body).await?;
    api.retry(&caller, job_id(&path)?, reason).await.map(Json)
}

pub(super) async fn cancel(
    State(api): State<ApiState>,
    Extension(caller): Extension<Caller>,
    path: Path<String>,
    body: Body,
) -> Result<Json<JobView>, Problem> {
    let reason = reason(body).await?;
    api.cancel(&caller, job_id(&path)?, reason).await.map(Json)
}

pub(super) async fn release(
    State(api): State<ApiState>,
    Extension(caller): Extension<Caller>,
    path: Path<String>,
    body: Body,
) -> Result<Json<JobView>, Problem> {
    let reason = reason(body).await?;
    api.release(&caller, job_id(&path)?, reason).await.map(Json)
}

/// What cannot be an id names no job.
fn job_id(path: &Path<String>) -> Result<&str, Problem> {
    if query::is_id(path) { Ok(path) } else { Err(Problem::JobNotFound) }
}

async fn reason(body: Body) -> Result<Option<String>, Problem> {
    let bytes = read_body(body).await?;
    if bytes.trim_ascii().is_empty() {
        return Ok(None);
    }
    let command: Command = serde_json::from_slice(&bytes)
        .map_err(|_| Problem::BadBody { reason: r#"send nothing, or {"reason": "…"}"# })?;
    match command.reason {
        Some(reason) if reason.chars().count() > REASON_CHARS_MAX => {
            Err(Problem::BadBody { reason: "the reason is longer than 500 characters" })
        }
        reason => Ok(reason.filter(|reason| !reason.trim().is_empty())),
    }
}
