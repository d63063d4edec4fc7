//! Measures Efface from outside, beside its peers, on one machine and in one run, so that ratios can be trusted where
//! absolute figures cannot. See `benches/README.md` for what is measured, how, and what is not.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program: results to stdout, talk to stderr")]
#![expect(clippy::cast_precision_loss, reason = "figures to read: 52 bits are plenty")]

mod database;
mod efface;
mod export;
mod footprint;
mod http;
mod ingest;
mod jobs;
mod load;
mod machine;
mod peers;
mod process;
mod purge;
mod queue;
mod redact;
mod report;
mod services;
mod webhook;

use clap::{Parser, Subcommand};

/// Load generator and benches of Efface. Every bench starts what it needs, prints a table and then JSON.
#[derive(Parser)]
#[command(name = "efface-bench", version, max_term_width = 120)]
struct Arguments {
    /// Print JSON only.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Sends signed webhooks to a server that runs already.
    Load(load::Arguments),
    /// HTTP to a RabbitMQ quorum queue: Efface, a Node server, a minimal axum + lapin server.
    Ingest(ingest::Arguments),
    /// Erasure jobs on PostgreSQL: Efface, graphile-worker, hand-written SQL.
    Jobs(jobs::Arguments),
    /// One Efface process with all roles: time to ready, memory idle and under load.
    Footprint(footprint::Arguments),
    /// Evidence bundles of a large shop: redacted beside unredacted.
    Export(export::Arguments),
    /// Masks: fields per second in each mode of `efface redact`.
    Redact(redact::Arguments),
    /// Expired rows on PostgreSQL: Efface, one DELETE, batches by address and by key.
    Purge(purge::Arguments),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let report = match arguments.bench {
        Bench::Load(arguments) => load::bench(&arguments).await?,
        Bench::Ingest(arguments) => ingest::bench(&arguments).await?,
        Bench::Jobs(arguments) => jobs::bench(&arguments).await?,
        Bench::Footprint(arguments) => footprint::bench(&arguments).await?,
        Bench::Export(arguments) => export::bench(&arguments).await?,
        Bench::Redact(arguments) => redact::bench(&arguments).await?,
        Bench::Purge(arguments) => purge::bench(&arguments).await?,
    };
    if !arguments.json {
        println!("{}", report.text());
    }
    println!("{}", report.json);
    Ok(())
}
