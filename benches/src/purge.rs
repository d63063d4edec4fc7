//! Expired rows on PostgreSQL: Efface's page ranges beside one DELETE, batches by lists of row addresses and batches by
//! key, each on a fresh copy of the same table: alone, for the speed, and beside a writer, for what the writer feels.
mod rivals;
mod summary;
mod table;
mod writer;

use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::ValueEnum;
use efface::shutdown::Shutdown;
use efface::store::target::Ident;
use efface::store::target::purge::{Cutoffs, Expiry, InstantForm, Limits, Purged, purge};
use efface::store::{PoolLimits, Store};
use serde::Serialize;

use crate::report::Report;
use crate::services::{Need, Services};
use crate::{database, machine};
use table::{TEMPLATE, Table};
use writer::{Latencies, Writer};

#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Contestants.
    #[arg(long, value_enum, value_delimiter = ',',
          default_values = ["efface", "delete", "ctid1000", "ctid10000", "keyset1000", "keyset10000"])]
    only: Vec<Contestant>,
    /// Rows of the table; half of them have expired.
    #[arg(long, default_value_t = 5_000_000)]
    rows: u64,
    /// Shops, each with one of five periods.
    #[arg(long, default_value_t = 1_000)]
    shops: u64,
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// Contestants that purge once more beside the writer.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["efface", "delete"])]
    beside: Vec<Contestant>,
    /// Efface's pause after a batch while others work, as a share of the batch's time; as it ships when not given.
    #[arg(long)]
    pause_share: Option<f64>,
    /// Efface's longest transaction; as it ships when not given.
    #[arg(long)]
    transaction_max_ms: Option<u64>,
    /// Updates per second of the writer that works on the table meanwhile.
    #[arg(long, default_value_t = 200)]
    writes: u32,
    /// Seconds for which the writer is alone before each turn: with less, its p99 is that of a few writes.
    #[arg(long, default_value_t = 30)]
    idle: u64,
    /// Keeps the logs.
    #[arg(long)]
    keep: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lowercase")]
pub enum Contestant {
    /// Page ranges, each its own transaction
    Efface,
    /// One statement for all
    Delete,
    /// 1,000 rows per transaction, picked anew for every batch
    Ctid1000,
    /// 10,000 rows per transaction, picked anew for every batch
    Ctid10000,
    /// 1,000 rows per transaction, in the order of an index
    Keyset1000,
    /// 10,000 rows per transaction, in the order of an index
    Keyset10000,
}

/// One purge of all that has expired.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Turn {
    contestant: Contestant,
    round: u32,
    rows: u64,
    seconds: f64,
    longest_ms: f64,
    batches: Option<u32>,
    /// None when the contestant was alone.
    writer: Option<Felt>,
    /// What Efface says of its way.
    because: Option<String>,
}

/// The writer alone, and beside the contestant.
#[derive(Debug, Serialize)]
struct Felt {
    idle: Latencies,
    beside: Latencies,
    /// Beside the VACUUM that Efface asks for afterwards.
    vacuum: Option<Latencies>,
}

pub async fn bench(arguments: &Arguments) -> anyhow::Result<Report> {
    let services = Services::start(Need::Database).await?;
    let turns = measure(arguments, &services).await;
    let settings = match database::connect(&services.database_url).await {
        Ok(client) => database::describe(&client).await?,
        Err(_) => serde_json::Value::Null,
    };
    services.stop(arguments.keep || turns.is_err()).await?;
    Ok(summary::report(arguments, &turns?, &settings))
}

async fn measure(arguments: &Arguments, services: &Services) -> anyhow::Result<Vec<Turn>> {
    let table = Table { rows: arguments.rows, shops: arguments.shops };
    table.build(&services.database_url).await?;
    let mut turns = Vec::new();
    for round in 1..=arguments.rounds {
        for &contestant in &arguments.only {
            for has_writer in [false, true] {
                if has_writer && !arguments.beside.contains(&contestant) {
                    continue;
                }
                let beside = if has_writer { ", beside the writer" } else { "" };
                eprintln!(
                    "round {round}: {contestant:?}{beside} (load average {})",
                    machine::describe()["loadAverage"]
                );
                let name = format!("efface_bench_purge_{contestant:?}").to_lowercase();
                let url = database::create(&services.database_url, &name, Some(TEMPLATE)).await?;
                let turn = Turn { round, ..turn(arguments, &table, &url, contestant, has_writer).await? };
                turns.push(turn);
                database::drop(&services.database_url, &name).await?;
            }
        }
    }
    database::drop(&services.database_url, TEMPLATE).await?;
    Ok(turns)
}

