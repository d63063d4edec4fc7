//! `efface holds`: orders not to erase.

use chrono::{DateTime, Utc};
use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use entity::legal_hold::HoldScope;

use super::audited::OPERATOR;
use super::confirm::require_yes;
use super::{Context, Exit, UsageError, instant, output};
use crate::app::{open_holds, open_store};
use crate::clock::Clock;
use crate::config::Secret;
use crate::hold::{self, Filter, HoldError, SubjectWish, Wish};
use crate::http::Cursor;
use crate::http::holds::{HoldPage, HoldView, ReleasedView};
use crate::job::legal_hold;
use crate::job::wake::Wake;
use crate::seal::Pii;
use crate::store::Store;
use crate::webhook::ExternalId;

const EXAMPLES: &str = "\
Examples:
  efface holds place --shop snowdevil.myshopify.com \\
      --reason \"litigation, case 4711\" --review 2027-06-30
  efface holds place --shop snowdevil.myshopify.com \\
      --email john@example.com --order 299938 --reason \"case 4712\"
  efface holds place --table ConversionLog --reason \"audit 2026\"
  efface holds list
  efface holds release 01a1fcdf-af17-760a-932a-80abf4b9dae4 --yes";

/// Place, release and list legal holds
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Forbid erasing a shop, a person in a shop, or a table
    ///
    /// When it has returned, nothing that the hold covers is being erased any more. The person's identifiers are kept as
    /// keyed hashes only, and each is held for itself: give all that are known.
    Place(Box<PlaceArgs>),
    /// End a hold; erasures that no other hold covers go on by themselves
    Release {
        /// The hold's id
        id: String,
        /// Do it: what was held may be erased at once
        #[arg(long)]
        yes: bool,
    },
    /// List holds in force, the latest first
    List(ListArgs),
}

#[derive(Debug, clap::Args)]
pub struct PlaceArgs {
    /// The shop; with nothing else, all of it is held
    #[arg(long, value_name = "DOMAIN", required_unless_present = "table")]
    pub shop: Option<String>,
    /// A table of the data map; without --shop, that of all shops
    #[arg(long, value_name = "NAME", conflicts_with_all = ["customer_id", "email", "phone", "orders"])]
    pub table: Option<String>,
    /// The customer's number
    #[arg(long, value_name = "N", requires = "shop", value_parser = id)]
    pub customer_id: Option<ExternalId>,
    /// The customer's e-mail address
    #[arg(long, requires = "shop")]
    pub email: Option<Secret>,
    /// The customer's phone number, as the platform writes it
    #[arg(long, requires = "shop")]
    pub phone: Option<Secret>,
    /// An order of the customer; repeat for more
    #[arg(long = "order", value_name = "N", requires = "shop", value_parser = id)]
    pub orders: Vec<ExternalId>,
    /// The legal ground: name the case, not the person
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// When somebody must look at it again: a date or an RFC 3339 instant
    #[arg(long, value_name = "TIME", value_parser = instant::parse)]
    pub review: Option<DateTime<Utc>>,
}

#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Only holds on this shop
    #[arg(long, value_name = "DOMAIN")]
    pub shop: Option<String>,
    /// Only holds of this scope
    #[arg(long, value_parser = scopes())]
    pub scope: Option<HoldScope>,
    /// Released holds as well
    #[arg(long)]
    pub all: bool,
    /// Most holds to list
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub limit: u64,
    /// Where the previous page ended, as it said
    #[arg(long, value_name = "TEXT")]
    pub cursor: Option<String>,
}

fn scopes() -> impl TypedValueParser<Value = HoldScope> {
    PossibleValuesParser::new(HoldScope::ALL.iter().map(|scope| scope.as_str()))
        .try_map(|text| text.parse::<HoldScope>())
}

fn id(text: &str) -> Result<ExternalId, String> {
    ExternalId::parse(text.trim()).ok_or_else(|| "expected a number or a short text".to_owned())
}

impl PlaceArgs {
    fn wish(&self) -> Wish {
        let personal = |text: &Option<Secret>| text.as_ref().map(|text| Pii::new(text.expose().to_owned()));
        let subject = SubjectWish {
            customer_id: self.customer_id.clone(),
            email: personal(&self.email),
            phone: personal(&self.phone),
            order_ids: self.orders.clone(),
        };
        let names_somebody = self.customer_id.is_some() || self.email.is_some() || self.phone.is_some();
        Wish {
            scope: None,
            shop_domain: self.shop.clone(),
            table_name: self.table.clone(),
            subject: (names_somebody || !self.orders.is_empty()).then_some(subject),
            reason: self.reason.clone(),
            review_at: self.review,
        }
    }
}

