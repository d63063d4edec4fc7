//! `efface serve`: doors, worker and timers.

use std::net::SocketAddr;

use clap::ValueEnum;

use super::{Context, Exit};

const EXAMPLES: &str = "\
Examples:
  SHOPIFY_API_SECRET=… efface serve                  everything in one process, on SQLite
  efface serve --config efface.toml --role http      only the HTTP door; needs a broker or a database
  efface serve --role worker,scheduler               only the work";

/// Take webhooks in and work them off, until asked to stop
///
/// SIGTERM and Ctrl-C stop it gracefully: the HTTP door closes, the batch in hand is finished, claims are given back
/// without counting an attempt.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What this process does; several, comma-separated, to split the work over processes
    #[arg(long, value_enum, value_delimiter = ',', default_value = "all")]
    pub role: Vec<Role>,
    /// Address and port to listen on; overrides http.listen
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
}

/// A part of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Everything below
    All,
    /// The HTTP door: webhooks, API, health
    Http,
    /// The consumer and the jobs
    Worker,
    /// The timers
    Scheduler,
}

#[expect(clippy::unused_async, reason = "awaits once it is wired")]
pub async fn run(_context: &Context, _args: &Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not wired yet")
}
