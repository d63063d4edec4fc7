//! `efface retention`: what is kept for how long, and the runs that purge the rest.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use clap::Subcommand;

use super::audited::operator;
use super::confirm::require_yes;
use super::{Context, Exit, UsageError, output};
use crate::app;
use crate::clock::Clock;
use crate::http::Cursor;
use crate::http::retention::{RunPage, RunView, Started};
use crate::retention::finding::Finding;
use crate::retention::{Filter, Retention, RetentionError, Told, Wish};
use crate::shutdown::Shutdown;
use crate::store::retention_run;

/// Cells of a progress bar.
const BAR: u64 = 30;

const EXAMPLES: &str = "\
Examples:
  efface retention show
  efface retention show --shop snowdevil.myshopify.com
  efface retention run --dry-run
  efface retention run --table ConversionLog --yes
  efface retention runs --json";

/// Show what is kept for how long, and purge what is due
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Show the rules in force, what is due, and when the next run comes
    Show(Scope),
    /// Purge what is due now
    ///
    /// With --dry-run the same statements run, and are rolled back. --yes also approves a run that purges more than
    /// `retention.max_share` of a table: look at the dry run first.
    Run(RunArgs),
    /// List runs, the latest first
    Runs(RunsArgs),
}

#[derive(Debug, clap::Args)]
pub struct Scope {
    /// Only this table
    #[arg(long, value_name = "NAME")]
    pub table: Option<String>,
    /// Only this shop
    #[arg(long, value_name = "DOMAIN")]
    pub shop: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub scope: Scope,
    /// Do everything, and roll it back
    #[arg(long)]
    pub dry_run: bool,
    /// Do it: what is purged is gone
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, clap::Args)]
pub struct RunsArgs {
    /// Only runs over this table
    #[arg(long, value_name = "NAME")]
    pub table: Option<String>,
    /// Most runs to list
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub limit: u64,
    /// Where the previous page ended, as it said
    #[arg(long, value_name = "TEXT")]
    pub cursor: Option<String>,
}

pub async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    if let Action::Run(run) = &args.action
        && !run.dry_run
    {
        require_yes(run.yes, "deletes rows whose time is over")?;
    }
    let config = context.config(Vec::new())?;
    let store = app::open_store(&config).await?;
    if let Action::Runs(runs) = &args.action {
        list(context, &store, runs).await?;
        return Ok(Exit::Done);
    }
    let stores = app::open_stores(&config, &store).await?;
    let clock = Clock::system();
    match &args.action {
        Action::Show(scope) => {
            show(context, &app::retention::open_to_look(&config, &store, stores, &clock), scope).await
        }
        Action::Run(run) => purge(context, &app::retention::open(&config, &store, stores, &clock).await?, run).await,
        Action::Runs(_) => Ok(Exit::Done),
    }
}

async fn show(context: &Context, retention: &Retention, scope: &Scope) -> anyhow::Result<Exit> {
    let shown = retention.effective(scope.table.as_deref(), scope.shop.as_deref()).await.map_err(usage)?;
    if context.json() {
        output::json(&shown)?;
        return Ok(Exit::Done);
    }
    let number = |n: Option<u64>| n.map_or("-".to_owned(), |n| n.to_string());
    let rows = shown.rules.iter().map(|rule| {
        let shops: Vec<String> = rule.shops_by_period.iter().map(|(period, n)| format!("{period}: {n}")).collect();
        let shops = if shops.is_empty() { "-".to_owned() } else { shops.join(", ") };
        let (due, held) = (number(rule.rows_due), number(rule.rows_held));
        [
            rule.table.clone(),
            rule.policy.clone(),
            rule.rule.clone(),
            shops,
            day(rule.cutoff),
            due,
            held,
            day(rule.oldest),
        ]
    });
    output::table(["TABLE", "POLICY", "RULE", "SHOPS", "CUTOFF", "DUE", "HELD", "OLDEST"], rows)?;
    for finding in &shown.findings {
        tell(finding);
    }
    match (&shown.schedule_in_words, shown.next_run_at) {
        (Some(words), Some(next)) => output::talk(&format!("next run {}, {words}", next.format("%Y-%m-%d %H:%M UTC"))),
        _ => output::talk("no run is scheduled (retention.schedule)"),
    }
    Ok(Exit::Done)
}

