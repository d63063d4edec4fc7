//! `efface jobs package`: what a `customers/data_request` collected, on its way to the merchant.

use std::fs::{File, OpenOptions};
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use entity::audit_log::Action;
use entity::export_package::Model;
use serde_json::json;

use crate::app::open_packages;
use crate::audit::Actor;
use crate::cli::audited::{self, Seen};
use crate::cli::confirm::require_yes;
use crate::cli::{Context, Exit, UsageError, output};
use crate::clock::{Clock, rfc3339};
use crate::config::Config;
use crate::export::{self, Packages, Recipient};
use crate::store::Store;

const EXAMPLES: &str = "\
Examples:
  efface jobs package gdpr_…                      where it stands
  efface jobs package gdpr_… --link               a link for the merchant
  efface jobs package gdpr_… --output answer.zip  write it to a file
  efface jobs package gdpr_… --remove --yes       take it away early

--link and --output take --age to encrypt the zip to the merchant's key.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, group = clap::ArgGroup::new("act"))]
pub struct Args {
    /// The id of the `data_request` job, gdpr_…
    id: String,
    /// Write the package to a new file, readable by its owner only
    #[arg(long, value_name = "FILE", group = "act")]
    output: Option<PathBuf>,
    /// Make a link for one download and print it; an earlier link ends
    #[arg(long, group = "act")]
    link: bool,
    /// Encrypt to this age recipient, age1…
    #[arg(long, value_name = "RECIPIENT", conflicts_with = "remove", requires = "act")]
    age: Option<Recipient>,
    /// Delete the package before its time; needs --yes
    #[arg(long, group = "act")]
    remove: bool,
    /// Do it: a package that was removed does not come back
    #[arg(long, requires = "remove")]
    yes: bool,
}

impl Args {
    /// Passes when nothing is destroyed without `--yes`.
    pub(super) fn confirm(&self) -> Result<(), UsageError> {
        if self.remove { require_yes(self.yes, "deletes the package for good") } else { Ok(()) }
    }
}

pub async fn run(context: &Context, (config, store): (&Config, &Store), args: &Args) -> anyhow::Result<Exit> {
    let packages = open_packages(config, store, Clock::system()).await?;
    let actor = audited::operator();
    if let Some(file) = &args.output {
        write(&packages, actor, args, file).await?;
    } else if args.link {
        let link = packages.make_link(actor, &args.id, args.age.as_ref()).await?;
        if context.json() {
            output::json(&json!({ "url": link.url, "expiresAt": rfc3339(link.expires_at) }))?;
        } else {
            output::raw(&format!("{}\n", link.url))?;
            output::talk(&format!("Good for one download until {}; shown only now.", rfc3339(link.expires_at)));
        }
    } else if args.remove {
        show(context, &packages.remove(actor, &args.id).await?)?;
    } else {
        let package = packages.of_job(&args.id).await?;
        let (what, id, shop) = (export::TABLE, package.id.as_str(), Some(package.shop_domain.as_str()));
        audited::seen(store, Seen { command: "jobs package", action: Action::Read, what, id, shop }).await?;
        show(context, &package)?;
    }
    Ok(Exit::Done)
}

async fn write(packages: &Packages, actor: Actor, args: &Args, path: &Path) -> anyhow::Result<()> {
    let file: File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("{} cannot be made", path.display()))?;
    let written = async {
        let file = packages.write_to(actor, &args.id, args.age.clone(), BufWriter::new(file)).await?;
        file.into_inner()?.sync_all()?;
        anyhow::Ok(())
    };
    if let Err(error) = written.await {
        let _half = std::fs::remove_file(path);
        return Err(error);
    }
    output::talk(&format!("Written to {}. It is personal data: keep it safe.", path.display()));
    Ok(())
}

/// Where a package stands.
fn show(context: &Context, package: &Model) -> anyhow::Result<()> {
    let at = |at: Option<DateTime<Utc>>| at.map(rfc3339);
    let link = match (&package.link_digest, package.link_used_at) {
        (_, Some(_)) => "used",
        (Some(_), None) => "open",
        (None, None) => "none",
    };
    let fields = json!({
        "id": package.id,
        "jobId": package.job_id,
        "shopDomain": package.shop_domain,
        "status": package.status,
        "rows": package.rows_total,
        "receivedAt": at(package.received_at),
        "readyAt": at(package.ready_at),
        "expiresAt": rfc3339(package.expires_at),
        "removedAt": at(package.removed_at),
        "link": link,
        "linkExpiresAt": at(package.link_expires_at),
        "linkTries": package.link_tries,
        "linkUsedAt": at(package.link_used_at),
        "linkEncrypted": package.link_recipient.is_some(),
    });
    if context.json() {
        return Ok(output::json(&fields)?);
    }
    Ok(super::print_fields(fields)?)
}
