//! `efface report`: how the duties stand.

use chrono::{DateTime, Utc};
use clap::ValueEnum;

use super::{Context, Exit, instant};

const EXAMPLES: &str = "\
Examples:
  efface report
  efface report --from 2026-10-01 --to 2026-11-01 --format csv > october.csv";

/// Report jobs by type, status and outcome, deadlines, and times to complete
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The form of the report
    #[arg(long, value_enum, default_value = "table")]
    pub format: Format,
    /// Only jobs received at this date (or RFC 3339 instant) or later
    #[arg(long, value_name = "TIME", value_parser = instant::parse)]
    pub from: Option<DateTime<Utc>>,
    /// Only jobs received before this date (or RFC 3339 instant)
    #[arg(long, value_name = "TIME", value_parser = instant::parse)]
    pub to: Option<DateTime<Utc>>,
}

/// The form of a report; `--json` means [`Format::Json`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For reading
    Table,
    /// For programs
    Json,
    /// For spreadsheets
    Csv,
}

#[expect(clippy::unused_async, reason = "awaits once it is wired")]
pub async fn run(_context: &Context, _args: &Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not wired yet")
}
