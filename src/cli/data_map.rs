//! `efface data-map`: from a live database to a map that fits it, and stays fitting.

mod check;
mod introspect;
mod show;

use clap::Subcommand;

use super::{Context, Exit, UsageError, output};
use crate::app::AppError;
use crate::config::Config;
use crate::store::StoreError;

const EXAMPLES: &str = "\
Examples:
  efface data-map introspect --output data-map.toml
  efface data-map check --map data-map.toml
  efface data-map check --fail-on warning --json
  efface data-map show";

/// Propose, check and show the map of what holds personal data
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Introspect(introspect::Args),
    Check(check::Args),
    Show(show::Args),
}

pub async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    match &args.action {
        Action::Introspect(args) => introspect::run(context, args).await,
        Action::Check(args) => check::run(context, args).await,
        Action::Show(args) => show::run(context, args),
    }
}

/// Where a store of the map is, as it stands in the configuration.
fn url_of<'a>(config: &'a Config, store: &str) -> Result<(&'a str, String), UsageError> {
    let url = if store == crate::erasure::data_map::DEFAULT_STORE {
        &config.database.url
    } else {
        let missing = || UsageError(format!("stores.{store}.url is not configured"));
        &config.stores.get(store).ok_or_else(missing)?.url
    };
    Ok((url.expose(), url.masked()))
}

fn unusable(masked: String) -> impl FnOnce(StoreError) -> AppError {
    move |error| AppError::Database(masked, error)
}
