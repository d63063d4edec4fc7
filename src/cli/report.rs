//! `efface report`: how the duties stand.

use chrono::{DateTime, Utc};
use clap::ValueEnum;

use super::{Context, Exit, UsageError, instant, output};
use crate::app::open_store;
use crate::clock::Clock;
use crate::job::report::{self, ComplianceReport};

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

pub async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from >= to
    {
        return Err(UsageError("--from must lie before --to".to_owned()).into());
    }
    let config = context.config(Vec::new())?;
    let store = open_store(&config).await?;
    let report = report::read(&store, &Clock::system(), args.from, args.to).await?;
    match args.format {
        Format::Json => output::json(&report)?,
        Format::Table if context.json() => output::json(&report)?,
        Format::Csv => output::raw(&String::from_utf8(report.to_csv()?)?)?,
        Format::Table => table(&report)?,
    }
    Ok(Exit::Done)
}

fn table(report: &ComplianceReport) -> anyhow::Result<()> {
    let rows = report.jobs.iter().map(|jobs| {
        let outcome = jobs.outcome.map_or("-", |outcome| outcome.as_str()).to_owned();
        [jobs.job_type.to_string(), jobs.status.to_string(), outcome, jobs.count.to_string()]
    });
    output::table(["TYPE", "STATUS", "OUTCOME", "JOBS"], rows)?;
    output::raw("\n")?;
    let figures = report
        .figures()
        .into_iter()
        .map(|(figure, value)| [figure.to_owned(), if value.is_empty() { "-".to_owned() } else { value }]);
    output::table(["FIGURE", "VALUE"], figures)?;
    Ok(())
}
