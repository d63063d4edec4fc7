//! `efface migrate`: the tables and how they came to be.

use clap::Subcommand;
use entity::audit_log::Action as Change;
use migration::MigrationState;
use serde_json::{Value, json};

use super::confirm::require_yes;
use super::{Context, Exit, audited, output};
use crate::app::{open_as_it_would_be, open_or_make_store, open_store};
use crate::audit::{self, Entry};
use crate::clock::Clock;
use crate::store::{Store, StoreError};

/// Create and change Efface's tables
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Apply pending migrations; safe when many processes do it at once
    Up,
    /// Take back the latest migrations, and the rows in their tables
    Down {
        /// How many of Efface's own migrations to take back
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        steps: u32,
        /// Before them, drop the reference app's tables, if Efface made them
        #[arg(long)]
        reference: bool,
        /// Do it: rows are lost
        #[arg(long)]
        yes: bool,
    },
    /// List migrations and whether they are applied
    Status,
}

pub async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let config = context.config(Vec::new())?;
    let reference = config.database.reference_schema;
    let store = match args.action {
        Action::Up => open_or_make_store(&config).await?,
        Action::Down { .. } => open_store(&config).await?,
        Action::Status => open_as_it_would_be(&config).await?,
    };
    let steps = match &args.action {
        Action::Up => {
            let steps = migration::up(store.db(), reference).await?.steps;
            if !steps.is_empty() {
                record(&store, json!({ "command": "migrate up", "steps": steps })).await?;
            }
            steps
        }
        Action::Down { steps, reference, yes } => {
            let named = latest(&migration::status(store.db(), *reference).await?, *steps);
            if !named.is_empty() {
                require_yes(*yes, &format!("takes back {} and loses the rows in their tables", named.join(", ")))?;
                // Before: afterwards there may be no log.
                if audited::has_log(&config, &store).await? {
                    record(&store, json!({ "command": "migrate down", "steps": named })).await?;
                }
            }
            migration::down(store.db(), *reference, Some(*steps)).await?.steps
        }
        Action::Status => return status(context, &migration::status(store.db(), reference).await?),
    };
    if context.json() {
        output::json(&json!({ "steps": steps }))?;
    } else if steps.is_empty() {
        output::talk(if matches!(args.action, Action::Up) {
            "nothing to do: the tables are as they should be"
        } else {
            "nothing to do: no migration is applied"
        });
    } else {
        for step in steps {
            output::raw(&format!("{step}\n"))?;
        }
    }
    Ok(Exit::Done)
}

/// What [`migration::down`] would take back, in its order.
fn latest(states: &[MigrationState], steps: u32) -> Vec<String> {
    let applied = |reference| states.iter().rev().filter(move |step| step.applied && step.reference == reference);
    let own = applied(false).take(usize::try_from(steps).unwrap_or(usize::MAX));
    applied(true).chain(own).map(|step| step.name.clone()).collect()
}

async fn record(store: &Store, metadata: Value) -> Result<(), StoreError> {
    let entry = Entry {
        actor: audited::operator(),
        action: Change::Update,
        resource_type: "Schema",
        resource_id: "*".to_owned(),
        shop_domain: None,
        metadata,
    };
    audit::record(store, &Clock::system(), vec![entry]).await
}

fn status(context: &Context, steps: &[MigrationState]) -> anyhow::Result<Exit> {
    let state = |step: &MigrationState| if step.applied { "applied" } else { "pending" };
    if context.json() {
        let steps: Vec<_> = steps.iter().map(|step| json!({ "name": step.name, "status": state(step) })).collect();
        output::json(&steps)?;
    } else {
        output::table(["MIGRATION", "STATUS"], steps.iter().map(|step| [step.name.clone(), state(step).to_owned()]))?;
    }
    Ok(Exit::Done)
}
