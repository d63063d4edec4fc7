//! What shops chose, and retention runs.

use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, RequestExt as _};
use chrono::{DateTime, Utc};
use entity::retention_run::Model;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::body;
use super::jobs_source::unavailable;
use super::{ApiState, Cursor, query};
use crate::audit::Actor;
use crate::http::auth::Caller;
use crate::http::error::Problem;
use crate::http::server::read_body;
use crate::retention::finding::Finding;
use crate::retention::shop::Choice;
use crate::retention::{Filter, Retention, RetentionError, Sweep, Wish};
use crate::store::retention_run;

/// How long a caller is kept waiting for the end of the run that it started.
const PATIENCE: Duration = Duration::from_secs(20);

/// One pass of one policy over one table.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunView {
    /// A UUID.
    pub id: String,
    /// All passes of one run have it in common.
    pub sweep_id: Option<String>,
    /// `schedule` or `operator`.
    pub trigger: String,
    pub policy: String,
    pub store: String,
    pub table_name: String,
    /// `running`, `done`, `limit`, `failed`, or `interrupted` when its process died.
    pub status: &'static str,
    /// Null where each shop or class has its own.
    pub cutoff: Option<DateTime<Utc>>,
    pub rows_due: i64,
    /// In a dry run: those that would have gone.
    pub rows_purged: i64,
    pub rows_held: i64,
    pub batches: i32,
    pub strategy: Option<String>,
    pub because: Option<String>,
    pub longest_ms: i64,
    pub vacuumed: bool,
    pub dry_run: bool,
    pub limit_reached: bool,
    pub error: Option<String>,
    pub started_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    pub seconds: Option<f64>,
}

impl From<Model> for RunView {
    #[expect(clippy::cast_precision_loss, reason = "seconds for people")]
    fn from(run: Model) -> Self {
        let status = match (&run.error, run.finished_at) {
            (Some(_), None) => "interrupted",
            (Some(_), Some(_)) => "failed",
            (None, None) => "running",
            (None, Some(_)) if run.limit_reached => "limit",
            (None, Some(_)) => "done",
        };
        let took = run.finished_at.map(|end| (end - run.started_at).num_milliseconds() as f64 / 1_000.0);
        Self {
            status,
            seconds: took,
            id: run.id,
            sweep_id: run.sweep_id,
            trigger: run.trigger,
            policy: run.policy,
            store: run.store,
            table_name: run.table_name,
            cutoff: run.cutoff,
            rows_due: run.rows_due,
            rows_purged: run.rows_purged,
            rows_held: run.rows_held,
            batches: run.batches,
            strategy: run.strategy,
            because: run.because,
            longest_ms: run.longest_ms,
            vacuumed: run.vacuumed,
            dry_run: run.dry_run,
            limit_reached: run.limit_reached,
            error: run.error,
            started_at: run.started_at,
            finished_at: run.finished_at,
        }
    }
}

/// A page of runs, the newest first.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunPage {
    pub data: Vec<RunView>,
    /// Leads to the next page; none on the last one.
    pub next_cursor: Option<Cursor>,
}

/// A run that was started.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// Null while nobody has told yet.
    pub sweep_id: Option<String>,
    pub dry_run: bool,
    /// False: it goes on, and its passes show up in the list.
    pub finished: bool,
    pub data: Vec<RunView>,
    pub findings: Vec<Finding>,
}

