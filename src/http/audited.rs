//! Writes the audit entries of the API, around every route: no handler calls it.
//!
//! - A read or export of a subject's data is recorded before it is handed out; without the entry nothing is. A route counts
//!   as such unless [`subject_of`] says otherwise, so that a new one is not forgotten.
//! - A change is recorded by its room, in its own transaction, with the caller's masked address, which this layer puts in
//!   place. One that was refused, or whose room recorded nothing, is recorded here.
//! - A login that failed is recorded; when there are many, the rest of a while in one entry with their number.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use entity::audit_log::Action;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::api::ApiState;
use super::auth::Caller;
use super::error::Problem;
use crate::audit::{self, Actor, Entry, caller};
use crate::job::{self, query};
use crate::shutdown::Shutdown;
use crate::store::StoreError;
use crate::webhook::shop_domain;

/// Failed logins that get an entry each within [`WHILE`]: strangers must not fill the table.
const LOGINS_MAX: u32 = 20;
const WHILE: Duration = Duration::from_secs(10);

/// The address at the other end of the connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// Failed logins of the present while.
#[derive(Clone, Debug, Default)]
pub struct Logins {
    present: Arc<Mutex<Option<While>>>,
    /// What waits for the end of a while, to record it.
    waiting: TaskTracker,
    closing: Shutdown,
}

#[derive(Debug)]
struct While {
    began: Instant,
    recorded: u32,
    /// Those without an entry of their own.
    further: u64,
}

/// What becomes of a failed login.
#[derive(Debug, PartialEq, Eq)]
enum Login {
    Record,
    /// The first without an entry: at the end of the while their number is recorded.
    CountUntil(Instant),
    Count,
}

impl Logins {
    fn failed(&self, now: Instant) -> Login {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let current = present.take().filter(|present| present.further > 0 || now < present.began + WHILE);
        let current = present.insert(current.unwrap_or(While { began: now, recorded: 0, further: 0 }));
        if current.recorded < LOGINS_MAX {
            current.recorded += 1;
            return Login::Record;
        }
        current.further += 1;
        if current.further == 1 { Login::CountUntil(current.began + WHILE) } else { Login::Count }
    }

    /// Ends the while; returns how many have no entry of their own.
    fn end(&self) -> u64 {
        let ended = self.present.lock().unwrap_or_else(PoisonError::into_inner).take();
        ended.map_or(0, |ended| ended.further)
    }
}

/// What the entries of a route are about: the table, or none when a read of it shows nobody's data.
fn subject_of(route: &str, method: &Method) -> (&'static str, bool) {
    let reads = *method == Method::GET || *method == Method::HEAD;
    let rest = route.strip_prefix("/api/v1/").unwrap_or_default();
    let (first, further) = rest.split_once('/').unwrap_or((rest, ""));
    match (first, further) {
        // Counts, and texts of operators; identifiers are only counted.
        ("reports" | "openapi.json" | "retention", _) if reads => ("", false),
        ("holds", "") if reads => ("LegalHold", false),
        ("jobs", _) => ("GDPRJob", true),
        ("holds", _) => ("LegalHold", true),
        ("audit", _) => ("AuditLog", true),
        ("exports", _) => ("ExportPackage", true),
        ("shops", _) => ("Shop", !reads),
        ("retention", _) => ("RetentionRun", true),
        _ => ("Api", true),
    }
}

/// What reading that route is.
fn reading(route: &str) -> Action {
    let exports = ["/receipt", "/evidence"].iter().any(|end| route.ends_with(end)) || route.contains("/exports/");
    if exports { Action::Export } else { Action::Read }
}

fn changing(method: &Method) -> Action {
    match *method {
        Method::DELETE => Action::Delete,
        Method::POST => Action::Create,
        _ => Action::Update,
    }
}

/// The id in a path, where its route has one; `*` for all of a kind.
fn id_in(route: &str, path: &str) -> String {
    // From the end: a nested router has cut off where the path begins.
    let places = route.rsplit('/').zip(path.rsplit('/'));
    let id = places.filter(|(part, _)| part.starts_with('{')).map(|(_, id)| id).next();
    id.filter(|id| super::api::is_id(id) || super::api::is_shop(id)).unwrap_or("*").to_owned()
}

/// Records what a request of the API was.
pub(super) async fn audited(State(api): State<ApiState>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
    let id = id_in(&route, request.uri().path());
    let asked_of = super::api::shop_asked_for(request.uri());
    let offered = request.headers().contains_key(AUTHORIZATION);
    let address = request.extensions().get::<Peer>().map(|peer| peer.0);
    let recorded = async {
        let (response, appended) = caller::of(address, next.run(request)).await;
        let status = response.status();
        let caller = response.extensions().get::<Caller>().cloned();
        match caller {
            None if status == StatusCode::UNAUTHORIZED && offered => {
                login_failed(&api).await;
                response
            }
            None => response,
            Some(caller) => {
                let entry = entry(&caller, &method, &route, id, status, appended);
                record(&api, entry, asked_of, is_read(&method), response).await
            }
        }
    };
    // The scope of the address is put up once more, for what is recorded here.
    caller::of(address, recorded).await.0
}

fn is_read(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}

