//! Counts answers by status, with their latencies.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use serde::Serialize;

use super::super::output;

/// The answers to all deliveries of one command.
#[derive(Debug, Default)]
pub struct Tally {
    /// Latencies by status; 0 stands for no answer.
    latencies: BTreeMap<u16, Vec<Duration>>,
    /// Why there was no answer, each cause once.
    pub failures: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    /// Null when nobody answered.
    status: Option<u16>,
    count: usize,
    latency_ms: Latency,
}

#[derive(Debug, Serialize)]
struct Latency {
    min: f64,
    p50: f64,
    p95: f64,
    max: f64,
}

impl Tally {
    pub fn answered(&mut self, status: u16, latency: Duration) {
        self.latencies.entry(status).or_default().push(latency);
    }

    pub fn unanswered(&mut self, why: String, latency: Duration) {
        self.latencies.entry(0).or_default().push(latency);
        *self.failures.entry(why).or_default() += 1;
    }

    /// Whether every delivery was taken: any 2xx, as Shopify counts.
    pub fn all_taken(&self) -> bool {
        self.latencies.keys().all(|status| (200..300).contains(status))
    }

    fn lines(&self) -> Vec<Line> {
        let line = |(&status, latencies): (&u16, &Vec<Duration>)| {
            let mut millis: Vec<_> = latencies.iter().map(|latency| rounded_millis(*latency)).collect();
            millis.sort_by(f64::total_cmp);
            let at = |percent: usize| millis[(millis.len() * percent).div_ceil(100).max(1) - 1];
            let latency_ms = Latency { min: at(0), p50: at(50), p95: at(95), max: at(100) };
            Line { status: (status > 0).then_some(status), count: millis.len(), latency_ms }
        };
        self.latencies.iter().map(line).collect()
    }

    /// The lines as JSON.
    pub fn to_json(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(self.lines())
    }

    /// # Errors
    /// When stdout is gone.
    pub fn print(&self) -> io::Result<()> {
        output::table(
            ["STATUS", "COUNT", "MIN MS", "P50 MS", "P95 MS", "MAX MS"],
            self.lines().into_iter().map(|line| {
                let status = line.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
                let Latency { min, p50, p95, max } = line.latency_ms;
                [status, line.count.to_string(), min.to_string(), p50.to_string(), p95.to_string(), max.to_string()]
            }),
        )
    }
}

/// Milliseconds with two decimals.
fn rounded_millis(latency: Duration) -> f64 {
    (latency.as_secs_f64() * 100_000.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_answers_that_were_measured() {
        let mut tally = Tally::default();
        (1..=20).for_each(|millis| tally.answered(200, Duration::from_millis(millis)));
        tally.unanswered("connection refused".to_owned(), Duration::from_micros(1234));
        assert!(!tally.all_taken());
        assert_eq!(
            serde_json::to_string(&tally.to_json().unwrap()).unwrap(),
            r#"[{"count":1,"latencyMs":{"max":1.23,"min":1.23,"p50":1.23,"p95":1.23},"status":null},{"count":20,"latencyMs":{"max":20.0,"min":1.0,"p50":10.0,"p95":19.0},"status":200}]"#
        );
    }
}
