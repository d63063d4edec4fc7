//! `efface plan`: what an erasure would do, without doing it.

use std::sync::Arc;

use anyhow::Context as _;
use entity::audit_log::Action;
use serde_json::json;

use super::audited::{self, Seen};
use super::{Context, Exit, UsageError, output};
use crate::app::{load_keys, open_store, open_stores};
use crate::clock::Clock;
use crate::erasure::preview::Preview;
use crate::erasure::progress::Progress;
use crate::erasure::subject::{Scope, Target};
use crate::job;
use crate::job::approval::Planner;
use crate::job::command::CommandError;
use crate::job::query;
use crate::seal::ContentKeys;
use crate::webhook::shop_domain;

const EXAMPLES: &str = "\
Examples:
  efface plan --job gdpr_…
  efface plan --shop a.myshopify.com
  efface plan --shop a.myshopify.com --customer-id 191167 --order 4001
  efface plan --shop a.myshopify.com --email jane@example.com --json";

/// Show what an erasure would delete, mask and keep, and the plan's hash
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The plan of this job
    #[arg(long, value_name = "ID", conflicts_with_all = ["shop", "customer_id", "email", "phone", "order", "shop_number"])]
    pub job: Option<String>,
    /// The shop; alone: all of it
    #[arg(long, value_name = "DOMAIN", required_unless_present = "job")]
    pub shop: Option<String>,
    /// The platform's number of the shop, where tables are keyed by it
    #[arg(long, value_name = "N", requires = "shop")]
    pub shop_number: Option<String>,
    /// The customer's id
    #[arg(long, value_name = "N", requires = "shop")]
    pub customer_id: Option<String>,
    /// The customer's e-mail address
    #[arg(long, requires = "shop")]
    pub email: Option<String>,
    /// The customer's phone number
    #[arg(long, requires = "shop")]
    pub phone: Option<String>,
    /// An order of the customer; may be given several times
    #[arg(long, value_name = "N", requires = "shop")]
    pub order: Vec<String>,
}

pub async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let config = context.config(Vec::new())?;
    let store = open_store(&config).await?;
    let stores = open_stores(&config, &store).await?;
    let keyring = Arc::new(load_keys(&config, &store).await?);
    let keys = ContentKeys::new(Arc::clone(&keyring), store.clone(), Clock::system());
    let planner = Planner { stores, keys, keyring, reinstalled: config.jobs.reinstalled };
    let plan = match (&args.job, &args.shop) {
        (Some(id), _) => {
            let job = query::find(&store, id).await?.ok_or_else(|| CommandError::NotFound(id.clone()))?;
            let shop = Some(job.shop_domain.as_str());
            audited::seen(&store, Seen { command: "plan", action: Action::Read, what: job::TABLE, id, shop }).await?;
            planner.plan_of(&job).await?
        }
        (None, Some(shop)) => {
            let shop = shop_domain(shop).ok_or_else(|| UsageError("--shop is not a host name".to_owned()))?;
            let (what, id) = ("Shop", shop.as_str());
            audited::seen(&store, Seen { command: "plan", action: Action::Read, what, id, shop: Some(id) }).await?;
            planner.plan(&target(args, &shop)?, &Progress::default()).await?
        }
        (None, None) => return Err(UsageError("say --job or --shop".to_owned()).into()),
    };
    print(context, &plan)?;
    Ok(Exit::Done)
}

fn target(args: &Args, shop: &str) -> anyhow::Result<Target> {
    let whole = args.customer_id.is_none() && args.email.is_none() && args.phone.is_none() && args.order.is_empty();
    if whole {
        return Ok(Target::of_shop(shop).with_shop_number(args.shop_number.clone()));
    }
    let payload = json!({ "customer_id": args.customer_id, "orders_to_redact": args.order });
    let mut target =
        Target::of_subject("", shop, &payload, "orders_to_redact").context("the identifiers cannot be read")?;
    if let Scope::Subject(subject) = &mut target.scope {
        subject.add_personal(args.email.as_deref(), args.phone.as_deref());
    }
    Ok(target.with_shop_number(args.shop_number.clone()))
}

fn print(context: &Context, plan: &Preview) -> anyhow::Result<()> {
    if context.json() {
        return Ok(output::json(plan)?);
    }
    let rows = plan.tables.iter().map(|table| {
        let others = format!("also names {} other customer(s)", table.other_customers);
        let others = (table.other_customers > 0).then_some(others);
        let note = table.ground.clone().into_iter().chain(others).collect::<Vec<_>>().join("; ");
        let name =
            if table.store == "default" { table.table.clone() } else { format!("{}.{}", table.store, table.table) };
        [name, table.action.to_owned(), table.rows.to_string(), table.samples.join(", "), note]
    });
    output::table(["TABLE", "ACTION", "ROWS", "KEYS, FOR EXAMPLE", "NOTE"], rows)?;
    let whom = if plan.whole_shop { "the whole shop" } else { "one customer" };
    output::talk(&format!("{} of {}: {} rows to erase", whom, plan.shop_domain, plan.rows()));
    if let Some(at) = &plan.made_up_to {
        output::talk(&format!("the shop came back: rows made until {at} go, later ones and the shop's row stay"));
    }
    if let Some(reason) = &plan.held_because {
        output::talk(&format!("the job would be held: {reason}"));
    }
    output::talk(&format!("plan {}", plan.hash));
    Ok(())
}
