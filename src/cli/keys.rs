//! `efface keys`: the file with the key-encryption and signing keys.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::json;

use super::{Context, Exit, UsageError, audited, output};
use crate::app::{self, load_keys, signer};
use crate::clock::Clock;
use crate::config::Config;
use crate::evidence::receipt::ALGORITHM;
use crate::seal::Keyring;

const EXAMPLES: &str = "\
Examples:
  efface keys generate --output /etc/efface/keys.json
  efface keys show > efface.pub          for those who verify receipts";

/// Make the keys that seal personal data and sign receipts, and show the public one
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write fresh keys to a new file, readable by its owner only
    ///
    /// Never overwrites: without its keys, what was sealed cannot be opened again. Keep a copy somewhere safe, apart
    /// from the backups of the database.
    Generate {
        /// The file to write; keys.file of the configuration when left out
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Print the public key that receipts are signed with
    ///
    /// As PEM, which `efface verify --key` and other tools read. It is no secret: give it to auditors on a way of its own,
    /// and not together with the receipts that it is to verify.
    Show,
}

pub async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    match &args.action {
        Action::Generate { output } => generate(context, output.as_ref()).await,
        Action::Show => show(context),
    }
}

async fn generate(context: &Context, file: Option<&PathBuf>) -> anyhow::Result<Exit> {
    let (file, config) = if let Some(file) = file {
        context.log_without_config();
        (file.clone(), None)
    } else {
        let config = context.config(Vec::new())?;
        let configured = config.keys_file();
        let unset = || UsageError("say where to with --output FILE, or set keys.file".to_owned());
        (configured.ok_or_else(unset)?, Some(config))
    };
    Keyring::generate().write_new(&file).with_context(|| format!("no keys were written to {}", file.display()))?;
    output::talk("Keys written. Keep a copy somewhere safe, apart from the backups of the database.");
    if let Some(config) = config
        && let Err(error) = record(&config).await
    {
        output::talk(&format!("They are not in the audit log yet ({error:#}): the first `serve` records them."));
    }
    if context.json() {
        output::json(&json!({ "file": file }))?;
    } else {
        output::raw(&format!("{}\n", file.display()))?;
    }
    Ok(Exit::Done)
}

/// Records the configuration's keys where its log is at hand; else the first process that serves with them does.
async fn record(config: &Config) -> anyhow::Result<()> {
    let Some(store) = audited::log_at_hand(config).await? else { return Ok(()) };
    let keyring = load_keys(config)?;
    let signer = signer(config, &keyring);
    app::keys::record(&store, &Clock::system(), (&keyring, &signer), audited::operator()).await?;
    Ok(())
}

fn show(context: &Context) -> anyhow::Result<Exit> {
    let config = context.config(Vec::new())?;
    let file = config.keys_file().ok_or_else(|| UsageError("set keys.file, the file that has the keys".to_owned()))?;
    let keyring = Keyring::load(&file).with_context(|| format!("the keys at {} cannot be used", file.display()))?;
    let signer = signer(&config, &keyring);
    let key = signer.public_key();
    if context.json() {
        output::json(&json!({ "keyId": key.id(), "algorithm": ALGORITHM, "publicKey": key.to_pem() }))?;
    } else {
        output::talk(&format!("key id {}", key.id()));
        output::raw(&key.to_pem())?;
    }
    Ok(Exit::Done)
}
