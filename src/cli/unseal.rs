//! `efface unseal`: opens what redaction encrypted.

use std::io::{BufWriter, stdin, stdout};
use std::path::PathBuf;

use entity::audit_log::Action;

use super::audited::{self, Seen};
use super::redact::{load_keys, shop};
use super::{Context, Exit, ndjson, output};
use crate::app::keys::KEYRING;
use crate::redaction::{Engine, JsonPath};

const EXAMPLES: &str = "\
Examples:
  efface unseal --shop snowdevil.myshopify.com < masked.ndjson > open.ndjson
  efface unseal --shop snowdevil.myshopify.com --path customer.email < one.json
  efface unseal --shop snowdevil.myshopify.com --at LineItem < rows.ndjson";

/// Failures that are told one by one; the others are counted.
const TOLD_MAX: u64 = 20;

/// Open what `redact` and column masks encrypted
///
/// Reads one document a line (NDJSON), or a single document of many lines, from stdin, opens every value that begins
/// with `enc:`, and writes one document a line to stdout. What does not open is left as it is and named on stderr; the
/// exit code is 1 then.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Whose documents they are: what was encrypted for one shop opens for that shop only
    #[arg(long, value_name = "DOMAIN", value_parser = shop)]
    shop: String,
    /// Open only what stands at or under this path; repeat for more
    #[arg(long = "path", value_name = "PATH")]
    paths: Vec<JsonPath>,
    /// Where the documents stood when they were masked: a table for rows with masked columns
    #[arg(long, value_name = "PLACE", default_value = "", hide_default_value = true)]
    at: String,
    /// The keys to open with; keys.file of the configuration when left out
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
}

pub async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let engine = Engine::new(load_keys(context, args.keys.as_deref())?.into());
    if args.keys.is_none() {
        record(context, &args.shop).await?;
    }
    let (mut documents, mut opened, mut failed) = (0_u64, 0_u64, 0_u64);
    ndjson::each(stdin().lock(), BufWriter::new(stdout().lock()), |line, document| {
        let unsealed = engine.unseal_document(&args.shop, &args.at, &args.paths, document);
        documents += 1;
        opened += unsealed.opened;
        for failure in &unsealed.failed {
            failed += 1;
            if failed <= TOLD_MAX {
                output::talk(&format!("line {line}, {}: {}", failure.place, failure.error));
            }
        }
    })?;
    output::talk(&format!("Documents: {documents}. Values opened: {opened}, left closed: {failed}."));
    Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
}

/// An installation's keys open what was sealed: that stands in its log. With `--keys` alone there is no log to write to.
async fn record(context: &Context, shop: &str) -> anyhow::Result<()> {
    let Some(store) = audited::log_at_hand(&context.config(Vec::new())?).await? else { return Ok(()) };
    let seen = Seen { command: "unseal", action: Action::Read, what: KEYRING, id: "*", shop: Some(shop) };
    Ok(audited::seen(&store, seen).await?)
}
