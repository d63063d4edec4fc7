//! `efface export`: a zip by which somebody else can check what was done, without us.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use entity::audit_log::Action;
use serde_json::json;

use super::{Context, Exit, UsageError, audited, instant, output, redact};
use crate::app::{load_keys, open_bundles, open_store, prepare_tables};
use crate::audit::{self, Entry};
use crate::clock::Clock;
use crate::evidence::bundle::event::JOBS;
use crate::evidence::bundle::gather::Wishes;
use crate::evidence::checkpoint::SignedCheckpoint;
use crate::job::query;
use crate::redaction::{Engine, Policy};

const EXAMPLES: &str = "\
Examples:
  efface export gdpr_… --output evidence.zip
  efface export --shop snowdevil.myshopify.com --from 2026-11-01 \\
      --output evidence.zip
  efface export gdpr_… --redact policy.toml --output evidence.zip
  efface export gdpr_… --since checkpoint.txt --output evidence.zip

Check it with `efface verify evidence.zip --key efface.pub`.";

/// Write an evidence bundle: entries, proofs and receipts, for an auditor
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The job's id, gdpr_…
    #[arg(required_unless_present = "shop", conflicts_with = "shop")]
    id: Option<String>,
    /// Everything of this shop instead of one job
    #[arg(long, value_name = "DOMAIN", value_parser = redact::shop)]
    shop: Option<String>,
    /// Only entries since then: a date or an RFC 3339 instant
    #[arg(long, value_name = "TIME", value_parser = instant::parse, requires = "shop")]
    from: Option<DateTime<Utc>>,
    /// Only entries before then
    #[arg(long, value_name = "TIME", value_parser = instant::parse, requires = "shop")]
    to: Option<DateTime<Utc>>,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Withhold the fields that this policy masks for the event type `audit_entry`
    #[arg(long, value_name = "POLICY")]
    redact: Option<PathBuf>,
    /// Leave receipts out: they are signed as a whole and cannot be redacted
    #[arg(long)]
    without_receipts: bool,
    /// Prove that the log has grown from this earlier checkpoint
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,
}

pub async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let policy = args.redact.as_deref().map(policy).transpose()?;
    let earlier = args.since.as_deref().map(checkpoint).transpose()?;
    let (config, clock) = (context.config(Vec::new())?, Clock::system());
    let store = open_store(&config).await?;
    prepare_tables(&config, &store).await?;
    let bundles = open_bundles(&config, &store, &clock).await?;
    let engine = Engine::new(load_keys(&config, &store).await?.into());
    let wishes = Wishes {
        redact: policy.as_ref().map(|policy| (policy, &engine)),
        without_receipts: args.without_receipts,
        earlier: earlier.as_ref(),
    };
    let bundle = match (&args.id, &args.shop) {
        (Some(id), _) => bundles.of_job(id, &wishes).await?,
        (None, shop) => bundles.of_shop(shop.as_deref().unwrap_or_default(), args.from, args.to, &wishes).await?,
    };
    let shop_domain = match &args.id {
        Some(id) => query::shop_of(&store, id).await?,
        None => args.shop.clone(),
    };
    let entry = Entry {
        actor: audited::operator(),
        action: Action::Export,
        resource_type: if args.id.is_some() { JOBS } else { "Shop" },
        resource_id: args.id.clone().or_else(|| args.shop.clone()).unwrap_or_default(),
        shop_domain,
        metadata: json!({ "what": "evidence", "redacted": args.redact.is_some() }),
    };
    audit::record(&store, &clock, vec![entry]).await?;
    std::fs::write(&args.output, bundle).with_context(|| format!("{} cannot be written", args.output.display()))?;
    output::talk(&format!("written to {}", args.output.display()));
    Ok(Exit::Done)
}

fn policy(path: &Path) -> anyhow::Result<Policy> {
    let policy = Policy::parse(&redact::read_policy(path)?).map_err(|problems| UsageError(problems.to_string()))?;
    for warning in policy.warnings() {
        output::talk(&format!("warning: {warning}"));
    }
    Ok(policy)
}

fn checkpoint(path: &Path) -> anyhow::Result<SignedCheckpoint> {
    let note = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let wrong = |error| UsageError(format!("--since {}: {error}", path.display()));
    Ok(SignedCheckpoint::parse(&note).map_err(wrong)?)
}
