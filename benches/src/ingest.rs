//! HTTP to a RabbitMQ quorum queue: how many webhooks per second are verified, published, confirmed and answered.
use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use clap::ValueEnum;
use serde::Serialize;
use serde_json::json;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::efface::{Efface, Place, SECRET};
use crate::load::{self, Length, Outcome, Plan};
use crate::process::Process;
use crate::report::{self, Report, Wanted, goal, median};
use crate::services::{Need, Services};
use crate::webhook::{Mint, Orders, Topic};
use crate::{database, efface, http, machine, peers, queue};

const DATABASE: &str = "efface_bench_ingest";

#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Contestants.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["efface", "node", "reference"])]
    only: Vec<Contestant>,
    #[arg(long, value_delimiter = ',', default_values_t = [16, 64])]
    connections: Vec<u32>,
    /// Seconds of each measurement, after a tenth of it (at least 1 s) to warm up.
    #[arg(long, default_value_t = 10.0)]
    duration: f64,
    /// Rounds; in each, every contestant has its turn at every number of connections.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    #[command(flatten)]
    binary: efface::Binary,
    /// Keeps the logs.
    #[arg(long)]
    keep: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Contestant {
    /// `efface serve --role http`
    Efface,
    /// express, Shopify's library, amqplib with confirms
    Node,
    /// axum and lapin, as little as an honest ingest can do
    Reference,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Turn {
    contestant: Contestant,
    round: u32,
    load: Outcome,
    cpu_micros_per_webhook: f64,
    resident_peak_mib: f64,
    /// Messages in the queue at the end. Webhooks of Efface's may share one.
    messages: u32,
    /// Webhooks that these messages hold, against webhooks accepted, the warm-up's among them: never fewer.
    queued: u64,
    accepted_in_all: u64,
}

pub async fn bench(arguments: &Arguments) -> anyhow::Result<Report> {
    let services = Services::start(Need::DatabaseAndBroker).await?;
    let turns = measure(arguments, &services).await;
    services.stop(arguments.keep || turns.is_err()).await?;
    let turns = turns?;
    Ok(summary(arguments, &turns))
}

async fn measure(arguments: &Arguments, services: &Services) -> anyhow::Result<Vec<Turn>> {
    let mut turns = Vec::new();
    for round in 1..=arguments.rounds {
        for &connections in &arguments.connections {
            for &contestant in &arguments.only {
                eprintln!("round {round}: {contestant:?} at {connections} connections");
                turns.push(turn(arguments, services, contestant, round, connections).await?);
            }
        }
    }
    Ok(turns)
}

async fn turn(
    arguments: &Arguments,
    services: &Services,
    contestant: Contestant,
    round: u32,
    connections: u32,
) -> anyhow::Result<Turn> {
    let host = http::free_address().await?.to_string();
    let efface = Efface::prepare(&arguments.binary, &services.folder).await?;
    let database_url = database::create(&services.database_url, DATABASE, None).await?;
    let place = Place { listen: host.clone(), database_url: &database_url, amqp_url: &services.amqp_url };
    let log = services.log(&format!("ingest-{contestant:?}").to_lowercase());
    let mut process = match contestant {
        Contestant::Efface => efface.serve("http", &place, &log)?,
        Contestant::Node => peer(node().await?, contestant, &place, &log)?,
        Contestant::Reference => {
            peer(Command::new(peers::reference("reference-ingest").await?), contestant, &place, &log)?
        }
    };
    http::ready(&host, &mut process, Duration::from_mins(1)).await?;
    let plan = |seconds: f64| -> anyhow::Result<Plan> {
        let mint = Mint::new(SECRET, Topic::CustomersRedact, Orders::Unknown)?;
        let length = Length::For(Duration::try_from_secs_f64(seconds)?);
        Ok(Plan { host: host.clone(), path: "/webhooks".to_owned(), mint, connections, length, rate: None })
    };
    let warm_up = load::run(plan((arguments.duration / 10.0).max(1.0))?).await?;
    let cpu = process.cpu_seconds()?;
    let load = load::run(plan(arguments.duration)?).await?;
    let cpu = process.cpu_seconds()? - cpu;
    ensure!(load.unexpected.is_empty() && load.accepted > 0, "{contestant:?} answered {:?}", load.unexpected);
    let resident_peak_mib = process.resident_peak()?;
    process.stop().await?;
    let accepted_in_all = warm_up.accepted + load.accepted;
    let queue = queue_of(contestant);
    let messages = queue::count(&services.amqp_url, queue).await?;
    let queued = match contestant {
        Contestant::Efface => drained(&efface, &place, accepted_in_all, services).await?,
        Contestant::Node | Contestant::Reference => u64::from(messages),
    };
    ensure!(queued >= accepted_in_all, "{contestant:?} accepted {accepted_in_all}, but queued {queued}");
    queue::delete(&services.amqp_url, queue).await?;
    database::drop(&services.database_url, DATABASE).await?;
    let cpu_micros_per_webhook = cpu * 1e6 / load.accepted as f64;
    Ok(Turn { contestant, round, load, cpu_micros_per_webhook, resident_peak_mib, messages, queued, accepted_in_all })
}

/// The webhooks that a worker finds in the queue, which only Efface can read: it writes one row for each.
async fn drained(efface: &Efface, place: &Place<'_>, accepted: u64, services: &Services) -> anyhow::Result<u64> {
    let client = database::connect(place.database_url).await?;
    let mut worker = efface.serve("worker", place, &services.log("ingest-drain"))?;
    let limit = Duration::from_mins(1) + Duration::from_millis(1) * u32::try_from(accepted)?;
    let started = Instant::now();
    let found = loop {
        let found: i64 = client.query_one(r#"select count(*) from "WebhookLog""#, &[]).await?.get(0);
        let found = u64::try_from(found)?;
        if found >= accepted || started.elapsed() > limit {
            break found;
        }
        ensure!(!worker.has_ended()?, "the worker ended with {found} of {accepted} webhooks found; its log is kept");
        sleep(Duration::from_millis(300)).await;
    };
    worker.stop().await?;
    Ok(found)
}

fn queue_of(contestant: Contestant) -> &'static str {
    match contestant {
        Contestant::Efface => "efface.webhooks",
        Contestant::Node => "bench.node",
        Contestant::Reference => "bench.reference",
    }
}

async fn node() -> anyhow::Result<Command> {
    let mut command = Command::new("node");
    command.arg("server.mjs").current_dir(peers::install("node-ingest").await?).env("NODE_ENV", "production");
    Ok(command)
}

fn peer(mut command: Command, contestant: Contestant, place: &Place<'_>, log: &Path) -> anyhow::Result<Process> {
    command.env("LISTEN", &place.listen).env("AMQP_URL", place.amqp_url).env("SECRET", SECRET);
    Process::start(command.env("QUEUE", queue_of(contestant)), log)
}

fn summary(arguments: &Arguments, turns: &[Turn]) -> Report {
    let of = |contestant, connections, value: fn(&Turn) -> f64| {
        let own = turns.iter().filter(|turn| turn.contestant == contestant && turn.load.connections == connections);
        median(own.map(value))
    };
    let rate = |turn: &Turn| turn.load.accepted_per_second;
    // Of each round by itself: what the machine does from one minute to the next concerns both.
    let times = |contestant, connections| {
        median((1..=arguments.rounds).map(|round| {
            let turns = turns.iter().filter(|turn| turn.round == round && turn.load.connections == connections);
            let of = |contestant| turns.clone().filter(|turn| turn.contestant == contestant).map(rate).sum::<f64>();
            of(Contestant::Efface) / of(contestant)
        }))
    };
    let header = ["HTTP → quorum queue", "connections", "per s", "Efface ×", "p50 ms", "p99 ms", "CPU µs", "peak MiB"];
    let mut table = report::table(header);
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    for &connections in &arguments.connections {
        for &contestant in &arguments.only {
            let ratio = times(contestant, connections);
            let row = json!({
                "contestant": contestant,
                "connections": connections,
                "perSecond": of(contestant, connections, rate),
                "effaceIsTimes": (ratio > 0.0).then_some(ratio),
                "p50Ms": of(contestant, connections, |turn| turn.load.latency_ms.p50),
                "p99Ms": of(contestant, connections, |turn| turn.load.latency_ms.p99),
                "cpuMicrosPerWebhook": of(contestant, connections, |turn| turn.cpu_micros_per_webhook),
                "residentPeakMib": of(contestant, connections, |turn| turn.resident_peak_mib),
            });
            let figure = |key: &str, digits| {
                row[key].as_f64().map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
            };
            let mut cells = vec![format!("{contestant:?}").to_lowercase(), connections.to_string()];
            cells.extend(
                [("perSecond", 0), ("effaceIsTimes", 2), ("p50Ms", 2), ("p99Ms", 2)].map(|(k, d)| figure(k, d)),
            );
            cells.extend([("cpuMicrosPerWebhook", 1), ("residentPeakMib", 0)].map(|(k, d)| figure(k, d)));
            table.add_row(cells);
            rows.push(row);
            notes.extend(goals(contestant, connections, ratio));
        }
        if arguments.only.contains(&Contestant::Efface) {
            let cpu = of(Contestant::Efface, connections, |turn| turn.cpu_micros_per_webhook);
            notes.push(goal(&format!("own CPU µs per webhook at {connections}"), cpu, &Wanted::Below(50.0)));
            if connections == 64 {
                let p99 = of(Contestant::Efface, connections, |turn| turn.load.latency_ms.p99);
                notes.push(goal("p99 ms at 64 connections", p99, &Wanted::Below(10.0)));
            }
        }
    }
    notes.extend(machine::cautions());
    let json = json!({ "bench": "ingest", "machine": machine::describe(), "medians": rows, "turns": turns });
    Report { tables: vec![table], notes, json }
}

/// What issue and documents promise about this pair; nothing when Efface took no part.
fn goals(contestant: Contestant, connections: u32, ratio: f64) -> Option<String> {
    let wanted = match (contestant, connections) {
        (Contestant::Node, 64) => Wanted::AtLeast(6.0),
        (Contestant::Node, 16) => Wanted::AtLeast(4.0),
        (Contestant::Reference, _) => Wanted::AtLeast(0.85),
        _ => return None,
    };
    let what = format!("times {} at {connections} connections", format!("{contestant:?}").to_lowercase());
    (ratio > 0.0).then(|| goal(&what, ratio, &wanted))
}