async fn purge(context: &Context, retention: &Retention, args: &RunArgs) -> anyhow::Result<Exit> {
    let wish = Wish {
        actor: operator(),
        dry_run: args.dry_run,
        table: args.scope.table.clone(),
        shop: args.scope.shop.clone(),
        approved: args.yes,
    };
    let stop = Shutdown::new();
    let interrupted = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            output::talk("stopping after the batch in hand");
            interrupted.cancel();
        }
    });
    let bar = Bar::default();
    let sweep = retention.sweep(&wish, &|told| bar.tell(&told), &stop).await.map_err(usage)?;
    let exit = if sweep.is_complete() && !stop.is_cancelled() { Exit::Done } else { Exit::Failed };
    let (dry_run, rows) = (sweep.dry_run, sweep.rows());
    let started = Started::from(sweep);
    if context.json() {
        output::json(&started)?;
        return Ok(exit);
    }
    table(&started.data)?;
    for finding in &started.findings {
        tell(finding);
    }
    output::talk(&format!("{rows} rows {}", if dry_run { "would be purged; nothing was" } else { "purged" }));
    Ok(exit)
}

async fn list(context: &Context, store: &crate::store::Store, args: &RunsArgs) -> anyhow::Result<()> {
    let cursor = args.cursor.as_deref();
    let cursor =
        cursor.map(|text| Cursor::parse(text).ok_or_else(|| UsageError("--cursor is not one of ours".to_owned())));
    let before = cursor.transpose()?.map(|cursor| cursor.id);
    let filter = Filter { sweep_id: None, table_name: args.table.clone(), before };
    let mut runs = retention_run::list(store.db(), &filter, args.limit + 1).await?;
    let more = runs.len() as u64 > args.limit;
    runs.truncate(usize::try_from(args.limit).unwrap_or(usize::MAX));
    let next_cursor = runs.last().filter(|_| more).map(|run| Cursor { id: run.id.clone() });
    let data: Vec<RunView> = runs.into_iter().map(RunView::from).collect();
    if context.json() {
        output::json(&RunPage { data, next_cursor })?;
        return Ok(());
    }
    table(&data)?;
    if let Some(cursor) = next_cursor {
        output::talk(&format!("more: --cursor {}", cursor.to_text()));
    }
    Ok(())
}

fn table(runs: &[RunView]) -> std::io::Result<()> {
    let rows = runs.iter().map(|run| {
        let status = if run.dry_run { format!("{} (dry run)", run.status) } else { run.status.to_owned() };
        [
            run.started_at.format("%Y-%m-%d %H:%M:%S").to_string(),
            run.table_name.clone(),
            run.policy.clone(),
            status,
            run.rows_due.to_string(),
            run.rows_purged.to_string(),
            run.rows_held.to_string(),
            run.batches.to_string(),
            run.seconds.map_or("-".to_owned(), |seconds| format!("{seconds:.1}")),
            run.strategy.clone().unwrap_or_else(|| "-".to_owned()),
            run.error.clone().unwrap_or_default(),
        ]
    });
    let headers =
        ["STARTED", "TABLE", "POLICY", "STATUS", "DUE", "PURGED", "HELD", "BATCHES", "SECONDS", "STRATEGY", "ERROR"];
    output::table(headers, rows)
}

fn tell(finding: &Finding) {
    let shop = finding.shop.as_deref().unwrap_or("-");
    output::talk(&format!("{}: {} {shop}: {}", finding.kind.as_str(), finding.table, finding.detail));
}

fn day(at: Option<DateTime<Utc>>) -> String {
    at.map_or("-".to_owned(), |at| at.format("%Y-%m-%d").to_string())
}

/// What a person can only have mistyped is wrong usage.
fn usage(error: RetentionError) -> anyhow::Error {
    match error {
        RetentionError::NoShop(_) | RetentionError::NoTable(_) => UsageError(error.to_string()).into(),
        error => error.into(),
    }
}

/// One line that moves, on a terminal only.
#[derive(Debug, Default)]
struct Bar {
    due: AtomicU64,
    gone: AtomicU64,
}

impl Bar {
    fn tell(&self, told: &Told) {
        match told {
            Told::Begun { table, rows_due, .. } => {
                self.due.store(*rows_due, Ordering::Relaxed);
                self.gone.store(0, Ordering::Relaxed);
                self.draw(&format!("{table}: {rows_due} rows due"));
            }
            Told::Batch { rows } => {
                let gone = self.gone.fetch_add(*rows, Ordering::Relaxed) + rows;
                let due = self.due.load(Ordering::Relaxed).max(gone).max(1);
                let cells = gone * BAR / due;
                let bar: String = (0..BAR).map(|cell| if cell < cells { '#' } else { '.' }).collect();
                self.draw(&format!("[{bar}] {gone} of {due}"));
            }
            Told::Ended(_) => self.draw(""),
        }
    }

    #[expect(clippy::unused_self, reason = "one bar draws one line")]
    fn draw(&self, line: &str) {
        let stderr = std::io::stderr();
        if stderr.is_terminal() {
            let _ = write!(stderr.lock(), "\r\x1b[2K{line}");
        }
    }
}
