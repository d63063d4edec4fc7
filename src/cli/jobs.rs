//! `efface jobs`: the duties, one by one.

mod package;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use entity::audit_log::Action as Act;
use entity::gdpr_job::{JobStatus, JobType};

use super::audited::{self, Seen};
use super::confirm::require_yes;
use super::{Context, Exit, UsageError, output};
use crate::app::{load_keys, open_store, signer};
use crate::clock::{Clock, rfc3339};
use crate::evidence::receipt;
use crate::http::Cursor;
use crate::http::view::{JobPage, JobView};
use crate::intake;
use crate::job;
use crate::job::command::{self, Command, CommandError};
use crate::job::query::{self, Filter};
use crate::job::wake::Wake;
use crate::store::Store;

const EXAMPLES: &str = "\
Examples:
  efface jobs list --status failed,held
  efface jobs show gdpr_…
  efface jobs receipt gdpr_… --output receipt.json
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
    /// Print or write the signed receipt of a job that ended
    Receipt {
        /// The job's id, gdpr_…
        id: String,
        /// Write it to this file, byte for byte as it was signed
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
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
        /// For a job that awaits an approval: the hash that `efface plan` shows
        #[arg(long, value_name = "HASH")]
        plan: Option<String>,
        /// Do it, although what the webhook says does not fit together
        #[arg(long)]
        yes: bool,
    },
    /// Hand out, or take away, what a data request collected
    Package(package::Args),
}

#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Only this shop's jobs
    #[arg(long, value_name = "DOMAIN")]
    pub shop: Option<String>,
    /// Only these types
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = types())]
    pub job_type: Vec<JobType>,
    /// Only these statuses
    #[arg(long, value_delimiter = ',', value_parser = statuses())]
    pub status: Vec<JobStatus>,
    /// Most jobs to list
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub limit: u64,
    /// Where the previous page ended, as it said
    #[arg(long, value_name = "TEXT")]
    pub cursor: Option<String>,
}

fn types() -> impl TypedValueParser<Value = JobType> {
    PossibleValuesParser::new(JobType::ALL.iter().map(|job_type| job_type.as_str()))
        .try_map(|text| text.parse::<JobType>())
}

fn statuses() -> impl TypedValueParser<Value = JobStatus> {
    PossibleValuesParser::new(JobStatus::ALL.iter().map(|status| status.as_str()))
        .try_map(|text| text.parse::<JobStatus>())
}

pub async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    match &args.action {
        Action::Cancel { yes, .. } => require_yes(*yes, "withdraws the job for good")?,
        Action::Package(package) => package.confirm()?,
        _ => {}
    }
    let config = context.config(Vec::new())?;
    let store = open_store(&config).await?;
    let (id, command) = match &args.action {
        Action::List(list) => return run_list(context, &store, list).await,
        Action::Show { id } => return show(context, &store, id).await,
        Action::Receipt { id, output } => return run_receipt(&store, id, output.as_deref()).await,
        Action::Retry { id } => (id, Command::Retry),
        Action::Release { id, plan, yes } => {
            let job = query::find(&store, id).await?.ok_or_else(|| CommandError::NotFound(id.clone()))?;
            let does_not_fit = job.hold_reason.as_deref().is_some_and(|reason| intake::MISFITS.contains(&reason));
            if does_not_fit {
                // Rows of before do not tell what.
                let misfit = job.error_message.as_deref().unwrap_or("its webhook does not fit together");
                let what = format!("executes a {} for {} although {misfit}", job.job_type, job.shop_domain);
                require_yes(*yes, &what)?;
            }
            (id, Command::Release { plan: plan.clone() })
        }
        Action::Cancel { id, reason, .. } => {
            let signer = signer(&config, &load_keys(&config, &store).await?);
            (id, Command::Cancel { reason: reason.clone(), signer })
        }
        Action::Package(package) => return package::run(context, (&config, &store), package).await,
    };
    let wake = Wake::default();
    let applied = command::apply(&store, &Clock::system(), &wake, audited::operator(), id, command).await;
    let job = applied.map_err(|error| match error {
        CommandError::BadReason(why) => anyhow::Error::from(UsageError(why.to_owned())),
        error => error.into(),
    })?;
    wake.announce_once(&store).await;
    print(context, &JobView::from(job))?;
    Ok(Exit::Done)
}

