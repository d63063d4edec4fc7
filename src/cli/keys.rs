//! `efface keys`: the file with the key-encryption and signing keys.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::json;

use super::{Context, Exit, UsageError, output};
use crate::seal::Keyring;

const EXAMPLES: &str = "\
Examples:
  efface keys generate --output /etc/efface/keys.json";

/// Make the keys that seal personal data and sign receipts
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
}

pub fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let Action::Generate { output: file } = &args.action;
    let file = if let Some(file) = file {
        context.log_without_config();
        file.clone()
    } else {
        let configured = context.config(Vec::new())?.keys_file();
        configured.ok_or_else(|| UsageError("say where to with --output FILE, or set keys.file".to_owned()))?
    };
    Keyring::generate().write_new(&file).with_context(|| format!("no keys were written to {}", file.display()))?;
    output::talk("Keys written. Keep a copy somewhere safe, apart from the backups of the database.");
    if context.json() {
        output::json(&json!({ "file": file }))?;
    } else {
        output::raw(&format!("{}\n", file.display()))?;
    }
    Ok(Exit::Done)
}
