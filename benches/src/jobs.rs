//! Erasure jobs on PostgreSQL: four tables of a million rows, ten orders a job, from queued to completed.
mod dataset;
mod summary;
mod turn;

use clap::ValueEnum;
use serde::Serialize;

use crate::efface::{self, Efface};
use crate::report::Report;
use crate::services::{Need, Services};
use crate::{database, machine};

pub use dataset::Dataset;
use turn::Turn;

#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Contestants.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["efface", "graphile", "sql"])]
    only: Vec<Contestant>,
    #[arg(long, default_value_t = 20_000)]
    jobs: u64,
    /// Rows of each of the four tables.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    #[arg(long, default_value_t = 100)]
    shops: u64,
    /// Rows lie in random order in the heap, and a job's orders far apart in the index: an old shop.
    #[arg(long)]
    spread: bool,
    /// Finished rows that `"GDPRJob"` holds before Efface begins.
    #[arg(long, default_value_t = 0)]
    finished: u64,
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// Tasks at once in graphile-worker.
    #[arg(long, default_value_t = 16)]
    graphile_concurrency: u32,
    /// Connections of the hand-written SQL, and its jobs per transaction.
    #[arg(long, default_value_t = 4)]
    sql_connections: u32,
    #[arg(long, default_value_t = 10)]
    sql_batch: u32,
    /// Connections that post the webhooks to Efface beforehand (not measured).
    #[arg(long, default_value_t = 32)]
    intake_connections: u32,
    #[command(flatten)]
    binary: efface::Binary,
    /// An `efface` binary with the feature `bench`; built from this checkout when not given.
    #[arg(long, value_name = "PATH")]
    unlogged: Option<std::path::PathBuf>,
    /// Keeps the logs.
    #[arg(long)]
    keep: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Contestant {
    /// `efface serve --role worker`; with the scheduler when `unlogged` is there too
    Efface,
    /// The same without its audit log, in a build for the bench alone
    Unlogged,
    /// graphile-worker, tuned
    Graphile,
    /// Hand-written SQL, ten jobs per transaction
    Sql,
}

pub async fn bench(arguments: &Arguments) -> anyhow::Result<Report> {
    let dataset = Dataset::new(arguments)?;
    let services = Services::start(Need::Database).await?;
    let turns = measure(arguments, &dataset, &services).await;
    let settings = match database::connect(&services.database_url).await {
        Ok(client) => database::describe(&client).await?,
        Err(_) => serde_json::Value::Null,
    };
    services.stop(arguments.keep || turns.is_err()).await?;
    Ok(summary::report(arguments, &turns?, &settings))
}

async fn measure(arguments: &Arguments, dataset: &Dataset, services: &Services) -> anyhow::Result<Vec<Turn>> {
    let is_efface = |contestant| matches!(contestant, &Contestant::Efface | &Contestant::Unlogged);
    let efface = if arguments.only.iter().any(is_efface) {
        Some(Efface::prepare(&arguments.binary, &services.folder).await?)
    } else {
        None
    };
    let unlogged = match &efface {
        Some(efface) if arguments.only.contains(&Contestant::Unlogged) => {
            Some(efface.without_log(arguments.unlogged.as_deref()).await?)
        }
        _ => None,
    };
    dataset.build(&services.database_url, efface.as_ref()).await?;
    let mut turns = Vec::new();
    for round in 1..=arguments.rounds {
        for &contestant in &arguments.only {
            eprintln!("round {round}: {contestant:?} (load average {})", machine::describe()["loadAverage"]);
            let name = format!("efface_bench_{contestant:?}").to_lowercase();
            let database_url = database::create(&services.database_url, &name, Some(dataset::TEMPLATE)).await?;
            let house = turn::House { arguments, dataset, services, database_url: &database_url };
            let turn = match (contestant, if contestant == Contestant::Unlogged { &unlogged } else { &efface }) {
                (Contestant::Efface | Contestant::Unlogged, Some(efface)) => {
                    turn::efface(&house, efface, contestant).await?
                }
                (Contestant::Graphile, _) => turn::graphile(&house).await?,
                _ => turn::sql(&house).await?,
            };
            dataset.check_rows(&database_url, &turn).await?;
            turns.push(Turn { round, ..turn });
            database::drop(&services.database_url, &name).await?;
        }
    }
    database::drop(&services.database_url, dataset::TEMPLATE).await?;
    Ok(turns)
}
