//! `efface suppression`: what is remembered of those who were erased.

use std::path::Path;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use clap::Subcommand;
use entity::audit_log::Action as Act;
use entity::suppression::Model;
use serde_json::json;

use super::audited::{self, Seen};
use super::{Context, Exit, UsageError, instant, output};
use crate::app::App;
use crate::clock::{Clock, rfc3339};
use crate::seal::Pii;
use crate::shutdown::Shutdown;
use crate::suppression::Suppression;

const EXAMPLES: &str = "\
Examples:
  efface suppression list --shop snowdevil.myshopify.com
  efface suppression check --shop snowdevil.myshopify.com --customer-id 191167
  efface suppression export --since 2026-11-01 > ledger.ndjson";

/// Ask who was erased, and copy the ledger that `replay` needs
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List tombstones, the latest first
    List {
        /// Only this shop's
        #[arg(long, value_name = "DOMAIN")]
        shop: Option<String>,
        /// Most tombstones to list
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=10_000))]
        limit: u64,
    },
    /// Tell whether somebody was erased in a shop; what is asked for is compared by its keyed digest
    Check(CheckArgs),
    /// Print the ledger: one line per tombstone, keyed digests only, each line signed
    Export {
        /// Only of erasures at this date (or RFC 3339 instant) or later
        #[arg(long, value_name = "TIME", value_parser = instant::parse)]
        since: Option<DateTime<Utc>>,
    },
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// The shop's domain
    #[arg(long, value_name = "DOMAIN")]
    shop: String,
    /// An e-mail address; remembered where the data map searches for it, or with `suppression.sql_function`
    #[arg(long, value_parser = personal)]
    email: Option<Pii<String>>,
    /// A phone number; as with --email
    #[arg(long, value_parser = personal)]
    phone: Option<Pii<String>>,
    /// A customer's id
    #[arg(long, value_name = "ID")]
    customer_id: Option<String>,
    /// An order's id
    #[arg(long, value_name = "ID")]
    order: Option<String>,
}

#[expect(clippy::unnecessary_wraps, reason = "clap wants a parser that can fail")]
fn personal(text: &str) -> Result<Pii<String>, String> {
    Ok(Pii::new(text.to_owned()))
}

pub async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let config = context.config(Vec::new())?;
    let app = App::build(config, Clock::system(), Shutdown::new()).await?;
    let room = app.suppression();
    let seen = |command, action, shop| {
        audited::seen(app.store(), Seen { command, action, what: crate::suppression::TABLE, id: "*", shop })
    };
    match &args.action {
        Action::List { shop, limit } => {
            let shop = shop.as_ref().map(|shop| shop.to_lowercase());
            let rows = room.latest(shop.as_deref(), *limit).await?;
            seen("suppression list", Act::Read, shop.as_deref()).await?;
            show(context, &rows)?;
        }
        Action::Check(asked) => {
            seen("suppression check", Act::Read, Some(asked.shop.as_str())).await?;
            return check(context, &room, asked).await;
        }
        Action::Export { since } => {
            seen("suppression export", Act::Export, None).await?;
            let since = since.unwrap_or(DateTime::UNIX_EPOCH);
            let written = room.export(since, output::raw).await?;
            output::talk(&format!("{written} tombstones"));
        }
    }
    Ok(Exit::Done)
}

async fn check(context: &Context, room: &Suppression, asked: &CheckArgs) -> anyhow::Result<Exit> {
    let exposed = |personal: &Option<Pii<String>>| personal.as_ref().map(|personal| personal.expose().clone());
    let given = [
        ("email", exposed(&asked.email)),
        ("phone", exposed(&asked.phone)),
        ("customer", asked.customer_id.clone()),
        ("order", asked.order.clone()),
    ];
    let given: Vec<_> = given.into_iter().filter_map(|(kind, value)| Some((kind, value?))).collect();
    let shop = asked.shop.to_lowercase();
    let mut rows = room.shop_tombstones(&shop).await?;
    for (kind, value) in &given {
        let found = room.tombstones_of(&shop, kind, value).await?;
        let found = found.ok_or_else(|| UsageError(format!("nothing is left of --{kind} in normal form")))?;
        rows.extend(found);
    }
    let suppressed = if given.is_empty() { !rows.is_empty() } else { rows.iter().any(|row| !is_shop(row)) };
    let shop_erased = rows.iter().any(is_shop);
    if context.json() {
        let rows: Vec<_> = rows.iter().map(told).collect();
        output::json(&json!({ "suppressed": suppressed, "shopErased": shop_erased, "tombstones": rows }))?;
    } else {
        output::talk(if suppressed { "suppressed" } else { "not suppressed" });
        show(context, &rows)?;
    }
    Ok(Exit::Done)
}

fn is_shop(row: &Model) -> bool {
    row.purpose == entity::suppression::Purpose::Shop
}

fn told(row: &Model) -> serde_json::Value {
    json!({
        "jobId": row.job_id, "shopDomain": row.shop_domain, "purpose": row.purpose, "erasedAt": rfc3339(row.created_at),
        "expiresAt": rfc3339(row.expires_at), "sweepsDone": row.sweeps_done,
        "nextSweepAt": row.next_sweep_at.map(rfc3339), "identifiers": row.digests.len() / 16,
    })
}

fn show(context: &Context, rows: &[Model]) -> anyhow::Result<()> {
    if context.json() {
        return Ok(output::json(&rows.iter().map(told).collect::<Vec<_>>())?);
    }
    let rows = rows.iter().map(|row| {
        let next = row.next_sweep_at.map_or_else(|| "-".to_owned(), rfc3339);
        let (erased, expires) = (rfc3339(row.created_at), row.expires_at.format("%Y-%m-%d").to_string());
        let sweeps = row.sweeps_done.to_string();
        [row.job_id.clone(), row.purpose.to_string(), row.shop_domain.clone(), erased, sweeps, next, expires]
    });
    output::table(["JOB", "PURPOSE", "SHOP", "ERASED", "SWEEPS", "NEXT SWEEP", "EXPIRES"], rows)?;
    Ok(())
}

/// Reads a ledger; an error of a line is one of verification.
///
/// # Errors
/// When it cannot be read, or a line is not as it was written.
pub(super) fn read_ledger(room: &Suppression, file: &Path) -> anyhow::Result<Vec<Model>> {
    let opened = std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    crate::suppression::ledger::read(&room.keyring, opened).with_context(|| format!("{} is refused", file.display()))
}
