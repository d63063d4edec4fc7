//! Tells whether the process lives, and whether it can work.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use futures_util::future::{BoxFuture, join_all};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Time that one check may take; longer counts as failed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// Time for which an answer is given again, so that impatient probes do not load the database.
const KEPT_FOR: Duration = Duration::from_secs(1);

/// What one check found. The text is shown to anybody: no addresses, no errors of libraries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whether this part is fit to work.
    pub ok: bool,
    /// The finding in a few words.
    pub detail: String,
}

impl Finding {
    /// A part that is fit to work.
    pub fn good(detail: impl Into<String>) -> Self {
        Self { ok: true, detail: detail.into() }
    }

    /// A part that is not.
    pub fn bad(detail: impl Into<String>) -> Self {
        Self { ok: false, detail: detail.into() }
    }
}

type Check = Box<dyn Fn() -> BoxFuture<'static, Finding> + Send + Sync>;

#[derive(Clone, Debug)]
struct Report {
    taken_at: Instant,
    findings: Vec<Finding>,
}

impl Report {
    /// Bad news is asked about again soon: whoever waits for the start must not wait for an old answer.
    fn kept_for(&self, good: Duration) -> Duration {
        if self.findings.iter().all(|finding| finding.ok) { good } else { good / 20 }
    }
}

/// The parts that must be fit before webhooks should be sent here: database, migrations, broker.
#[derive(Clone)]
pub struct Readiness {
    checks: Arc<Vec<(&'static str, Check)>>,
    latest: Arc<Mutex<Option<Report>>>,
    check_timeout: Duration,
    kept_for: Duration,
}

impl Default for Readiness {
    fn default() -> Self {
        let (checks, latest) = (Arc::default(), Arc::default());
        Self { checks, latest, check_timeout: CHECK_TIMEOUT, kept_for: KEPT_FOR }
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.checks.iter().map(|(name, _)| name)).finish()
    }
}

impl Readiness {
    /// Without any check: always ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check under a name. Call it before the value is shared.
    ///
    /// # Panics
    /// When the value has been cloned already.
    #[must_use]
    pub fn with<F, Fut>(mut self, name: &'static str, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Finding> + Send + 'static,
    {
        let Some(checks) = Arc::get_mut(&mut self.checks) else { panic!("readiness checks are added before sharing") };
        checks.push((name, Box::new(move || Box::pin(check()))));
        self
    }

    /// Each part with what was found, at most a second ago. Whoever asks meanwhile waits for the same checks.
    pub async fn findings(&self) -> Vec<(&'static str, Finding)> {
        let mut latest = self.latest.lock().await;
        let findings = match &*latest {
            Some(report) if report.taken_at.elapsed() < report.kept_for(self.kept_for) => report.findings.clone(),
            _ => {
                let findings = join_all(self.checks.iter().map(|(_, check)| self.within_time(check()))).await;
                *latest = Some(Report { taken_at: Instant::now(), findings: findings.clone() });
                findings
            }
        };
        self.checks.iter().map(|(name, _)| *name).zip(findings).collect()
    }

    async fn within_time(&self, check: BoxFuture<'static, Finding>) -> Finding {
        tokio::time::timeout(self.check_timeout, check).await.unwrap_or_else(|_| Finding::bad("gives no answer"))
    }
}

/// The routes of the probes, each under both of its names.
pub(super) fn router(readiness: Readiness) -> Router {
    let ready = get(move || async move { ready(&readiness).await });
    Router::new()
        .route("/health", get(alive))
        .route("/livez", get(alive))
        .route("/ready", ready.clone())
        .route("/readyz", ready)
}

async fn alive() -> Json<Value> {
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

async fn ready(readiness: &Readiness) -> (StatusCode, Json<Value>) {
    let findings = readiness.findings().await;
    let all_good = findings.iter().all(|(_, finding)| finding.ok);
    let checks: serde_json::Map<String, Value> =
        findings.into_iter().map(|(name, finding)| (name.to_owned(), json!(finding))).collect();
    let (code, status) =
        if all_good { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not_ready") };
    (code, Json(json!({ "status": status, "checks": checks })))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_check_that_hangs_counts_as_failed() {
        let readiness = Readiness { check_timeout: Duration::from_millis(50), ..Readiness::new() }
            .with("database", || async { Finding::good("answers") })
            .with("broker", std::future::pending::<Finding>);
        let findings = readiness.findings().await;
        assert_eq!(findings, [("database", Finding::good("answers")), ("broker", Finding::bad("gives no answer"))]);
    }

    async fn rounds_of_a_hundred_probes(kept_for: Duration) -> usize {
        let rounds = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&rounds);
        let readiness = Readiness { kept_for, ..Readiness::new() }.with("database", move || {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Finding::good("answers") }
        });
        join_all((0..100).map(|_| readiness.findings())).await;
        rounds.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn impatient_probes_share_a_round_of_checks_until_it_is_old() {
        assert_eq!(rounds_of_a_hundred_probes(Duration::from_hours(1)).await, 1);
        assert_eq!(rounds_of_a_hundred_probes(Duration::ZERO).await, 100);
    }
}