impl From<Sweep> for Started {
    fn from(sweep: Sweep) -> Self {
        Self {
            sweep_id: Some(sweep.sweep_id),
            dry_run: sweep.dry_run,
            finished: true,
            data: sweep.runs.into_iter().map(RunView::from).collect(),
            findings: sweep.findings,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Days {
    data_retention_days: i64,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct Start {
    dry_run: bool,
    table: Option<String>,
    shop: Option<String>,
    approve: bool,
}

type PathDomain = Result<Path<String>, PathRejection>;

fn domain(path: PathDomain) -> Result<String, Problem> {
    let fits = |text: &str| text.len() <= 255 && !text.is_empty();
    match path {
        Ok(Path(domain)) if domain.contains(char::is_control) => {
            Err(Problem::parameter("domain", "wants a shop's domain"))
        }
        Ok(Path(domain)) if fits(&domain) => Ok(domain),
        _ => Err(Problem::ShopNotFound),
    }
}

pub(super) async fn choice(State(api): State<ApiState>, uri: Uri, path: PathDomain) -> Result<Json<Choice>, Problem> {
    query::none(&uri)?;
    api.retention()?.choice(&domain(path)?).await.map(Json).map_err(problem)
}

pub(super) async fn choose(
    State(api): State<ApiState>,
    Extension(caller): Extension<Caller>,
    mut request: Request,
) -> Result<Json<Choice>, Problem> {
    const WANTED: Problem =
        Problem::BadBody { reason: r#"send {"dataRetentionDays": 30, 60, 90, 180, 365, or 0 for never}"# };
    query::none(request.uri())?;
    let path: PathDomain = request.extract_parts().await;
    let domain = domain(path)?;
    let sent = read_body(request.into_body()).await?;
    let Days { data_retention_days: days } = body::object(&sent).ok_or(WANTED)?;
    let actor = Actor::Operator(caller.name.to_string());
    let chosen = api.retention()?.choose(actor, &domain, days).await.map_err(problem)?;
    chosen.map(Json).ok_or(WANTED)
}

pub(super) async fn runs(State(api): State<ApiState>, uri: Uri) -> Result<Json<RunPage>, Problem> {
    let (filter, limit) = query::run_list(&uri)?;
    api.runs(&filter, limit).await.map(Json)
}

pub(super) async fn start(
    State(api): State<ApiState>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    query::none(request.uri())?;
    let sent = read_body(request.into_body()).await?;
    let start: Start = if sent.trim_ascii().is_empty() {
        Start::default()
    } else {
        let reason = r#"send nothing, or {"dryRun": …, "table": …, "shop": …, "approve": …}, as far as it applies"#;
        body::object(&sent).ok_or(Problem::BadBody { reason })?
    };
    if [&start.table, &start.shop].into_iter().flatten().any(|name| name.contains(char::is_control)) {
        return Err(Problem::BadBody { reason: "a name holds a control character" });
    }
    let wish = Wish {
        actor: Actor::Operator(caller.name.to_string()),
        dry_run: start.dry_run,
        table: start.table,
        shop: start.shop,
        approved: start.approve,
    };
    let started = api.start(wish).await?;
    let status = if started.finished { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(started)).into_response())
}

impl ApiState {
    fn retention(&self) -> Result<&Retention, Problem> {
        self.retention.as_ref().map(|(retention, _)| retention).ok_or(Problem::NotFound)
    }

    /// The runs that pass `filter`, the newest first, with the cursor of the next page.
    pub async fn runs(&self, filter: &Filter, limit: u16) -> Result<RunPage, Problem> {
        let limit = usize::from(limit);
        let mut runs = retention_run::list(self.store.db(), filter, limit as u64 + 1).await.map_err(unavailable)?;
        let more = runs.len() > limit;
        runs.truncate(limit);
        let next_cursor = runs.last().filter(|_| more).map(|run| Cursor { id: run.id.clone() });
        Ok(RunPage { data: runs.into_iter().map(RunView::from).collect(), next_cursor })
    }

    /// Starts a run, and waits for its end for a while. It goes on when the caller leaves.
    pub async fn start(&self, wish: Wish) -> Result<Started, Problem> {
        let (retention, shutdown) = self.retention.clone().ok_or(Problem::NotFound)?;
        let dry_run = wish.dry_run;
        let (told, tells) = oneshot::channel();
        tokio::spawn(async move {
            let swept = retention.sweep(&wish, &|_| {}, &shutdown).await;
            if let Err(Err(error)) = told.send(swept) {
                tracing::warn!(error = %error, "a retention run that was asked for did not happen");
            }
        });
        match tokio::time::timeout(PATIENCE, tells).await {
            Ok(Ok(swept)) => swept.map(Started::from).map_err(problem),
            Ok(Err(_)) => Err(Problem::Internal),
            Err(_) => Ok(Started { sweep_id: None, dry_run, finished: false, data: Vec::new(), findings: Vec::new() }),
        }
    }
}

fn problem(error: RetentionError) -> Problem {
    match error {
        RetentionError::NoShop(_) => Problem::ShopNotFound,
        RetentionError::NoTable(_) => Problem::BadBody { reason: "`table`: the data map has no retention rule for it" },
        RetentionError::Busy | RetentionError::Lost => Problem::RunAtWork,
        RetentionError::Clock(_) => Problem::ClockJumped,
        RetentionError::Store(error) => unavailable(error),
    }
}