pub async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    if let Action::Release { yes, .. } = &args.action {
        require_yes(*yes, "lets erasures go on that the hold forbids")?;
    }
    let config = context.config(Vec::new())?;
    let store = open_store(&config).await?;
    let clock = Clock::system();
    match &args.action {
        Action::List(list) => run_list(context, &store, &clock, list).await?,
        Action::Place(place) => {
            let holds = open_holds(&config, &store, &clock).await?;
            let hold = holds.place(OPERATOR, &place.wish()).await.map_err(|error| match error {
                HoldError::Wish(bad) => anyhow::Error::from(UsageError(bad.to_string())),
                error => error.into(),
            })?;
            show(context, &HoldView::of(hold, clock.now()))?;
        }
        Action::Release { id, .. } => {
            let holds = open_holds(&config, &store, &clock).await?;
            let wake = Wake::default();
            let released = legal_hold::release(&store, &clock, &wake, &holds, OPERATOR, id).await?;
            wake.announce_once(&store).await;
            let hold = HoldView::of(released.hold, clock.now());
            show(context, &ReleasedView { hold, jobs_queued: released.jobs_queued })?;
        }
    }
    Ok(Exit::Done)
}

async fn run_list(context: &Context, store: &Store, clock: &Clock, args: &ListArgs) -> anyhow::Result<()> {
    let cursor = args
        .cursor
        .as_deref()
        .map(|text| Cursor::parse(text).ok_or_else(|| UsageError("--cursor is not one of ours".to_owned())));
    let filter = Filter {
        shop_domain: args.shop.as_ref().map(|shop| shop.to_lowercase()),
        scope: args.scope,
        in_force: (!args.all).then_some(true),
        before: cursor.transpose()?.map(|cursor| cursor.id),
    };
    let (holds, more) = hold::page(store, &filter, args.limit).await?;
    let next_cursor = holds.last().filter(|_| more).map(|hold| Cursor { id: hold.id.clone() });
    let now = clock.now();
    let holds = holds.into_iter().map(|hold| HoldView::of(hold, now));
    if context.json() {
        output::json(&HoldPage { data: holds.collect(), next_cursor })?;
        return Ok(());
    }
    let rows = holds.map(|hold| {
        let (on, review) = (on(&hold), review(&hold));
        let day = |at: DateTime<Utc>| at.format("%Y-%m-%d").to_string();
        let status = hold.released_at.map_or("in force".to_owned(), |at| format!("released {}", day(at)));
        let shop = hold.shop_domain.unwrap_or_else(|| "(all)".to_owned());
        [hold.id, hold.scope.to_string(), shop, on, status, review, hold.placed_by, day(hold.placed_at), hold.reason]
    });
    output::table(["ID", "SCOPE", "SHOP", "ON", "STATUS", "REVIEW", "BY", "PLACED", "REASON"], rows)?;
    if let Some(cursor) = next_cursor {
        output::talk(&format!("more: --cursor {}", cursor.to_text()));
    }
    Ok(())
}

/// What the hold is on, without naming anybody.
fn on(hold: &HoldView) -> String {
    match (&hold.table_name, &hold.identifiers) {
        (Some(table), _) => table.clone(),
        (None, Some(kinds)) => {
            kinds.iter().map(|(kind, count)| format!("{kind}×{count}")).collect::<Vec<_>>().join(" ")
        }
        (None, None) => "-".to_owned(),
    }
}

fn review(hold: &HoldView) -> String {
    let overdue = if hold.review_overdue { " overdue" } else { "" };
    hold.review_at.map_or("-".to_owned(), |at| format!("{}{overdue}", at.format("%Y-%m-%d")))
}

/// One hold, field by field.
fn show(context: &Context, hold: &impl serde::Serialize) -> anyhow::Result<()> {
    if context.json() {
        return Ok(output::json(hold)?);
    }
    let serde_json::Value::Object(fields) = serde_json::to_value(hold)? else { return Ok(()) };
    let rows = fields.into_iter().map(|(name, value)| {
        let text = match value {
            serde_json::Value::Null => "-".to_owned(),
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        [name, text]
    });
    output::table(["FIELD", "VALUE"], rows)?;
    Ok(())
}