/// The entry that a request of somebody known makes, if it makes one.
fn entry(
    caller: &Caller,
    method: &Method,
    route: &str,
    id: String,
    status: StatusCode,
    appended: usize,
) -> Option<Entry> {
    if *method == Method::OPTIONS || route.is_empty() || appended > 0 {
        return None;
    }
    let (table, is_about_somebody) = subject_of(route, method);
    let refused = status == StatusCode::FORBIDDEN;
    let wanted = if is_read(method) { refused || (status.is_success() && is_about_somebody) } else { true };
    wanted.then(|| Entry {
        actor: Actor::Operator(caller.name.to_string()),
        action: if is_read(method) { reading(route) } else { changing(method) },
        resource_type: table,
        resource_id: id,
        shop_domain: None,
        metadata: json!({ "method": method.as_str(), "route": route, "status": status.as_u16() }),
    })
}

/// Writes the entry; what cannot be recorded is not handed out. `asked_of` is the shop that a list was asked for.
async fn record(
    api: &ApiState,
    entry: Option<Entry>,
    asked_of: Option<String>,
    is_read: bool,
    response: Response,
) -> Response {
    let Some(mut entry) = entry else { return response };
    let recorded = async {
        entry.shop_domain = shop_of(api, &entry, asked_of).await?;
        audit::record(&api.store, &api.clock, vec![entry]).await
    };
    match recorded.await {
        Ok(()) => response,
        Err(error) => {
            tracing::error!(error = %error, "a request of the API could not be recorded");
            metrics::counter!("efface_audit_log_unrecorded_total").increment(1);
            if is_read && response.status().is_success() { Problem::Unavailable.into_response() } else { response }
        }
    }
}

/// The shop that an entry concerns, so that whoever asks for that shop's entries gets it too.
async fn shop_of(api: &ApiState, entry: &Entry, asked_of: Option<String>) -> Result<Option<String>, StoreError> {
    match (entry.resource_type, entry.resource_id.as_str()) {
        // What is no shop's domain does not get into the log.
        (_, "*") => Ok(asked_of.as_deref().and_then(shop_domain)),
        (job::TABLE, id) => query::shop_of(&api.store, id).await,
        ("Shop", domain) => Ok(shop_domain(domain)),
        _ => Ok(None),
    }
}

async fn login_failed(api: &ApiState) {
    match api.logins.failed(Instant::now()) {
        Login::Record => record_logins(api, 1).await,
        Login::Count => {}
        Login::CountUntil(end) => {
            let api = api.clone();
            let waiting = api.logins.waiting.clone();
            waiting.spawn(async move {
                tokio::select! {
                    () = tokio::time::sleep_until(end) => {}
                    () = api.logins.closing.cancelled() => {}
                }
                record_logins(&api, api.logins.end()).await;
            });
        }
    }
}

/// Records the failed logins that are only counted until now. The door is shut: no more come.
pub(super) async fn record_last_logins(api: &ApiState) {
    api.logins.closing.cancel();
    api.logins.waiting.close();
    api.logins.waiting.wait().await;
}

async fn record_logins(api: &ApiState, attempts: u64) {
    let entry = Entry {
        actor: Actor::Stranger,
        action: Action::Validate,
        resource_type: "Token",
        resource_id: "*".to_owned(),
        shop_domain: None,
        metadata: json!({ "login": "failed", "attempts": attempts }),
    };
    if let Err(error) = audit::record(&api.store, &api.clock, vec![entry]).await {
        tracing::error!(error = %error, logins = attempts, "failed logins could not be recorded");
        metrics::counter!("efface_audit_log_unrecorded_total").increment(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_logins_beyond_the_limit_are_counted_and_none_is_forgotten() {
        let (logins, start) = (Logins::default(), Instant::now());
        for _ in 0..LOGINS_MAX {
            assert_eq!(logins.failed(start), Login::Record);
        }
        assert_eq!(logins.failed(start), Login::CountUntil(start + WHILE));
        assert_eq!(logins.failed(start), Login::Count);
        // Nobody has ended it yet: it is counted still.
        assert_eq!(logins.failed(start + WHILE * 2), Login::Count);
        assert_eq!(logins.end(), 3);
        assert_eq!(logins.failed(start + WHILE * 2), Login::Record);
        assert_eq!(logins.failed(start + WHILE * 3), Login::Record);
        assert_eq!(logins.end(), 0);
    }

    #[test]
    fn a_route_that_nobody_thought_of_is_recorded() {
        let get = |route| subject_of(route, &Method::GET);
        assert_eq!(get("/api/v1/anything/new"), ("Api", true));
        assert_eq!(get("/api/v1/jobs/{id}/plan"), ("GDPRJob", true));
        assert_eq!(get("/api/v1/reports/compliance"), ("", false));
        assert_eq!(reading("/api/v1/jobs/{id}/evidence"), Action::Export);
        assert_eq!(reading("/api/v1/exports/{id}"), Action::Export);
        assert_eq!(reading("/api/v1/jobs"), Action::Read);
    }

    #[test]
    fn the_id_of_an_entry_is_the_paths_and_nothing_else_that_a_caller_wrote() {
        assert_eq!(id_in("/api/v1/jobs/{id}/retry", "/api/v1/jobs/gdpr_1/retry"), "gdpr_1");
        assert_eq!(id_in("/api/v1/jobs/{id}", "/v1/jobs/gdpr_1"), "gdpr_1");
        assert_eq!(id_in("/api/v1/jobs", "/api/v1/jobs"), "*");
        assert_eq!(id_in("/api/v1/jobs/{id}", "/api/v1/jobs/john%40example.com"), "*");
    }
}