async fn run_list(context: &Context, store: &Store, args: &ListArgs) -> anyhow::Result<Exit> {
    let before = match &args.cursor {
        None => None,
        Some(text) => {
            let cursor = Cursor::parse(text).ok_or_else(|| UsageError("--cursor is not one of ours".to_owned()))?;
            Some(cursor.id)
        }
    };
    let filter = Filter {
        shop_domain: args.shop.as_ref().map(|shop| shop.to_lowercase()),
        job_types: args.job_type.clone(),
        statuses: args.status.clone(),
        before,
    };
    let (jobs, more) = query::page(store, &filter, args.limit).await?;
    let shop = args.shop.as_deref();
    audited::seen(store, Seen { command: "jobs list", action: Act::Read, what: job::TABLE, id: "*", shop }).await?;
    let next_cursor = jobs.last().filter(|_| more).map(|job| Cursor { id: job.id.clone() });
    if context.json() {
        let data = jobs.into_iter().map(JobView::from).collect();
        output::json(&JobPage { data, next_cursor })?;
        return Ok(Exit::Done);
    }
    let now = Clock::system().now();
    let rows = jobs.into_iter().map(|job| {
        let ends = job.outcome.map(|outcome| outcome.to_string()).or(job.hold_reason).unwrap_or_else(|| "-".to_owned());
        let late = if job.status.is_open() && job.due_at < now { " overdue" } else { "" };
        let (created, due) = (rfc3339(job.created_at), format!("{}{late}", job.due_at.format("%Y-%m-%d")));
        [job.id, job.job_type.to_string(), job.status.to_string(), ends, job.shop_domain, created, due]
    });
    output::table(["ID", "TYPE", "STATUS", "OUTCOME/REASON", "SHOP", "RECEIVED", "DUE"], rows)?;
    if let Some(cursor) = next_cursor {
        output::talk(&format!("more: --cursor {}", cursor.to_text()));
    }
    Ok(Exit::Done)
}

async fn show(context: &Context, store: &Store, id: &str) -> anyhow::Result<Exit> {
    let job = query::find(store, id).await?.ok_or_else(|| CommandError::NotFound(id.to_owned()))?;
    let shop = Some(job.shop_domain.as_str());
    audited::seen(store, Seen { command: "jobs show", action: Act::Read, what: job::TABLE, id, shop }).await?;
    print(context, &JobView::from(job))?;
    Ok(Exit::Done)
}

/// The receipt itself to stdout or to a file: with `--json` too, for it is JSON.
async fn run_receipt(store: &Store, id: &str, file: Option<&Path>) -> anyhow::Result<Exit> {
    let Some(receipt) = receipt::find(store, id).await? else {
        query::find(store, id).await?.ok_or_else(|| CommandError::NotFound(id.to_owned()))?;
        anyhow::bail!("{id} has no receipt yet: a job gets it when it is completed or cancelled");
    };
    let shop = query::shop_of(store, id).await?;
    let (action, what, shop) = (Act::Export, job::TABLE, shop.as_deref());
    audited::seen(store, Seen { command: "jobs receipt", action, what, id, shop }).await?;
    match file {
        Some(file) => {
            std::fs::write(file, receipt).with_context(|| format!("{} cannot be written", file.display()))?;
            output::talk(&format!("written to {}", file.display()));
        }
        None => output::raw(&format!("{}\n", String::from_utf8(receipt)?))?,
    }
    Ok(Exit::Done)
}

/// One job, field by field.
fn print(context: &Context, job: &JobView) -> anyhow::Result<()> {
    if context.json() {
        return Ok(output::json(job)?);
    }
    Ok(print_fields(serde_json::to_value(job)?)?)
}

/// The fields of an object, one a line.
fn print_fields(fields: serde_json::Value) -> std::io::Result<()> {
    let serde_json::Value::Object(fields) = fields else { return Ok(()) };
    let rows = fields.into_iter().map(|(name, value)| {
        let text = match value {
            serde_json::Value::Null => "-".to_owned(),
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        [name, text]
    });
    output::table(["FIELD", "VALUE"], rows)
}
