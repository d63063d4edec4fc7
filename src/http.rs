//! Answers HTTP: the webhooks' door, the API, the probes and the metrics.

mod api;
mod audited;
mod auth;
mod error;
mod health;
mod log;
mod metrics;
mod server;
mod webhook;

use axum::Router;

pub use api::{ApiState, Cursor, audit, holds, retention, view};
pub use auth::{Caller, Permission, Role, Tokens};
pub use error::Problem;
pub use health::{Finding, Readiness};
pub use metrics::Metrics;
pub use server::{ServerSettings, serve};
pub use webhook::{Accept, WebhookDoor};

/// What the routes need of the other rooms.
#[derive(Debug)]
pub struct Doors {
    /// Takes webhooks.
    pub webhooks: WebhookDoor,
    /// Knows whether the process can work.
    pub readiness: Readiness,
    /// Knows what was counted.
    pub metrics: Metrics,
    /// Knows the callers of the API; with none, all of `/api` answers 401.
    pub tokens: Tokens,
    /// Answers the API.
    pub api: ApiState,
}

/// Brings to an end what the API does beside answering. To be called when the last request is answered, and before the
/// database is let go.
pub async fn close(api: &ApiState) {
    audited::record_last_logins(api).await;
}

/// All routes. Paths without a route and methods a route does not have are answered with problem documents.
pub fn router(doors: Doors) -> Router {
    Router::new()
        .merge(webhook::router(doors.webhooks))
        .merge(health::router(doors.readiness))
        .merge(metrics::router(doors.metrics))
        .merge(log::router(doors.api.log()))
        .merge(api::router(doors.api, doors.tokens))
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
}
