//! `efface check --as-shopify`: plays Shopify, its app review and what comes after, against any endpoint.
//!
//! Needs nothing else of Efface: no configuration, no database. Every request is about a shop, customers and orders that
//! nobody has, so that an endpoint which takes the webhooks seriously finds nothing to erase.

mod address;
mod bodies;
mod checks;
mod course;
mod expect;
mod letter;
mod report;
mod wire;

use std::time::Duration;

use clap::ArgGroup;
use clap::builder::PossibleValuesParser;
use hyper::Uri;

use super::super::client::parse_address;
use super::super::{Context, Exit, UsageError};
use crate::clock::Clock;
use crate::config::Secret;
use address::Address;
use checks::Check;
use letter::Play;
use report::Report;
use wire::Wire;

/// Options that turn `check` from our own set-up to an endpoint.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(
    next_help_heading = "An endpoint, seen from outside",
    group = ArgGroup::new("conformance").multiple(true)
)]
pub struct Options {
    /// Play Shopify against this address, used exactly as written; no configuration and no database is needed
    #[arg(long, value_name = "URL", value_parser = parse_address, group = "conformance")]
    as_shopify: Option<Uri>,
    /// The app's client secret
    #[arg(long, env = "SHOPIFY_API_SECRET", hide_env_values = true)]
    secret: Option<Secret>,
    /// A secret that was rotated and should still be accepted; without it that check is skipped
    #[arg(long, value_name = "SECRET", env = "SHOPIFY_API_SECRET_OLD", hide_env_values = true)]
    old_secret: Option<Secret>,
    /// The URL is a base; each topic is added to it, as in /shop/redact
    #[arg(long, requires = "as_shopify")]
    path_per_topic: bool,
    /// Run these checks only, comma-separated
    #[arg(
        long,
        value_name = "ID,…",
        value_delimiter = ',',
        requires = "conformance",
        hide_possible_values = true,
        value_parser = PossibleValuesParser::new(checks::all().map(|check| check.id))
    )]
    only: Vec<String>,
    /// List the checks of an endpoint and send nothing
    #[arg(long, group = "conformance")]
    list: bool,
    /// Milliseconds to wait for each answer; Shopify waits 5000
    #[arg(
        long,
        value_name = "N",
        default_value_t = 5_000,
        requires = "as_shopify",
        value_parser = clap::value_parser!(u64).range(1..=5_000)
    )]
    timeout_ms: u64,
}

impl Options {
    /// Whether `check` is about an endpoint at all.
    pub fn are_given(&self) -> bool {
        self.as_shopify.is_some() || self.list
    }

    /// The checks asked for, in the order in which they run.
    fn chosen(&self) -> Vec<&'static Check> {
        checks::all().filter(|check| self.only.is_empty() || self.only.iter().any(|id| id == check.id)).collect()
    }
}

pub async fn run(context: &Context, options: &Options) -> anyhow::Result<Exit> {
    context.refuse_configuration("an endpoint is looked at from outside, whatever is behind it")?;
    context.log_without_config();
    let chosen = options.chosen();
    let address = match &options.as_shopify {
        Some(address) if !options.list => Address::new(address, options.path_per_topic)?,
        _ => {
            report::list(context, &chosen)?;
            return Ok(Exit::Done);
        }
    };
    let Some(secret) = options.secret.clone().filter(|secret| !secret.expose().is_empty()) else {
        return Err(UsageError("--secret, or SHOPIFY_API_SECRET, is needed to sign as Shopify does".to_owned()).into());
    };
    let play = Play::new(address, secret, options.old_secret.clone(), Clock::system().now());
    let wire = Wire::new(Duration::from_millis(options.timeout_ms));
    let outcomes = course::run(&play, &wire, &chosen).await?;
    let report = Report::new(&play, outcomes);
    report.print(context)?;
    Ok(if report.conforms { Exit::Done } else { Exit::Failed })
}
