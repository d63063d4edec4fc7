//! `efface webhook`: sends webhooks as Shopify would.

mod body;
mod signed;
mod tally;
mod trigger;

use clap::Subcommand;

pub(super) use body::About;
pub(super) use signed::{Delivery, signature};

use super::{Context, Exit};

/// Send webhooks as Shopify would
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Trigger(Box<trigger::Args>),
}

pub async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let Action::Trigger(args) = &args.action;
    trigger::run(context, args).await
}
