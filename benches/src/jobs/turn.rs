//! One turn of one contestant: its jobs are put in, then its worker starts, and the clock runs from the first claim to
//! the last completion, as the rows themselves tell.
use std::time::Duration;

use anyhow::ensure;
use serde::Serialize;
use serde_json::json;
use tokio::process::Command;
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::dataset::Dataset;
use super::{Arguments, Contestant};
use crate::efface::{Efface, Place, SECRET};
use crate::load::{self, Length, Plan};
use crate::process::{self, Process};
use crate::services::Services;
use crate::webhook::{Mint, Orders, Topic};
use crate::{database, http, peers};

/// Between two looks at the progress.
const PAUSE: Duration = Duration::from_millis(300);

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Turn {
    pub contestant: Contestant,
    pub round: u32,
    pub jobs: u64,
    /// First claim to last completion.
    pub seconds: f64,
    pub jobs_per_second: f64,
    /// From the start of the process until the last job was seen completed; polling makes it up to 0.6 s too long.
    pub seconds_with_start: f64,
    pub cpu_ms_per_job: f64,
    /// PostgreSQL's own; null when it runs elsewhere.
    pub database_cpu_ms_per_job: Option<f64>,
    pub database_wal_kib_per_job: f64,
    pub resident_peak_mib: f64,
}

pub struct House<'a> {
    pub arguments: &'a Arguments,
    pub dataset: &'a Dataset,
    pub services: &'a Services,
    pub database_url: &'a str,
}

