//! The API under `/api/v1`: who may ask what, and which question goes where.
//!
//! The routes parse, and [`ApiState`] answers. It has one method for each question (`api/jobs_source.rs`):
//!
//! ```text
//! jobs(&self, filter: JobFilter, page: PageWish)              -> Result<JobPage, Problem>
//! job(&self, id: &str)                                        -> Result<JobView, Problem>            JobNotFound
//! receipt(&self, id: &str)                                    -> Result<Vec<u8>, Problem>            JobNotFound, NoReceipt
//! evidence(&self, id: &str)                                   -> Result<Vec<u8>, Problem>            JobNotFound, NoEvidence
//! retry|cancel|release(&self, caller: &Caller, id: &str, reason: Option<String>)
//!                                                             -> Result<JobView, Problem>            JobNotFound, TransitionNotAllowed
//! compliance(&self, period: Period)                           -> Result<ComplianceReport, Problem>
//! audit(&self, filter: &Filter, after: Option<&AuditCursor>, limit: u16) -> Result<AuditPage, Problem>
//! holds(&self, filter: hold::Filter, limit: u16)              -> Result<HoldPage, Problem>
//! place_hold(&self, caller: &Caller, wish: &Wish)             -> Result<HoldView, Problem>           BadBody
//! release_hold(&self, caller: &Caller, id: &str)              -> Result<ReleasedView, Problem>       HoldNotFound, HoldReleased
//! runs(&self, filter: &retention::Filter, limit: u16)         -> Result<RunPage, Problem>
//! start(&self, wish: retention::Wish)                         -> Result<Started, Problem>            RunAtWork, ClockJumped
//! ```
//!
//! One route asks for no token of the API: whoever fetches a data request package brings that of a link.

pub mod audit;
mod body;
mod cursor;
mod exports;
pub mod holds;
mod jobs;
mod jobs_source;
mod query;
mod receipts;
mod reports;
pub mod retention;
pub mod view;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, delete, get, post, put};

use super::audited::audited;
use super::auth::{Permission, Tokens, identify, permit};
use super::error;

pub use cursor::Cursor;
pub use jobs_source::ApiState;
pub use query::{JobFilter, PageWish, Period};
pub(super) use query::{is_id, is_shop, shop_asked_for};

/// All routes under `/api`. Whoever has no known token gets 401 for every path, known or not.
pub(super) fn router(state: ApiState, tokens: Tokens) -> Router {
    let recorded = from_fn_with_state(state.clone(), audited);
    let identified = from_fn_with_state(tokens, identify);
    let routes = Router::new()
        .route("/v1/jobs", permit(Permission::ReadJobs, get(jobs::list)))
        .route("/v1/jobs/{id}", permit(Permission::ReadJobs, get(jobs::show)))
        .route("/v1/jobs/{id}/receipt", permit(Permission::ReadJobs, get(receipts::show)))
        .route("/v1/jobs/{id}/evidence", permit(Permission::ReadAudit, get(receipts::evidence)))
        .route("/v1/jobs/{id}/retry", permit(Permission::ChangeJobs, post(jobs::retry)))
        .route("/v1/jobs/{id}/cancel", permit(Permission::ChangeJobs, post(jobs::cancel)))
        .route("/v1/jobs/{id}/plan", permit(Permission::ReadJobs, get(jobs::plan)))
        .route("/v1/jobs/{id}/release", permit(Permission::ChangeJobs, post(jobs::release)))
        .route("/v1/jobs/{id}/package-link", permit(Permission::ChangeJobs, post(exports::make_link)))
        .route("/v1/reports/compliance", permit(Permission::ReadReports, get(reports::compliance)))
        .route(
            "/v1/holds",
            permit(Permission::ReadHolds, get(holds::list)).merge(permit(Permission::ChangeHolds, post(holds::place))),
        )
        .route(
            "/v1/shops/{domain}/retention",
            permit(Permission::ReadRetention, get(retention::choice))
                .merge(permit(Permission::ChangeRetention, put(retention::choose))),
        )
        .route(
            "/v1/retention/runs",
            permit(Permission::ReadRetention, get(retention::runs))
                .merge(permit(Permission::ChangeRetention, post(retention::start))),
        )
        .route("/v1/audit", permit(Permission::ReadAudit, get(audit::list)))
        .route("/v1/holds/{id}", permit(Permission::ChangeHolds, delete(holds::release)))
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(identified.clone())
        .layer(recorded.clone())
        .with_state(state.clone());
    let by_link = Router::new()
        .route("/api/v1/exports/{id}", get(exports::download).head(exports::look))
        .layer(recorded.clone())
        .with_state(state);
    // A nested router does not see the bare prefix with a slash.
    let bare = any(error::not_found).layer(identified).layer(recorded);
    Router::new().nest("/api", routes).route("/api/", bare).merge(by_link)
}
