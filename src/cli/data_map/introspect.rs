//! `efface data-map introspect`: a first map, from the schema as it is.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Context, Exit, output, unusable, url_of};
use crate::app::data_map::read_catalog;
use crate::config::Secret;
use crate::erasure::data_map::DEFAULT_STORE;
use crate::erasure::introspect::{Proposal, propose};
use crate::store::StoreError;
use crate::store::catalog::open_read_only;
use crate::store::catalog::sample::{self, Samples};

/// Propose a map from a live database, every guess with its reason
///
/// Looks at names, types and foreign keys, and at a bounded number of rows: at the form of their values and the keys of
/// their JSON documents, never at a value. Changes nothing. What it cannot tell is written as a comment, to be decided.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The store to look at, by its name in the configuration
    #[arg(long, value_name = "NAME", default_value = DEFAULT_STORE)]
    store: String,
    /// Look at this database instead, sqlite://… or postgres://…
    #[arg(long, value_name = "URL")]
    url: Option<Secret>,
    /// Write the map to a new file instead of stdout; never overwrites
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Look at names and types only, at no row
    #[arg(long)]
    no_samples: bool,
}

pub async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let proposal = if let Some(url) = &args.url {
        context.log_without_config();
        look(url.expose(), args).await.context("the database of --url cannot be read")?
    } else {
        let config = context.config(Vec::new())?;
        let (url, masked) = url_of(&config, &args.store)?;
        look(url, args).await.map_err(unusable(masked))?
    };
    let text = if context.json() {
        let mut text = serde_json::to_string_pretty(&proposal)?;
        text.push('\n');
        text
    } else {
        proposal.to_toml()
    };
    match &args.output {
        None => output::raw(&text)?,
        Some(file) => {
            write_new(file, &text)?;
            output::raw(&format!("{}\n", file.display()))?;
        }
    }
    output::talk(&format!(
        "{} table(s) mapped, {} thing(s) to decide, {} table(s) left out. Read it, then `efface data-map check`.",
        proposal.tables.len() + usize::from(proposal.shop.is_some()),
        proposal.open(),
        proposal.left_out.len()
    ));
    Ok(Exit::Done)
}

async fn look(url: &str, args: &Args) -> Result<Proposal, StoreError> {
    let conn = open_read_only(url).await?;
    let catalog = read_catalog(&conn).await?;
    let samples = if args.no_samples { Samples::default() } else { sample::read(&conn, &catalog).await? };
    Ok(propose(&args.store, &catalog, &samples))
}

/// Somebody's decisions may stand in a file that exists.
fn write_new(file: &Path, text: &str) -> anyhow::Result<()> {
    let mut opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file)
        .with_context(|| format!("{} was not written", file.display()))?;
    opened.write_all(text.as_bytes()).with_context(|| format!("{} was not written", file.display()))
}
