//! One Efface process with all roles on PostgreSQL and RabbitMQ: how soon it is ready, how much memory it keeps while it
//! accepts webhooks and erases at the same time.
use std::time::Duration;

use anyhow::ensure;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::efface::{self, Efface, Place, SECRET};
use crate::jobs::Dataset;
use crate::load::{self, Length, Plan};
use crate::process::Process;
use crate::report::{self, Report, Wanted, goal, median};
use crate::services::{Need, Services};
use crate::webhook::{Arrangement, Mint, Orders, Topic};
use crate::{database, http, machine};

const SHOPS: u64 = 100;
const DATABASE: &str = "efface_bench_footprint";

#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Webhooks to send, each with ten orders of the reference rows.
    #[arg(long, default_value_t = 20_000)]
    count: u64,
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// Open loop: webhooks per second.
    #[arg(long)]
    rate: Option<f64>,
    /// Starts to take the time to ready from.
    #[arg(long, default_value_t = 5)]
    starts: u32,
    /// Seconds to rest before memory counts as idle.
    #[arg(long, default_value_t = 3.0)]
    idle: f64,
    #[command(flatten)]
    binary: efface::Binary,
    /// Keeps the logs.
    #[arg(long)]
    keep: bool,
}

pub async fn bench(arguments: &Arguments) -> anyhow::Result<Report> {
    let services = Services::start(Need::DatabaseAndBroker).await?;
    let report = measure(arguments, &services).await;
    services.stop(arguments.keep || report.is_err()).await?;
    report
}

async fn measure(arguments: &Arguments, services: &Services) -> anyhow::Result<Report> {
    let efface = Efface::prepare(&arguments.binary, &services.folder).await?;
    let orders_per_shop = (arguments.count * 10).div_ceil(SHOPS * 10) * 10;
    let arrangement = Arrangement { shops: SHOPS, orders_per_shop, spread: false };
    let database_url = database::create(&services.database_url, DATABASE, None).await?;
    Dataset::of(arrangement, arguments.count).fill(&database_url, Some(&efface)).await?;
    let host = http::free_address().await?.to_string();
    let place = Place { listen: host.clone(), database_url: &database_url, amqp_url: &services.amqp_url };

    let mut times = Vec::new();
    for _ in 1..arguments.starts.max(1) {
        let (process, time) = start(&efface, &place, services).await?;
        times.push(time);
        process.stop().await?;
    }
    let (process, time) = start(&efface, &place, services).await?;
    times.push(time);
    sleep(Duration::try_from_secs_f64(arguments.idle)?).await;
    let idle = process.resident()?;

    let plan = Plan {
        host,
        path: "/webhooks".to_owned(),
        mint: Mint::new(SECRET, Topic::CustomersRedact, Orders::OfShops(arrangement))?,
        connections: arguments.connections,
        length: Length::Count(arguments.count),
        rate: arguments.rate,
    };
    let (cpu, started) = (process.cpu_seconds()?, Instant::now());
    let load = load::run(plan).await?;
    ensure!(
        load.accepted == arguments.count,
        "accepted {} of {}: {:?}",
        load.accepted,
        arguments.count,
        load.unexpected
    );
    await_completed(&database_url, arguments.count).await?;
    let (cpu, seconds) = (process.cpu_seconds()? - cpu, started.elapsed().as_secs_f64());
    let peak = process.resident_peak()?;
    process.stop().await?;
    database::drop(&services.database_url, DATABASE).await?;

    let ready = median(times.iter().map(Duration::as_secs_f64));
    let cpu_ms = cpu * 1000.0 / load.accepted as f64;
    let mut table = report::table(["one process, all roles", ""]);
    table.add_row(["ready after, s".to_owned(), format!("{ready:.3}")]);
    table.add_row(["resident idle, MiB".to_owned(), format!("{idle:.1}")]);
    table.add_row(["resident peak under load, MiB".to_owned(), format!("{peak:.1}")]);
    table.add_row(["webhooks accepted per s".to_owned(), format!("{:.0}", load.accepted_per_second)]);
    table.add_row(["webhook to last completed job, s".to_owned(), format!("{seconds:.1}")]);
    table.add_row(["own CPU per webhook and its job, ms".to_owned(), format!("{cpu_ms:.3}")]);
    let mut notes = vec![
        goal("seconds to ready", ready, &Wanted::Below(1.0)),
        goal("MiB resident at that load", peak, &Wanted::Below(60.0)),
        goal("own CPU ms per webhook and job", cpu_ms, &Wanted::Below(0.30)),
    ];
    notes.extend(machine::cautions());
    let json = json!({
        "bench": "footprint",
        "machine": machine::describe(),
        "readySeconds": times.iter().map(Duration::as_secs_f64).collect::<Vec<_>>(),
        "residentIdleMib": idle,
        "residentPeakMib": peak,
        "cpuMsPerWebhookAndJob": cpu_ms,
        "secondsToLastCompleted": seconds,
        "load": load,
    });
    Ok(Report { tables: vec![table], notes, json })
}

async fn start(efface: &Efface, place: &Place<'_>, services: &Services) -> anyhow::Result<(Process, Duration)> {
    let started = Instant::now();
    let mut process = efface.serve("all", place, &services.log("footprint"))?;
    http::ready(&place.listen, &mut process, Duration::from_mins(1)).await?;
    Ok((process, started.elapsed()))
}

async fn await_completed(database_url: &str, jobs: u64) -> anyhow::Result<()> {
    let client = database::connect(database_url).await?;
    let limit = Duration::from_mins(1) + Duration::from_millis(10) * u32::try_from(jobs)?;
    let started = Instant::now();
    loop {
        let count = r#"select count(*) from "GDPRJob" where "status" = 'completed'"#;
        let completed: i64 = client.query_one(count, &[]).await?.get(0);
        if u64::try_from(completed)? >= jobs {
            return Ok(());
        }
        ensure!(started.elapsed() < limit, "{completed} of {jobs} jobs completed in {} s", limit.as_secs());
        sleep(Duration::from_millis(300)).await;
    }
}
