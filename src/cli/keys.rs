//! `efface keys`: the file with the key-encryption and signing keys.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use entity::audit_log::Action as Act;
use serde_json::json;

use super::{Context, Exit, UsageError, audited, output};
use crate::app::keys::KEYRING;
use crate::app::{self, load_keys, open_store, signer};
use crate::audit::{self, Entry};
use crate::clock::{Clock, rfc3339};
use crate::config::Config;
use crate::evidence::receipt::ALGORITHM;
use crate::seal::Keyring;

const EXAMPLES: &str = "\
Examples:
  efface keys generate --output /etc/efface/keys.json
  efface keys show > efface.pub          for those who verify receipts
  efface keys rotate --output /etc/efface/keys-2.json
  efface keys rewrap                     once every process has the file";

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
    /// Write the keys to a new file, with a fresh key-encryption key in front
    ///
    /// The keys of before stay in it: they open what they have wrapped. Stop every process, set keys.file to the new file,
    /// start them, and run `efface keys rewrap`.
    Rotate {
        /// The file to write; it is never the one that is in use
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Wrap the content keys in the database with the current key-encryption key
    ///
    /// Every process must have the new keys file by then: one without it could not open payloads any more.
    Rewrap,
}

pub async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    match &args.action {
        Action::Generate { output } => generate(context, output.as_ref()).await,
        Action::Show => show(context),
        Action::Rotate { output } => rotate(context, output).await,
        Action::Rewrap => rewrap(context).await,
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
    let keyring = load_keys(config, &store).await?;
    let signer = signer(config, &keyring);
    app::keys::record(&store, &Clock::system(), (&keyring, &signer), audited::operator()).await?;
    Ok(())
}

async fn rotate(context: &Context, file: &Path) -> anyhow::Result<Exit> {
    let config = context.config(Vec::new())?;
    let mut keyring = configured(&config)?;
    let now = rfc3339(Clock::system().now());
    let before = keyring.encryption_key_id().to_owned();
    let current = keyring.rotate_encryption(now).to_owned();
    keyring.write_new(file).with_context(|| format!("no keys were written to {}", file.display()))?;
    output::talk("Keys written. Keep a copy somewhere safe, apart from the backups of the database.");
    let entry = Entry {
        actor: audited::operator(),
        action: Act::Update,
        resource_type: KEYRING,
        resource_id: signer(&config, &keyring).public_key().id().to_owned(),
        shop_domain: None,
        metadata: json!({ "keyEncryptionKey": current, "before": before }),
    };
    if let Err(error) = told(&config, entry).await {
        output::talk(&format!("This is not in the audit log ({error:#}): the database could not be asked."));
    }
    if context.json() {
        output::json(&json!({ "file": file, "keyEncryptionKey": current, "before": before }))?;
    } else {
        output::talk(&format!("{current} wraps what is new, {before} stays to open what it has wrapped"));
        output::raw(&format!("{}\n", file.display()))?;
    }
    Ok(Exit::Done)
}

async fn told(config: &Config, entry: Entry) -> anyhow::Result<()> {
    if let Some(store) = audited::log_at_hand(config).await? {
        audit::record(&store, &Clock::system(), vec![entry]).await?;
    }
    Ok(())
}

async fn rewrap(context: &Context) -> anyhow::Result<Exit> {
    let config = context.config(Vec::new())?;
    let keyring = configured(&config)?;
    let store = open_store(&config).await?;
    let rewrapped = app::rewrap(&store, &Clock::system(), &keyring, &audited::operator()).await?;
    let current = keyring.encryption_key_id();
    if context.json() {
        output::json(&json!({ "keyEncryptionKey": current, "rewrapped": rewrapped }))?;
    } else if rewrapped.is_empty() {
        output::talk(&format!("nothing to do: every content key is wrapped with {current}"));
    } else {
        for (before, keys) in rewrapped {
            output::raw(&format!("{keys} from {before} to {current}\n"))?;
        }
    }
    Ok(Exit::Done)
}

/// The configured keys, which must be there.
fn configured(config: &Config) -> anyhow::Result<Keyring> {
    let file = config.keys_file().ok_or_else(|| UsageError("set keys.file, the file that has the keys".to_owned()))?;
    Keyring::load(&file).with_context(|| format!("the keys at {} cannot be used", file.display()))
}

fn show(context: &Context) -> anyhow::Result<Exit> {
    let config = context.config(Vec::new())?;
    let signer = signer(&config, &configured(&config)?);
    let key = signer.public_key();
    if context.json() {
        output::json(&json!({ "keyId": key.id(), "algorithm": ALGORITHM, "publicKey": key.to_pem() }))?;
    } else {
        output::talk(&format!("key id {}", key.id()));
        output::raw(&key.to_pem())?;
    }
    Ok(Exit::Done)
}
