//! `efface audit`: who did what.

use chrono::{DateTime, Utc};
use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use entity::audit_log::Action as Act;

use super::audited::{self, Seen};
use super::{Context, Exit, UsageError, instant, output};
use crate::app::open_store;
use crate::audit::query::{Filter, page};
use crate::clock::rfc3339;
use crate::http::audit::{AuditCursor, AuditPage};

const EXAMPLES: &str = "\
Examples:
  efface audit list --shop snowdevil.myshopify.com
  efface audit list --actor ops --action export --from 2026-11-01
  efface audit list --resource gdpr_01a1fcdfaf17760a932a80abf4b9dae4";

/// Read the audit log
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Debug, Subcommand)]
pub enum Action {
    /// List entries, the latest first
    List(Box<ListArgs>),
}

#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Only what this actor did: a token's name, `cli`, a part of Efface
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,
    /// Only acts of this kind
    #[arg(long, value_parser = acts())]
    pub action: Option<Act>,
    /// Only what was done to this: a table such as `GDPRJob`, or an id
    #[arg(long, value_name = "TABLE|ID")]
    pub resource: Option<String>,
    /// Only what concerns this shop
    #[arg(long, value_name = "DOMAIN")]
    pub shop: Option<String>,
    /// Only entries since then: a date or an RFC 3339 instant
    #[arg(long, value_name = "TIME", value_parser = instant::parse)]
    pub from: Option<DateTime<Utc>>,
    /// Only entries before then
    #[arg(long, value_name = "TIME", value_parser = instant::parse)]
    pub to: Option<DateTime<Utc>>,
    /// Most entries to list
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub limit: u64,
    /// Where the previous page ended, as it said
    #[arg(long, value_name = "TEXT")]
    pub cursor: Option<String>,
}

fn acts() -> impl TypedValueParser<Value = Act> {
    PossibleValuesParser::new(Act::ALL.iter().map(|act| act.as_str())).try_map(|text| text.parse::<Act>())
}

impl ListArgs {
    fn filter(&self) -> Filter {
        let table = |text: &&String| migration::OWN_TABLES.contains(&text.as_str()) || text.as_str() == "Token";
        Filter {
            actor_id: self.actor.clone(),
            action: self.action,
            resource_type: self.resource.as_ref().filter(table).cloned(),
            resource_id: self.resource.as_ref().filter(|text| !table(text)).cloned(),
            shop_domain: self.shop.as_ref().map(|shop| shop.to_lowercase()),
            from: self.from,
            to: self.to,
        }
    }
}

pub async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let Action::List(args) = &args.action;
    let cursor = args
        .cursor
        .as_deref()
        .map(|text| AuditCursor::parse(text).ok_or_else(|| UsageError("--cursor is not one of ours".to_owned())));
    let cursor = cursor.transpose()?;
    let config = context.config(Vec::new())?;
    let store = open_store(&config).await?;
    let (entries, more) = page(&store, &args.filter(), cursor.as_ref().map(|cursor| &cursor.0), args.limit).await?;
    let (action, shop) = (Act::Read, args.shop.as_deref());
    audited::seen(&store, Seen { command: "audit list", action, what: "AuditLog", id: "*", shop }).await?;
    let page = AuditPage::of(entries, more);
    if context.json() {
        output::json(&page)?;
        return Ok(Exit::Done);
    }
    let next = page.next_cursor;
    let rows = page.data.into_iter().map(|entry| {
        let index = entry.leaf_index.map_or("-".to_owned(), |index| index.to_string());
        let shop = entry.shop_domain.unwrap_or_else(|| "-".to_owned());
        let on = format!("{} {}", entry.resource_type, entry.resource_id);
        [rfc3339(entry.created_at), entry.actor_id, entry.action.as_str().to_owned(), on, shop, index]
    });
    output::table(["AT", "ACTOR", "ACTION", "ON", "SHOP", "LEAF"], rows)?;
    if let Some(cursor) = next {
        output::talk(&format!("more: --cursor {}", cursor.to_text()));
    }
    Ok(Exit::Done)
}
