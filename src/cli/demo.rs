//! `efface demo`: the main job on sample data.

use super::{Context, Exit};

const EXAMPLES: &str = "\
Examples:
  efface demo            stays up until Ctrl-C, to look around
  efface demo --exit     stops when done; exit code 0 only when every step held";

/// Show the whole job on sample shops, with a throw-away database and nothing to install
///
/// Makes a temporary SQLite database with sample shops, starts the real server, sends signed webhooks of all three
/// topics plus a duplicate and a forged one, and prints the jobs with their results.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Port to listen on; a free one when left out
    #[arg(long)]
    pub port: Option<u16>,
    /// Stop when done instead of staying up
    #[arg(long)]
    pub exit: bool,
}

#[expect(clippy::unused_async, reason = "awaits once it is wired")]
pub async fn run(_context: &Context, _args: &Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not wired yet")
}
