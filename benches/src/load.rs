//! The load generator. Closed loop: each connection sends its next webhook when the last one is answered. Open loop:
//! webhooks are due at a fixed rate, whoever is free sends the next, and a late one is counted as late.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::ensure;
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use crate::http::{self, Connection};
use crate::report::{self, Report};
use crate::webhook::{Kind, Mint, Orders, Topic};

#[derive(clap::Args, Debug)]
#[command(group = clap::ArgGroup::new("length").required(true))]
pub struct Arguments {
    /// Where to send: http://HOST:PORT, with `/webhooks` unless a path is given.
    #[arg(long)]
    address: String,
    /// The app's client secret.
    #[arg(long, env = "SHOPIFY_API_SECRET", hide_env_values = true)]
    secret: String,
    #[arg(long, default_value_t = 16)]
    connections: u32,
    /// Seconds to go on.
    #[arg(long, group = "length")]
    duration: Option<f64>,
    /// Webhooks to send.
    #[arg(long, group = "length")]
    count: Option<u64>,
    /// Open loop: webhooks per second, whether answered or not.
    #[arg(long)]
    rate: Option<f64>,
    /// Percent that repeats an earlier webhook.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    duplicates: u8,
    /// Percent with a wrong HMAC.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    forged: u8,
    #[arg(long, value_enum, default_value = "customers/redact")]
    topic: Topic,
    /// Repeats the ids of an earlier run.
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub enum Length {
    For(Duration),
    Count(u64),
}

#[derive(Debug)]
pub struct Plan {
    pub host: String,
    pub path: String,
    pub mint: Mint,
    pub connections: u32,
    pub length: Length,
    pub rate: Option<f64>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    pub connections: u32,
    pub rate: Option<f64>,
    pub seed: u64,
    pub seconds: f64,
    pub sent: u64,
    /// Genuine webhooks (originals and duplicates) that got 200.
    pub accepted: u64,
    pub duplicates: u64,
    /// Forged webhooks that got 401.
    pub refused: u64,
    /// Whatever else came back, by status; and `timeout`, `connection`.
    pub unexpected: BTreeMap<String, u64>,
    pub accepted_per_second: f64,
    pub latency_ms: Latency,
}

#[derive(Debug, Default, Serialize)]
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

/// What one connection saw.
struct Tally {
    histogram: Histogram<u64>,
    accepted: u64,
    duplicates: u64,
    refused: u64,
    unexpected: BTreeMap<String, u64>,
}

pub async fn bench(arguments: &Arguments) -> anyhow::Result<Report> {
    let (host, path) = http::split(&arguments.address)?;
    let mut mint = Mint::new(&arguments.secret, arguments.topic, Orders::Unknown)?;
    mint.seed = arguments.seed.unwrap_or(mint.seed);
    (mint.duplicates, mint.forged) = (arguments.duplicates, arguments.forged);
    ensure!(mint.duplicates + mint.forged <= 100, "duplicates and forged are more than 100 percent");
    let length = match (arguments.duration, arguments.count) {
        (Some(seconds), _) => Length::For(Duration::try_from_secs_f64(seconds)?),
        (None, count) => Length::Count(count.unwrap_or_default()),
    };
    let plan = Plan { host, path, mint, connections: arguments.connections, length, rate: arguments.rate };
    let outcome = run(plan).await?;
    let mut table =
        report::table(["", "per s", "p50 ms", "p90", "p99", "p99.9", "max", "accepted", "refused", "other"]);
    let latency = &outcome.latency_ms;
    let mut row = vec![format!("{} connections", outcome.connections), format!("{:.0}", outcome.accepted_per_second)];
    row.extend([latency.p50, latency.p90, latency.p99, latency.p999, latency.max].map(|value| format!("{value:.2}")));
    row.extend([outcome.accepted, outcome.refused, outcome.unexpected.values().sum()].map(|value| value.to_string()));
    table.add_row(row);
    let notes = outcome.unexpected.iter().map(|(what, count)| format!("unexpected: {what} × {count}")).collect();
    Ok(Report { tables: vec![table], notes, json: serde_json::to_value(&outcome)? })
}

pub async fn run(plan: Plan) -> anyhow::Result<Outcome> {
    ensure!(plan.connections > 0, "at least one connection is needed");
    ensure!(plan.rate.is_none_or(|rate| rate > 0.0), "the rate must be above zero");
    let mut connections = Vec::new();
    for _ in 0..plan.connections {
        connections.push(Connection::open(&plan.host).await?);
    }
    let (plan, next) = (Arc::new(plan), Arc::new(AtomicU64::new(0)));
    let started = Instant::now();
    let workers: Vec<_> = connections
        .into_iter()
        .map(|connection| tokio::spawn(work(Arc::clone(&plan), Arc::clone(&next), connection, started)))
        .collect();
    let mut outcome =
        Outcome { connections: plan.connections, rate: plan.rate, seed: plan.mint.seed, ..Outcome::default() };
    let mut histogram = new_histogram()?;
    for worker in workers {
        let tally = worker.await??;
        histogram.add(&tally.histogram)?;
        outcome.accepted += tally.accepted;
        outcome.duplicates += tally.duplicates;
        outcome.refused += tally.refused;
        for (what, count) in tally.unexpected {
            *outcome.unexpected.entry(what).or_default() += count;
        }
    }
    outcome.seconds = started.elapsed().as_secs_f64();
    outcome.sent = outcome.accepted + outcome.refused + outcome.unexpected.values().sum::<u64>();
    outcome.accepted_per_second = outcome.accepted as f64 / outcome.seconds;
    let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1000.0;
    outcome.latency_ms =
        Latency { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: histogram.max() as f64 / 1000.0 };
    Ok(outcome)
}

async fn work(
    plan: Arc<Plan>,
    next: Arc<AtomicU64>,
    connection: Connection,
    started: Instant,
) -> anyhow::Result<Tally> {
    let mut tally =
        Tally { histogram: new_histogram()?, accepted: 0, duplicates: 0, refused: 0, unexpected: BTreeMap::new() };
    let mut connection = Some(connection);
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        let due = plan.rate.map(|rate| started + Duration::from_secs_f64(n as f64 / rate));
        let over = match plan.length {
            Length::Count(count) => n >= count,
            Length::For(duration) => due.unwrap_or_else(Instant::now) >= started + duration,
        };
        if over {
            return Ok(tally);
        }
        let since = wait_until(due).await;
        let webhook = plan.mint.webhook(n, &plan.host, &plan.path);
        let answer = match &mut connection {
            Some(connection) => connection.send(webhook.request).await,
            None => Err(anyhow::anyhow!("no connection")),
        };
        let elapsed = since.elapsed();
        match answer {
            Ok(status) => {
                tally.histogram.saturating_record(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX));
                tally.count(webhook.kind, status.as_u16());
            }
            Err(error) => {
                let what = if error.is::<tokio::time::error::Elapsed>() { "timeout" } else { "connection" };
                *tally.unexpected.entry(what.to_owned()).or_default() += 1;
                connection = reopen(&plan.host).await;
            }
        }
    }
}

impl Tally {
    fn count(&mut self, kind: Kind, status: u16) {
        match (kind, status) {
            (Kind::Forged, 401) => self.refused += 1,
            (Kind::Original | Kind::Duplicate, 200) => {
                self.accepted += 1;
                self.duplicates += u64::from(kind == Kind::Duplicate);
            }
            (Kind::Forged, status) => *self.unexpected.entry(format!("{status} to a forged one")).or_default() += 1,
            (_, status) => *self.unexpected.entry(status.to_string()).or_default() += 1,
        }
    }
}

/// Waits for the due time and says from when the latency counts: from the due time when this connection came too late
/// for it, so that a slow server cannot hide its queue; from now when the timer overslept, which is not the server's doing.
async fn wait_until(due: Option<Instant>) -> Instant {
    match due {
        Some(due) if due <= Instant::now() => due,
        Some(due) => {
            sleep_until(due).await;
            Instant::now()
        }
        None => Instant::now(),
    }
}

/// A new connection; a pause when there is none, so that a dead server is not hammered.
async fn reopen(host: &str) -> Option<Connection> {
    let connection = Connection::open(host).await.ok();
    if connection.is_none() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    connection
}

/// One microsecond to one minute, three digits.
fn new_histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}