pub async fn efface(house: &House<'_>, efface: &Efface, contestant: Contestant) -> anyhow::Result<Turn> {
    let listen = http::free_address().await?.to_string();
    let place = Place { listen, database_url: house.database_url, amqp_url: "" };
    post_webhooks(house, efface, &place).await?;
    let client = database::connect(house.database_url).await?;
    let ids: Vec<String> = client
        .query(r#"select "id" from "GDPRJob" where "status" = 'queued' order by "createdAt" desc limit 200"#, &[])
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect();
    client.batch_execute("checkpoint").await?;
    let sample = Meter::start(&client).await?;
    // Entries are placed and signed by the scheduler: what the log costs is only seen with it.
    let is_about_the_log = house.arguments.only.contains(&Contestant::Unlogged);
    let role = if is_about_the_log { "worker,scheduler" } else { "worker" };
    let mut worker = efface.serve(role, &place, &house.services.log("jobs-efface"))?;
    // Counting a table that may hold a million finished rows would load the server: the jobs put in last are watched first.
    let last = r#"select count(*) from "GDPRJob" where "id" = any($1) and "status" = 'completed'"#;
    await_count(&client, &mut worker, last, &[&ids], (ids.len() as u64, house.dataset.jobs)).await?;
    let all = r#"select count(*) from "GDPRJob" where "status" = 'completed' and "id" not like 'gdpr\_bench\_%'"#;
    await_count(&client, &mut worker, all, &[], (house.dataset.jobs, house.dataset.jobs)).await?;
    let turn = sample.end(&client, &worker, contestant, house.dataset.jobs).await?;
    worker.stop().await?;
    let erased = r#"select count(*) from "GDPRJob" where "outcome" = 'erased' and "id" not like 'gdpr\_bench\_%'"#;
    let erased: i64 = client.query_one(erased, &[]).await?.get(0);
    ensure!(u64::try_from(erased)? == house.dataset.jobs, "only {erased} jobs have the outcome `erased`");
    let span = r#"select extract(epoch from max("completedAt") - min("processedAt"))::float8
                  from "GDPRJob" where "id" not like 'gdpr\_bench\_%'"#;
    turn.timed(client.query_one(span, &[]).await?.get(0))
}

pub async fn graphile(house: &House<'_>) -> anyhow::Result<Turn> {
    let folder = peers::install("graphile").await?;
    let command = |step: &str| {
        let mut command = Command::new("node");
        command.args(["worker.mjs", step]).current_dir(&folder).env("NODE_ENV", "production");
        command.env("DATABASE_URL", house.database_url);
        command.env("CONCURRENCY", house.arguments.graphile_concurrency.to_string());
        command
    };
    ensure!(command("install").status().await?.success(), "graphile-worker could not make its tables");
    let client = database::connect(house.database_url).await?;
    let statement = "select count(graphile_worker.add_job('erase', job)) from json_array_elements($1::text::json) job";
    for chunk in jobs_as_json(house.dataset) {
        client.execute(statement, &[&chunk]).await?;
    }
    peer(house, &client, command("work"), Contestant::Graphile).await
}

pub async fn sql(house: &House<'_>) -> anyhow::Result<Turn> {
    let client = database::connect(house.database_url).await?;
    for chunk in jobs_as_json(house.dataset) {
        let statement = r#"insert into peer."Job" ("id", "shopId", "orders")
            select (job ->> 'id')::bigint, job ->> 'shopId', array(select json_array_elements_text(job -> 'orders'))
            from json_array_elements($1::text::json) job"#;
        client.execute(statement, &[&chunk]).await?;
    }
    let mut worker = Command::new(peers::reference("reference-jobs").await?);
    worker.env("DATABASE_URL", house.database_url);
    worker.env("CONNECTIONS", house.arguments.sql_connections.to_string());
    worker.env("BATCH", house.arguments.sql_batch.to_string());
    peer(house, &client, worker, Contestant::Sql).await
}

/// The common part of the peers: start the worker, wait for the receipts, read the times from `peer."Job"`.
async fn peer(
    house: &House<'_>,
    client: &Client,
    mut command: Command,
    contestant: Contestant,
) -> anyhow::Result<Turn> {
    client.batch_execute("analyze").await?;
    client.batch_execute("checkpoint").await?;
    let sample = Meter::start(client).await?;
    let log = house.services.log(&format!("jobs-{contestant:?}").to_lowercase());
    let mut worker = Process::start(&mut command, &log)?;
    let receipts = r#"select count(*) from peer."Receipt""#;
    await_count(client, &mut worker, receipts, &[], (house.dataset.jobs, house.dataset.jobs)).await?;
    let turn = sample.end(client, &worker, contestant, house.dataset.jobs).await?;
    worker.stop().await?;
    let span = r#"select extract(epoch from max("completedAt") - min("processedAt"))::float8 from peer."Job""#;
    turn.timed(client.query_one(span, &[]).await?.get(0))
}

async fn post_webhooks(house: &House<'_>, efface: &Efface, place: &Place<'_>) -> anyhow::Result<()> {
    let mut door = efface.serve("http", place, &house.services.log("jobs-efface-intake"))?;
    http::ready(&place.listen, &mut door, Duration::from_mins(1)).await?;
    let plan = Plan {
        host: place.listen.clone(),
        path: "/webhooks".to_owned(),
        mint: Mint::new(SECRET, Topic::CustomersRedact, Orders::OfShops(house.dataset.arrangement))?,
        connections: house.arguments.intake_connections,
        length: Length::Count(house.dataset.jobs),
        rate: None,
    };
    let outcome = load::run(plan).await?;
    ensure!(
        outcome.accepted == house.dataset.jobs,
        "of {} webhooks {} were accepted",
        house.dataset.jobs,
        outcome.accepted
    );
    door.stop().await
}

/// All jobs as JSON arrays of a thousand: `[{"id":…,"shopId":…,"orders":[…]}]`.
fn jobs_as_json(dataset: &Dataset) -> impl Iterator<Item = String> {
    let numbers: Vec<u64> = (0..dataset.jobs).collect();
    let arrangement = dataset.arrangement;
    numbers.chunks(1000).map(<[u64]>::to_vec).collect::<Vec<_>>().into_iter().map(move |chunk| {
        let jobs = chunk.into_iter().map(|n| {
            let (shop, orders) = arrangement.job(n);
            json!({ "id": n, "shopId": format!("shop-{shop}"), "orders": orders.map(|order| order.to_string()) })
        });
        jobs.collect::<serde_json::Value>().to_string()
    })
}

/// Looks at a count until it is reached.
///
/// # Errors
/// The worker has ended, or ten milliseconds a job and a minute have passed.
async fn await_count(
    client: &Client,
    worker: &mut Process,
    count: &str,
    parameters: &[&(dyn ToSql + Sync)],
    (wanted, jobs): (u64, u64),
) -> anyhow::Result<()> {
    let count = client.prepare(count).await?;
    let limit = Duration::from_mins(1) + Duration::from_millis(10) * u32::try_from(jobs)?;
    let started = Instant::now();
    loop {
        let reached: i64 = client.query_one(&count, parameters).await?.get(0);
        if u64::try_from(reached)? >= wanted {
            return Ok(());
        }
        ensure!(!worker.has_ended()?, "the worker ended with {reached} of {wanted} jobs done; its log is kept");
        ensure!(started.elapsed() < limit, "{reached} of {wanted} jobs done in {} s; the log is kept", limit.as_secs());
        sleep(PAUSE).await;
    }
}

/// What the server had used when the worker was started.
struct Meter {
    started: Instant,
    postmaster: Option<u32>,
    database_cpu: f64,
    wal: String,
}

impl Meter {
    async fn start(client: &Client) -> anyhow::Result<Self> {
        let postmaster = database::postmaster(client).await?;
        let database_cpu = postmaster.map_or(Ok(0.0), process::family_cpu_seconds)?;
        let wal = client.query_one("select pg_current_wal_lsn()::text", &[]).await?.get(0);
        Ok(Self { started: Instant::now(), postmaster, database_cpu, wal })
    }

    /// Everything but the time between first claim and last completion.
    async fn end(self, client: &Client, worker: &Process, contestant: Contestant, jobs: u64) -> anyhow::Result<Turn> {
        let seconds_with_start = self.started.elapsed().as_secs_f64();
        let cpu = worker.cpu_seconds()?;
        let database_cpu = self.postmaster.map(process::family_cpu_seconds).transpose()?;
        let wal = "select pg_wal_lsn_diff(pg_current_wal_lsn(), $1::text::pg_lsn)::float8";
        let wal: f64 = client.query_one(wal, &[&self.wal]).await?.get(0);
        let per_job = 1.0 / jobs as f64;
        Ok(Turn {
            contestant,
            round: 0,
            jobs,
            seconds: 0.0,
            jobs_per_second: 0.0,
            seconds_with_start,
            cpu_ms_per_job: cpu * 1000.0 * per_job,
            database_cpu_ms_per_job: database_cpu.map(|now| (now - self.database_cpu) * 1000.0 * per_job),
            database_wal_kib_per_job: wal / 1024.0 * per_job,
            resident_peak_mib: worker.resident_peak()?,
        })
    }
}

impl Turn {
    fn timed(self, seconds: f64) -> anyhow::Result<Self> {
        ensure!(seconds > 0.0, "the rows tell no time between first claim and last completion");
        Ok(Self { seconds, jobs_per_second: self.jobs as f64 / seconds, ..self })
    }
}
