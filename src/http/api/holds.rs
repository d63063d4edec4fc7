//! Lists, places and releases legal holds.

use std::collections::BTreeMap;

use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, Request, State};
use axum::http::header::LOCATION;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, RequestExt as _};
use chrono::{DateTime, Utc};
use entity::legal_hold::{HoldScope, Model};
use serde::Serialize;

use super::body::object;
use super::jobs_source::unavailable;
use super::{ApiState, Cursor, query};
use crate::hold::{self, Filter, HoldError, Wish};
use crate::http::auth::Caller;
use crate::http::error::Problem;
use crate::http::server::read_body;
use crate::job::legal_hold;
use crate::seal::Pii;

/// One legal hold. Tells nobody who is held: a person's identifiers are only counted.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldView {
    /// A UUID.
    pub id: String,
    /// How much it covers.
    pub scope: HoldScope,
    /// The shop; null for a table of all shops.
    pub shop_domain: Option<String>,
    /// The table, for the scope `table`.
    pub table_name: Option<String>,
    /// How many identifiers of each kind are held, for the scope `subject`.
    pub identifiers: Option<BTreeMap<String, usize>>,
    /// The legal ground.
    pub reason: String,
    /// Who placed it.
    pub placed_by: String,
    /// When it was placed.
    pub placed_at: DateTime<Utc>,
    /// When somebody must look at it again.
    pub review_at: Option<DateTime<Utc>>,
    /// Whether somebody should have looked at it by now.
    pub review_overdue: bool,
    /// When it was released; null while it is in force.
    pub released_at: Option<DateTime<Utc>>,
    /// Who released it.
    pub released_by: Option<String>,
}

impl HoldView {
    /// The hold as it is seen at `now`.
    pub fn of(hold: Model, now: DateTime<Utc>) -> Self {
        Self {
            identifiers: hold::identifiers(&hold),
            review_overdue: hold::review_is_overdue(&hold, now),
            id: hold.id,
            scope: hold.scope,
            shop_domain: hold.shop_domain,
            table_name: hold.table_name,
            reason: hold.reason,
            placed_by: hold.placed_by,
            placed_at: hold.placed_at,
            review_at: hold.review_at,
            released_at: hold.released_at,
            released_by: hold.released_by,
        }
    }
}

/// A page of holds, the newest first.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldPage {
    /// The holds.
    pub data: Vec<HoldView>,
    /// Leads to the next page; none on the last one.
    pub next_cursor: Option<Cursor>,
}

/// A hold that was released, and what it let go.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleasedView {
    #[serde(flatten)]
    pub hold: HoldView,
    /// Jobs that no hold covers any more: they are queued.
    pub jobs_queued: u64,
}

pub(super) async fn list(State(api): State<ApiState>, uri: Uri) -> Result<Json<HoldPage>, Problem> {
    let (filter, limit) = query::hold_list(&uri)?;
    api.holds(filter, limit).await.map(Json)
}

pub(super) async fn place(
    State(api): State<ApiState>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    query::none(request.uri())?;
    let body = Pii::new(read_body(request.into_body()).await?);
    let wish: Wish = object(body.expose()).ok_or(Problem::BadBody {
        reason: r#"send {"shop": …, "table": …, "subject": {"customerId": …, "email": …, "phone": …, "orderIds": […]}, "reason": …, "reviewAt": …}, as far as it applies"#,
    })?;
    let hold = api.place_hold(&caller, &wish).await?;
    let location = format!("/api/v1/holds/{}", hold.id);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(hold)).into_response())
}

pub(super) async fn release(
    State(api): State<ApiState>,
    Extension(caller): Extension<Caller>,
    mut request: Request,
) -> Result<Json<ReleasedView>, Problem> {
    query::none(request.uri())?;
    let path: Result<Path<String>, PathRejection> = request.extract_parts().await;
    match path {
        Ok(Path(id)) if query::is_id(&id) => api.release_hold(&caller, &id).await.map(Json),
        _ => Err(Problem::HoldNotFound),
    }
}

impl ApiState {
    /// The holds that pass `filter`, the newest first, with the cursor of the next page.
    pub async fn holds(&self, filter: Filter, limit: u16) -> Result<HoldPage, Problem> {
        let (holds, more) = hold::page(&self.store, &filter, limit.into()).await.map_err(unavailable)?;
        let next_cursor = holds.last().filter(|_| more).map(|hold| Cursor { id: hold.id.clone() });
        let now = self.clock.now();
        Ok(HoldPage { data: holds.into_iter().map(|hold| HoldView::of(hold, now)).collect(), next_cursor })
    }

    /// Places a hold, in the caller's name.
    pub async fn place_hold(&self, caller: &Caller, wish: &Wish) -> Result<HoldView, Problem> {
        let hold = self.holds.place(&caller.name, wish).await.map_err(problem)?;
        Ok(HoldView::of(hold, self.clock.now()))
    }

    /// Releases a hold and what it held, in the caller's name.
    pub async fn release_hold(&self, caller: &Caller, id: &str) -> Result<ReleasedView, Problem> {
        let released = legal_hold::release(&self.store, &self.clock, &self.wake, &self.holds, &caller.name, id).await;
        let released = released.map_err(problem)?;
        Ok(ReleasedView { hold: HoldView::of(released.hold, self.clock.now()), jobs_queued: released.jobs_queued })
    }
}

fn problem(error: HoldError) -> Problem {
    match error {
        HoldError::Wish(bad) => Problem::BadBody { reason: bad.text() },
        HoldError::NotFound(_) => Problem::HoldNotFound,
        HoldError::Released(_) => Problem::HoldReleased,
        HoldError::Store(error) => unavailable(error),
    }
}
