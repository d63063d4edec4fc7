//! Expired rows on PostgreSQL: Efface's page ranges beside one DELETE, batches by lists of row addresses and batches by
//! key, each on a fresh copy of the same table, while a writer works on it.
mod rivals;
mod table;
mod writer;

use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::ValueEnum;
use efface::shutdown::Shutdown;
use efface::store::target::Ident;
use efface::store::target::purge::{Cutoffs, Expiry, InstantForm, Limits, purge};
use efface::store::{PoolLimits, Store};
use serde::Serialize;
use serde_json::json;

use crate::report::{self, Report, Wanted, goal, median};
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
    /// Efface's pause after a batch, as a share of the batch's time.
    #[arg(long, default_value_t = 0.0)]
    pause_share: f64,
    /// Updates per second of the writer that works on the table meanwhile.
    #[arg(long, default_value_t = 200)]
    writes: u32,
    /// Seconds for which the writer is alone before each turn.
    #[arg(long, default_value_t = 5)]
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

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Turn {
    contestant: Contestant,
    round: u32,
    rows: u64,
    seconds: f64,
    longest_ms: f64,
    /// The writer alone, and beside the contestant.
    idle: Latencies,
    beside: Latencies,
    /// What Efface says of its way.
    because: Option<String>,
}

pub async fn bench(arguments: &Arguments) -> anyhow::Result<Report> {
    let services = Services::start(Need::Database).await?;
    let turns = measure(arguments, &services).await;
    let settings = match database::connect(&services.database_url).await {
        Ok(client) => database::describe(&client).await?,
        Err(_) => serde_json::Value::Null,
    };
    services.stop(arguments.keep || turns.is_err()).await?;
    Ok(summary(arguments, &turns?, &settings))
}

async fn measure(arguments: &Arguments, services: &Services) -> anyhow::Result<Vec<Turn>> {
    let table = Table { rows: arguments.rows, shops: arguments.shops };
    table.build(&services.database_url).await?;
    let mut turns = Vec::new();
    for round in 1..=arguments.rounds {
        for &contestant in &arguments.only {
            eprintln!("round {round}: {contestant:?} (load average {})", machine::describe()["loadAverage"]);
            let name = format!("efface_bench_purge_{contestant:?}").to_lowercase();
            let url = database::create(&services.database_url, &name, Some(TEMPLATE)).await?;
            turns.push(turn(arguments, &table, &url, contestant, round).await?);
            database::drop(&services.database_url, &name).await?;
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
    round: u32,
) -> anyhow::Result<Turn> {
    let client = database::connect(url).await?;
    // A copy of files is cold, and its first checkpoint dear: the same for everybody.
    client.batch_execute("select count(*) from visit; checkpoint").await?;
    let cutoffs = table.cutoffs(&client).await?;
    let before = table.count(&client).await?;
    let idle =
        Writer::start(url, table, arguments.writes).await?.stop_after(Duration::from_secs(arguments.idle)).await?;
    let writer = Writer::start(url, table, arguments.writes).await?;
    let began = Instant::now();
    let (mut because, mut seconds) = (None, None);
    let longest = match contestant {
        Contestant::Efface => {
            let purged = efface(arguments, url, cutoffs).await?;
            because = Some(format!("{}: {}", purged.strategy.as_str(), purged.because));
            // The VACUUM after it is not in this time, and the writer has to live with it.
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
    let beside = writer.stop_after(Duration::ZERO).await?;
    let rows = before - table.count(&client).await?;
    ensure!(table.due(&client).await? == 0, "{contestant:?} left expired rows");
    ensure!(rows == table.expired(), "{contestant:?} deleted {rows} rows, and {} have expired", table.expired());
    Ok(Turn { contestant, round, rows, seconds, longest_ms: longest.as_secs_f64() * 1e3, idle, beside, because })
}

async fn efface(
    arguments: &Arguments,
    url: &str,
    cutoffs: Vec<(String, chrono::DateTime<chrono::Utc>)>,
) -> anyhow::Result<efface::store::target::purge::Purged> {
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
    let limits = Limits { pause_share: arguments.pause_share, ..Limits::default() };
    let purged = purge(&store, &expiry, &limits, None, &(), &Shutdown::new()).await?;
    store.close().await;
    ensure!(purged.resume.is_none() && purged.locked == 0, "the purge did not come to its end: {purged:?}");
    Ok(purged)
}

fn summary(arguments: &Arguments, turns: &[Turn], settings: &serde_json::Value) -> Report {
    let of = |contestant: Contestant| turns.iter().filter(move |turn| turn.contestant == contestant);
    let rate = |contestant: Contestant| median(of(contestant).map(|turn| turn.rows as f64 / turn.seconds));
    let longest = |contestant: Contestant| of(contestant).map(|turn| turn.longest_ms).fold(0.0, f64::max);
    let p99 = |contestant: Contestant| median(of(contestant).map(|turn| turn.beside.p99));
    let idle = median(turns.iter().map(|turn| turn.idle.p99));
    let times = |of: f64, what: f64| if what > 0.0 { of / what } else { 0.0 };
    let mut table = report::table(["", "rows/s", "× delete", "longest ms", "writer p99 ms", "× idle", "writer max ms"]);
    for &contestant in &arguments.only {
        table.add_row([
            format!("{contestant:?}").to_lowercase(),
            format!("{:.0}", rate(contestant)),
            format!("{:.2}", times(rate(contestant), rate(Contestant::Delete))),
            format!("{:.0}", longest(contestant)),
            format!("{:.2}", p99(contestant)),
            format!("{:.2}", times(p99(contestant), idle)),
            format!("{:.1}", of(contestant).map(|turn| turn.beside.max).fold(0.0, f64::max)),
        ]);
    }
    let mut notes = Vec::new();
    if arguments.only.contains(&Contestant::Efface) {
        let ours = rate(Contestant::Efface);
        for (rival, what, wanted) in [
            (Contestant::Delete, "of one DELETE", 0.85),
            (Contestant::Ctid10000, "times batches of 10,000 addresses", 4.0),
            (Contestant::Keyset10000, "times batches of 10,000 by key", 2.0),
        ] {
            if arguments.only.contains(&rival) {
                notes.push(goal(what, times(ours, rate(rival)), &Wanted::AtLeast(wanted)));
            }
        }
        notes.push(goal("ms, the longest transaction", longest(Contestant::Efface), &Wanted::Below(250.0)));
        notes.push(goal("times the writer's idle p99", times(p99(Contestant::Efface), idle), &Wanted::Below(2.0)));
        notes.extend(of(Contestant::Efface).filter_map(|turn| turn.because.clone()).take(1));
    }
    notes.push(format!("the writer's p99 alone: {idle:.2} ms"));
    notes.extend(machine::cautions());
    Report {
        tables: vec![table],
        notes,
        json: json!({
            "bench": "purge", "machine": machine::describe(), "postgres": settings, "rows": arguments.rows,
            "shops": arguments.shops, "pauseShare": arguments.pause_share, "writes": arguments.writes, "turns": turns,
        }),
    }
}
