//! Shows what was counted: `GET /metrics` in Prometheus' text form.

use std::sync::LazyLock;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse as _;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::shutdown::Shutdown;

/// Bounds of every histogram of seconds: from 0.1 ms, which the embedded door can reach, to the senders' 5 s.
const SECONDS: [f64; 14] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Time between two foldings of samples into buckets.
const FOLD_EVERY: Duration = Duration::from_secs(1);

/// The process's recorder. A process has one, however many servers it runs.
static RECORDER: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    let buckets = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS);
    // Refused for an empty list only.
    let recorder = buckets.unwrap_or_else(|_| PrometheusBuilder::new()).build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!("another recorder was installed before; /metrics shows nothing");
    }
    handle
});

/// Reads what the process's rooms have counted.
#[derive(Clone)]
pub struct Metrics {
    recorder: PrometheusHandle,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics(..)")
    }
}

impl Metrics {
    /// Installs the process's recorder, or finds it. Call it before anything is counted.
    pub fn install() -> Self {
        Self { recorder: RECORDER.clone() }
    }

    /// All metrics as text.
    pub fn render(&self) -> String {
        self.recorder.render()
    }

    /// Folds samples into buckets until `shutdown`. Without it every sample stays in memory until the next scrape.
    pub async fn keep_folded(self, shutdown: Shutdown) {
        let mut ticks = tokio::time::interval(FOLD_EVERY);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            self.recorder.run_upkeep();
        }
    }
}

/// The route of the metrics.
pub(super) fn router(metrics: Metrics) -> Router {
    let show = move || {
        let text = metrics.render();
        async move { ([(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4"))], text).into_response() }
    };
    Router::new().route("/metrics", get(show))
}
