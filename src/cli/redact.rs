//! `efface redact`: masks JSON documents as a policy says.

use std::io::{BufWriter, stdin, stdout};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Context, Exit, UsageError, ndjson, output};
use crate::app::AppError;
use crate::redaction::{Applied, Compiled, Engine, Policy};
use crate::seal::Keyring;
use crate::webhook::shop_domain;

const EXAMPLES: &str = "\
Examples:
  efface redact --policy policy.toml --event orders/create \\
      --shop snowdevil.myshopify.com < orders.ndjson > masked.ndjson
  jq -c '.events[]' log.json | efface redact --policy policy.toml --event log";

/// The largest policy file.
const POLICY_BYTES_MAX: u64 = 1 << 20;

/// Mask personal data in JSON documents as a policy says
///
/// Reads one document a line (NDJSON), or a single document of many lines, from stdin and writes one a line to stdout.
/// Exit code 1 at the first line that is not JSON; 2 when the policy is wrong or has no rule for the event type.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The policy (TOML); docs/redaction.md tells its format
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The type of the documents, as the policy names it
    #[arg(long, value_name = "TYPE")]
    event: String,
    /// Whose documents they are; needed to hash and encrypt, and when the policy has rules for single shops
    #[arg(long, value_name = "DOMAIN", value_parser = shop)]
    shop: Option<String>,
    /// The keys to hash and encrypt with; keys.file of the configuration when left out
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
}

pub fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let policy = Policy::parse(&read_policy(&args.policy)?).map_err(|problems| UsageError(problems.to_string()))?;
    for warning in policy.warnings() {
        output::talk(&format!("warning: {warning}"));
    }
    let rules = policy.for_event(&args.event, args.shop.as_deref());
    check(&policy, &rules, args)?;
    let keyring = if rules.is_keyed() {
        load_keys(context, args.keys.as_deref())?
    } else {
        context.log_without_config();
        // No rule asks for a key: these are never used.
        Keyring::generate()
    };
    let (engine, shop) = (Engine::new(keyring.into()), args.shop.as_deref().unwrap_or_default());
    let (mut documents, mut applied) = (0_u64, Applied::default());
    ndjson::each(stdin().lock(), BufWriter::new(stdout().lock()), |_, document| {
        documents += 1;
        applied += engine.apply(&rules, shop, document);
    })?;
    let Applied { redacted, hashed, encrypted, removed } = applied;
    output::talk(&format!(
        "Documents: {documents}. Values redacted: {redacted}, hashed: {hashed}, encrypted: {encrypted}, removed: {removed}."
    ));
    Ok(Exit::Done)
}

/// A mask that does nothing, or not all it should, must not look like one that worked.
fn check(policy: &Policy, rules: &Compiled, args: &Args) -> Result<(), UsageError> {
    if args.shop.is_none() && policy.names_shops() {
        return Err(UsageError(
            "the policy has rules for single shops; say whose documents these are with --shop".to_owned(),
        ));
    }
    if rules.is_empty() {
        return Err(UsageError("the policy has no rule for this event type: nothing would be masked".to_owned()));
    }
    if args.shop.is_none() && rules.is_keyed() {
        return Err(UsageError("each shop has keys of its own; say whose documents these are with --shop".to_owned()));
    }
    Ok(())
}

pub(super) fn read_policy(path: &Path) -> Result<String, UsageError> {
    let unreadable = |error| UsageError(format!("the policy {} cannot be read: {error}", path.display()));
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > POLICY_BYTES_MAX {
        return Err(UsageError(format!("the policy {} is larger than 1 MiB", path.display())));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

/// A shop's domain in its one spelling.
pub(super) fn shop(name: &str) -> Result<String, &'static str> {
    shop_domain(name).ok_or("expected a shop's domain, such as snowdevil.myshopify.com")
}

/// The keys of `--keys`, or those of the configuration. None are made: what they masked could never be compared or opened.
pub(super) fn load_keys(context: &Context, file: Option<&Path>) -> anyhow::Result<Keyring> {
    let file = if let Some(file) = file {
        context.log_without_config();
        file.to_owned()
    } else {
        context.config(Vec::new())?.keys_file().ok_or(AppError::NoKeysFile)?
    };
    Keyring::load(&file).map_err(|error| AppError::Keys(file, error)).context("give the keys with --keys FILE")
}
