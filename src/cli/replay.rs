//! `efface replay`: after a restore from a backup, erases again everybody who was erased since.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use entity::audit_log::Action;
use entity::gdpr_job::JobStatus;
use serde::Serialize;

use super::audited::{self, Seen};
use super::confirm::require_yes;
use super::suppression::read_ledger;
use super::{Context, Exit, instant, output};
use crate::app::App;
use crate::clock::{Clock, rfc3339};
use crate::shutdown::Shutdown;
use crate::suppression::ledger::LedgerError;
use crate::suppression::replay::{Replay, ReplaySummary};
use crate::suppression::{Suppression, TABLE};

const EXAMPLES: &str = "\
Examples:
  efface replay --since 2026-11-01 --dry-run
  efface replay --since 2026-11-01 --ledger ledger.ndjson --yes

Exit codes: 0 nobody is left, 1 a job did not complete, 3 the ledger was altered";

/// Erase again, after a restore from a backup, everybody who was erased since
///
/// Give it the time of the backup, and the ledger that was kept outside: the restored database has lost the tombstones that
/// are newer than itself. Everything found is erased by jobs of its own, verified as every job is. Run it before the app
/// writes again; running it twice does no harm.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// When the backup was made: a date or RFC 3339 instant
    #[arg(long, value_name = "TIME", value_parser = instant::parse)]
    pub since: DateTime<Utc>,
    /// The ledger: what `suppression.ledger_file` named, or `efface suppression export` printed
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// Only look and count; erases nothing, and writes no more than an audit entry
    #[arg(long)]
    pub dry_run: bool,
    /// Do it: rows are erased for good
    #[arg(long)]
    pub yes: bool,
    /// Longest time to wait for the jobs
    #[arg(long, value_name = "N", default_value_t = 3_600)]
    pub wait_seconds: u64,
}

/// What is printed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    since: String,
    dry_run: bool,
    /// Tombstones of the ledger that the database had lost.
    imported: u64,
    #[serde(flatten)]
    summary: ReplaySummary,
    /// Jobs that completed, which they do only when verified.
    completed: u64,
    /// Whether nobody is left.
    clean: bool,
}

pub async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    if !args.dry_run {
        require_yes(args.yes, "erases rows for good")?;
    }
    let config = context.config(Vec::new())?;
    let app = App::build(config, Clock::system(), Shutdown::new()).await?;
    let room = app.suppression();
    let lines = match args.ledger.as_deref().map(|file| read_ledger(&room, file)).transpose() {
        Ok(lines) => lines.unwrap_or_default(),
        Err(error) if is_tampered(&error) => {
            output::talk(&format!("efface: {error:#}"));
            return Ok(Exit::Unverified);
        }
        Err(error) => return Err(error),
    };
    let actor = audited::operator();
    let (imported, more) =
        if args.dry_run { (0, lines) } else { (room.import(&lines, actor.clone()).await?, Vec::new()) };
    let replay = Replay { since: args.since, more, dry_run: args.dry_run };
    let summary = room.replay(replay, actor.clone()).await?;
    let completed = if args.dry_run { 0 } else { work(&app, &room, &summary, args.wait_seconds).await? };
    let all_done = completed == summary.jobs.len() as u64 && summary.failed == 0;
    let clean = all_done && (!args.dry_run || summary.rows_found == 0);
    if args.dry_run {
        let seen = Seen { command: "replay --dry-run", action: Action::Read, what: TABLE, id: "*", shop: None };
        audited::seen(app.store(), seen).await?;
    } else {
        room.attest(args.since, &summary, completed, actor).await?;
    }
    let told = Told { since: rfc3339(args.since), dry_run: args.dry_run, imported, summary, completed, clean };
    show(context, &told)?;
    // A dry run has done what it was asked for once it has looked everywhere.
    Ok(if clean || (args.dry_run && told.summary.failed == 0) { Exit::Done } else { Exit::Failed })
}

fn is_tampered(error: &anyhow::Error) -> bool {
    let of_a_line = |error: &LedgerError| {
        matches!(error, LedgerError::Unreadable(_) | LedgerError::UnknownKey(..) | LedgerError::Tampered(_))
    };
    error.downcast_ref::<LedgerError>().is_some_and(of_a_line)
}

/// Works the queue in this process until every child has come to an end, whoever completes it.
async fn work(app: &App, room: &Suppression, summary: &ReplaySummary, seconds: u64) -> anyhow::Result<u64> {
    let worker = app.worker();
    let until = Instant::now() + Duration::from_secs(seconds);
    loop {
        while !summary.jobs.is_empty() && worker.tick().await?.claimed > 0 {}
        let statuses = room.statuses(&summary.jobs).await?;
        let open = [JobStatus::Queued, JobStatus::Processing, JobStatus::Retrying];
        let left = statuses.iter().filter(|(_, status)| open.contains(status)).count();
        if left == 0 || Instant::now() >= until {
            return Ok(statuses.iter().filter(|(_, status)| *status == JobStatus::Completed).count() as u64);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn show(context: &Context, told: &Told) -> anyhow::Result<()> {
    if context.json() {
        return Ok(output::json(told)?);
    }
    let summary = &told.summary;
    let mut rows = vec![
        ["erased since".to_owned(), told.since.clone()],
        ["tombstones imported".to_owned(), told.imported.to_string()],
        ["tombstones considered".to_owned(), summary.tombstones.to_string()],
        ["shops".to_owned(), summary.shops.to_string()],
        ["values compared".to_owned(), summary.values_compared.to_string()],
        ["rows found".to_owned(), summary.rows_found.to_string()],
    ];
    rows.extend(summary.tables.iter().map(|(table, n)| [format!("  in {table}"), n.to_string()]));
    rows.extend([
        ["jobs made".to_owned(), summary.jobs.len().to_string()],
        ["jobs completed and verified".to_owned(), told.completed.to_string()],
        ["jobs held for a person".to_owned(), summary.held.to_string()],
        ["shops installed again, left alone".to_owned(), summary.reinstalled.to_string()],
        ["tombstones that could not be looked up".to_owned(), summary.failed.to_string()],
    ]);
    output::table(["REPLAY", ""], rows)?;
    output::talk(match (told.dry_run, told.clean) {
        (true, true) => "nobody is there again",
        (true, false) => "nothing was erased: this was a dry run",
        (false, true) => "everybody who was there again is erased",
        (false, false) => "not everybody is erased: see `efface jobs list --status held,failed,retrying`",
    });
    Ok(())
}