async fn turn(
    arguments: &Arguments,
    table: &Table,
    url: &str,
    contestant: Contestant,
    has_writer: bool,
) -> anyhow::Result<Turn> {
    let client = database::connect(url).await?;
    // A copy of files is cold, and its first checkpoint dear: the same for everybody.
    client.batch_execute("select count(*) from visit; checkpoint").await?;
    let cutoffs = table.cutoffs(&client).await?;
    let before = table.count(&client).await?;
    let mut idle = None;
    let mut writer = None;
    if has_writer {
        let alone = Writer::start(url, table, arguments.writes).await?;
        idle = Some(Latencies::of(&alone.stop_after(Duration::from_secs(arguments.idle)).await?)?);
        writer = Some(Writer::start(url, table, arguments.writes).await?);
    } else {
        // Nobody has worked in the database for a while, as at night.
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    let mut began = Instant::now();
    let (mut because, mut batches, mut seconds) = (None, None, None);
    let longest = match contestant {
        Contestant::Efface => {
            let (since, purged) = efface(arguments, url, cutoffs).await?;
            began = since;
            because = Some(format!("{}: {}", purged.strategy.as_str(), purged.because));
            batches = Some(purged.batches);
            // The VACUUM after it is not in this time.
            seconds = Some(purged.took.as_secs_f64());
            purged.longest
        }
        Contestant::Delete => rivals::delete(url).await?,
        Contestant::Ctid1000 => rivals::by_address(url, 1_000).await?,
        Contestant::Ctid10000 => rivals::by_address(url, 10_000).await?,
        Contestant::Keyset1000 => rivals::by_key(url, 1_000).await?,
        Contestant::Keyset10000 => rivals::by_key(url, 10_000).await?,
    };
    let seconds = seconds.unwrap_or_else(|| began.elapsed().as_secs_f64());
    let writer = match (writer, idle) {
        (Some(writer), Some(idle)) => {
            let updates = writer.stop_after(Duration::ZERO).await?;
            let end = began + Duration::from_secs_f64(seconds);
            let (beside, vacuum) = updates.split_at(updates.partition_point(|(at, _)| at.into_std() < end));
            let vacuum = (!vacuum.is_empty()).then(|| Latencies::of(vacuum)).transpose()?;
            Some(Felt { idle, beside: Latencies::of(beside)?, vacuum })
        }
        _ => None,
    };
    let rows = before - table.count(&client).await?;
    ensure!(table.due(&client).await? == 0, "{contestant:?} left expired rows");
    ensure!(rows == table.expired(), "{contestant:?} deleted {rows} rows, and {} have expired", table.expired());
    let longest_ms = longest.as_secs_f64() * 1e3;
    Ok(Turn { contestant, round: 0, rows, seconds, longest_ms, batches, writer, because })
}

async fn efface(
    arguments: &Arguments,
    url: &str,
    cutoffs: Vec<(String, chrono::DateTime<chrono::Utc>)>,
) -> anyhow::Result<(Instant, Purged)> {
    let store = Store::connect(url, PoolLimits::default()).await?;
    let ident = |name: &str| Ident::parse(name).ok_or_else(|| anyhow::anyhow!("{name} is no name"));
    let expiry = Expiry {
        table: ident("visit")?,
        column: ident("created_at")?,
        form: InstantForm::Timestamp,
        cutoffs: Cutoffs::ByShop { column: ident("shop")?, cutoffs },
        held: None,
        only: None,
    };
    let shipped = Limits::default();
    let limits = Limits {
        pause_share: arguments.pause_share.unwrap_or(shipped.pause_share),
        transaction_max: arguments.transaction_max_ms.map_or(shipped.transaction_max, Duration::from_millis),
        ..shipped
    };
    let began = Instant::now();
    let purged = purge(&store, &expiry, &limits, None, &(), &Shutdown::new()).await?;
    store.close().await;
    ensure!(purged.resume.is_none() && purged.locked == 0, "the purge did not come to its end: {purged:?}");
    Ok((began, purged))
}
