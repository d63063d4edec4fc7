//! `efface jobs`: the duties, one by one.

use clap::Subcommand;

use super::confirm::require_yes;
use super::{Context, Exit};

const TYPES: [&str; 3] = ["data_request", "customer_redact", "shop_redact"];
const STATUSES: [&str; 7] = ["queued", "processing", "retrying", "held", "completed", "failed", "cancelled"];

const EXAMPLES: &str = "\
Examples:
  efface jobs list --status failed,held
  efface jobs show gdpr_…
  efface jobs retry gdpr_…
  efface jobs cancel gdpr_… --reason \"sent by mistake, ticket 4711\" --yes";

/// List and steer jobs
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Debug, Subcommand)]
pub enum Action {
    /// List jobs, the latest first
    List(ListArgs),
    /// Show one job with everything known about it
    Show {
        /// The job's id, gdpr_…
        id: String,
    },
    /// Queue a failed job again
    Retry {
        /// The job's id, gdpr_…
        id: String,
    },
    /// Withdraw a job that is not being worked on; nothing is erased for it
    Cancel {
        /// The job's id, gdpr_…
        id: String,
        /// Why; kept in the audit log
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Do it: a cancelled job is final
        #[arg(long)]
        yes: bool,
    },
    /// Let a held job go on
    Release {
        /// The job's id, gdpr_…
        id: String,
    },
}

#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Only this shop's jobs
    #[arg(long, value_name = "DOMAIN")]
    pub shop: Option<String>,
    /// Only these types
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = TYPES)]
    pub job_type: Vec<String>,
    /// Only these statuses
    #[arg(long, value_delimiter = ',', value_parser = STATUSES)]
    pub status: Vec<String>,
    /// Most jobs to list
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub limit: u64,
    /// Where the previous page ended, as it said
    #[arg(long)]
    pub cursor: Option<String>,
}

#[expect(clippy::unused_async, reason = "awaits once it is wired")]
pub async fn run(_context: &Context, args: &Args) -> anyhow::Result<Exit> {
    if let Action::Cancel { yes, .. } = &args.action {
        require_yes(*yes, "withdraws the job for good")?;
    }
    anyhow::bail!("not wired yet")
}
