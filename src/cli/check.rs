//! `efface check`: does everything fit together?

use super::{Context, Exit};

/// Check configuration, keys, database, broker and data map, and list every problem
///
/// Changes nothing. Exit code 0 when `serve` would start, 1 when something cannot be reached or does not fit, 2 when the
/// configuration itself is wrong.
#[derive(Debug, clap::Args)]
pub struct Args {}

#[expect(clippy::unused_async, reason = "awaits once it is wired")]
pub async fn run(_context: &Context, _args: &Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not wired yet")
}
