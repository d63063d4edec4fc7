//! `efface demo`: the main job on sample data, told step by step and checked at every step.
//!
//! The server is the real one, and the demo talks to it as the outside does: signed webhooks and the API, over HTTP. What
//! it claims about rows it reads from the database itself, before and after.

mod census;
mod checks;
mod evidence;
mod house;
mod post;
mod shops;
mod stage;
mod story;
mod summary;

use super::serve::stop_when_asked;
use super::{Context, Exit, output};
use crate::shutdown::Shutdown;
use house::{Folder, House};
use stage::Stage;
use summary::Summary;

const EXAMPLES: &str = "\
Examples:
  efface demo            shows everything and stays up until Ctrl-C
  efface demo --exit     stops when done; code 0 only when every step held
  efface demo --exit --json | jq .checks";

/// Show the whole job on sample shops, with a throw-away database and nothing to install
///
/// Makes a temporary SQLite database with three sample shops, starts the real server, sends signed webhooks of all three
/// topics plus a duplicate and a forged one, and shows the answers, the jobs, the rows before and after, and how each
/// erasure was verified. Then it exports the evidence of an erasure and verifies it offline. Takes no configuration: it can
/// touch no other database than its own.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Port to listen on, at 127.0.0.1; a free one when left out
    #[arg(long, value_name = "N")]
    pub port: Option<u16>,
    /// Stop when done instead of staying up
    #[arg(long)]
    pub exit: bool,
}

pub async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    context.refuse_configuration("demo makes a database of its own")?;
    context.log_without_config();
    let shutdown = Shutdown::new();
    tokio::spawn(stop_when_asked(shutdown.clone()));
    // Dropped, and with it removed, whatever way this ends.
    let folder = Folder::make()?;
    let house = House::open(&folder, args.port.unwrap_or(0), shutdown.clone()).await?;
    let stage = Stage::new(context.json());
    let told = tokio::select! {
        biased;
        () = shutdown.cancelled() => Err(anyhow::anyhow!("stopped before the end")),
        told = story::tell(&house, &stage) => told,
    };
    let shown = match told {
        Ok(summary) => show(context, args, &house, &summary, &stage, &shutdown).await,
        Err(error) => Err(error),
    };
    house.close().await;
    shown
}

async fn show(
    context: &Context,
    args: &Args,
    house: &House,
    summary: &Summary,
    stage: &Stage,
    shutdown: &Shutdown,
) -> anyhow::Result<Exit> {
    if context.json() {
        output::json(summary)?;
    }
    let held = summary.held;
    if !args.exit {
        stage.look_around(house)?;
        output::talk("Ctrl-C stops the server and removes the database.");
        shutdown.cancelled().await;
    }
    Ok(if held { Exit::Done } else { Exit::Failed })
}
