//! `efface serve`: doors, worker and timers.

use std::net::SocketAddr;

use clap::ValueEnum;
use tokio::net::TcpListener;

use super::{Context, Exit};
use crate::app::{App, Roles};
use crate::clock::Clock;
use crate::config::Override;
use crate::shutdown::Shutdown;

const EXAMPLES: &str = "\
Examples:
  SHOPIFY_API_SECRET=… efface serve       everything in one process, on SQLite
  efface serve --role http                only the HTTP door
  efface serve --role worker,scheduler    only the work";

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
    /// All of the below
    All,
    /// The HTTP door: webhooks, API, health
    Http,
    /// The consumer and the jobs
    Worker,
    /// The timers
    Scheduler,
}

pub async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let listen =
        args.listen.map(|address| Override { key: "http.listen", flag: "--listen", value: address.to_string() });
    let config = context.service_config(listen.into_iter().collect())?;
    config.require_for_serving()?;
    #[cfg(feature = "bench")]
    refuse_real_databases(&config)?;
    keep_memory_off_the_disk();
    let shutdown = Shutdown::new();
    tokio::spawn(stop_when_asked(shutdown.clone()));
    let roles = roles(&args.role);
    let tokens = config.auth.tokens.len();
    let broker = if config.broker.url.is_empty() { "none (embedded)".to_owned() } else { config.broker.url.masked() };
    let database = config.database.url.masked();
    let app = App::build(config, Clock::system(), shutdown).await?;
    let listener = if roles.http { Some(app.listen().await?) } else { None };
    let address = listener.as_ref().map(TcpListener::local_addr).transpose()?;
    tracing::info!(roles = ?args.role, database, broker, version = env!("CARGO_PKG_VERSION"), "efface is open");
    if let Some(address) = address {
        tracing::info!(%address, "webhooks are taken at http://{address}/webhooks");
        if tokens == 0 {
            tracing::warn!("auth.tokens is empty: the API answers 401 to everybody");
        }
    }
    app.serve(roles, listener).await;
    Ok(Exit::Done)
}

/// A build that can leave its audit log away must never work for anybody.
#[cfg(feature = "bench")]
fn refuse_real_databases(config: &crate::config::Config) -> Result<(), super::UsageError> {
    let url = config.database.url.expose().split('?').next().unwrap_or_default();
    if url.rsplit('/').next().is_some_and(|name| name.starts_with("efface_bench")) {
        return Ok(());
    }
    Err(super::UsageError("this build is for the bench: it serves databases called efface_bench… only".to_owned()))
}

fn roles(asked: &[Role]) -> Roles {
    let has = |role| asked.contains(&Role::All) || asked.contains(&role);
    Roles { http: has(Role::Http), worker: has(Role::Worker), scheduler: has(Role::Scheduler) }
}

/// Webhook bodies and keys are in memory: a core dump would write them to disk in the clear.
fn keep_memory_off_the_disk() {
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    if rustix::process::setrlimit(rustix::process::Resource::Core, none).is_err() {
        tracing::warn!("core dumps could not be switched off; a crash may write memory to disk");
    }
}

/// Begins the shutdown at the first SIGTERM or Ctrl-C; a second one ends the process at once.
pub(super) async fn stop_when_asked(shutdown: Shutdown) {
    let mut asked = 0;
    let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else { return };
    loop {
        tokio::select! {
            _ = terminate.recv() => {}
            interrupted = tokio::signal::ctrl_c() => if interrupted.is_err() { return },
        }
        asked += 1;
        shutdown.cancel();
        if asked > 1 {
            tracing::warn!("asked twice: stopping at once");
            std::process::exit(1);
        }
    }
}
