//! Serves the audit log to everybody: its checkpoint and its tiles, as C2SP `tlog-tiles` names them. Needs no token: hashes
//! and commitments show nothing of an entry.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::error::Problem;
use crate::evidence::log::{Log, LogError, TilePath};

const TEXT: &str = "text/plain; charset=utf-8";
/// A checkpoint is replaced within seconds; what is under one never changes.
const FOR_SECONDS: &str = "max-age=2";
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// The public routes of the log. Without a log there are none.
pub(super) fn router(log: Option<Log>) -> Router {
    let Some(log) = log else { return Router::new() };
    Router::new()
        .route("/api/v1/checkpoint", get(checkpoint))
        .route("/api/v1/minimum-index", get(minimum_index))
        .route("/api/v1/tile/{*path}", get(tile))
        .route("/tile/{*path}", get(tile))
        .with_state(log)
}

async fn checkpoint(State(log): State<Log>) -> Result<Response, Problem> {
    let signed = log.latest().await.map_err(unavailable)?.ok_or(Problem::NotFound)?;
    Ok(answer(TEXT, FOR_SECONDS, signed.note().to_owned()))
}

async fn minimum_index(State(log): State<Log>) -> Result<Response, Problem> {
    let note = log.minimum_note().await.map_err(unavailable)?.ok_or(Problem::NotFound)?;
    Ok(answer(TEXT, FOR_SECONDS, note))
}

async fn tile(State(log): State<Log>, Path(path): Path<String>) -> Result<Response, Problem> {
    let path = TilePath::parse(&path).ok_or(Problem::NotFound)?;
    let bytes = log.tile(path).await.map_err(unavailable)?.ok_or(Problem::NotFound)?;
    Ok(answer("application/octet-stream", FOR_EVER, bytes))
}

fn answer(kind: &'static str, cached: &'static str, body: impl Into<axum::body::Body>) -> Response {
    let headers = [(CONTENT_TYPE, HeaderValue::from_static(kind)), (CACHE_CONTROL, HeaderValue::from_static(cached))];
    (StatusCode::OK, headers, body.into()).into_response()
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn unavailable(error: LogError) -> Problem {
    tracing::warn!(error = %error, "the audit log could not be served");
    if error.is_outage() { Problem::Unavailable } else { Problem::Internal }
}
