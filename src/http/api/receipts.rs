//! Hands out receipts, byte for byte as they were signed, and evidence bundles.

use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderValue, Uri};
use axum::response::{IntoResponse as _, Response};

use super::jobs::{PathId, job_id};
use super::{ApiState, query};
use crate::http::error::Problem;

pub(super) async fn show(State(api): State<ApiState>, path: PathId, uri: Uri) -> Result<Response, Problem> {
    query::none(&uri)?;
    let receipt = api.receipt(&job_id(path)?).await?;
    Ok(([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], receipt).into_response())
}

pub(super) async fn evidence(State(api): State<ApiState>, path: PathId, uri: Uri) -> Result<Response, Problem> {
    query::none(&uri)?;
    let bundle = api.evidence(&job_id(path)?).await?;
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/zip")),
        (CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"evidence.zip\"")),
    ];
    Ok((headers, bundle).into_response())
}
