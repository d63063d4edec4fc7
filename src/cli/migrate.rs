//! `efface migrate`: the tables and how they came to be.

use clap::Subcommand;

use super::confirm::require_yes;
use super::{Context, Exit};

/// Create and change Efface's tables
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Apply pending migrations; safe when many processes do it at once
    Up,
    /// Take back the latest migrations, and the rows in their tables
    Down {
        /// How many migrations to take back
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        steps: u32,
        /// Do it: rows are lost
        #[arg(long)]
        yes: bool,
    },
    /// List migrations and whether they are applied
    Status,
}

#[expect(clippy::unused_async, reason = "awaits once it is wired")]
pub async fn run(_context: &Context, args: &Args) -> anyhow::Result<Exit> {
    if let Action::Down { steps, yes } = &args.action {
        require_yes(*yes, &format!("takes back {steps} migration(s) and loses the rows in their tables"))?;
    }
    anyhow::bail!("not wired yet")
}
