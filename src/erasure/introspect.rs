//! Proposes a data map from the live schema: every guess with its reason and how much it is worth.
//!
//! Pure: it sees a [`Catalog`] and the forms of some values, and no database. What cannot be told is never left out in
//! silence: it stands in [`Proposal::undecided`], or under `decide` of its table, and in the text as a comment to be
//! decided by a person.

mod dates;
mod shop;
mod table;
mod text;
mod way;
pub mod words;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::store::catalog::sample::Samples;
use crate::store::catalog::{Catalog, Column, Family, Table, TableKind};
use words::{Confidence, Key, Written};

pub use dates::Dates;
pub(super) use table::is_staff;

/// Why something was guessed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Why {
    pub confidence: Confidence,
    pub reason: String,
}

impl Why {
    fn new(confidence: Confidence, reason: impl Into<String>) -> Self {
        Self { confidence, reason: reason.into() }
    }
}

/// The table of shops.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShopGuess {
    pub table: String,
    pub id: String,
    pub domain: String,
    /// The column with the platform's own number of the shop.
    pub number: Option<String>,
    pub active: Option<String>,
    pub installed_at: Option<String>,
    pub uninstalled_at: Option<String>,
    pub result_key: String,
    pub why: Why,
}

/// One hop from a row to its parent's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HopGuess {
    /// Column of the table before: the mapped one, or the previous hop's.
    pub column: String,
    pub to: String,
    pub key: String,
    /// Rows without a parent: neither their shop nor their customer can be told.
    pub nullable: bool,
    /// No foreign key says so, only the column's name.
    pub by_name: bool,
}

/// What a table's shop column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    ShopId,
    ShopDomain,
    ShopNumber,
}

impl Holds {
    fn as_str(self) -> &'static str {
        match self {
            Self::ShopId => "shop_id",
            Self::ShopDomain => "shop_domain",
            Self::ShopNumber => "shop_number",
        }
    }
}

/// How a row's shop is found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShopWay {
    pub column: String,
    pub holds: Holds,
    /// The table of the hops that has the column; none: the table itself.
    pub at: Option<String>,
    pub why: Why,
}

/// How a customer's rows are found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MatchGuess {
    pub column: String,
    pub by: Key,
    pub written: Written,
    /// The path within a JSON document.
    pub json: Option<String>,
    pub array: bool,
    pub at: Option<String>,
    pub why: Why,
}

/// A column, and what is said about it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Remark {
    pub column: String,
    pub remark: String,
}

/// One mapped table.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TableGuess {
    pub name: String,
    pub rows: Option<u64>,
    pub via: Vec<HopGuess>,
    /// None: the shop cannot be told, and the table cannot be mapped as it is.
    pub shop: Option<ShopWay>,
    #[serde(rename = "match")]
    pub matches: Vec<MatchGuess>,
    pub result_key: String,
    pub export: Vec<String>,
    /// Columns that hold something personal, by name and type: to be masked where rows must stay.
    pub personal: Vec<Remark>,
    /// Text columns that hold nothing personal, each with the reason; only where rows stay for a topic.
    pub exclude: Vec<Remark>,
    /// What a person must decide.
    pub decide: Vec<Remark>,
    pub dates: Vec<Dates>,
}

impl TableGuess {
    /// What `customers/redact` is proposed to do.
    pub fn customers_redact(&self) -> &'static str {
        if self.matches.is_empty() { "keep" } else { "delete" }
    }
}

/// A table that is not mapped, and why.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    pub table: String,
    pub because: String,
    /// What is known of it, when it can be mapped once somebody has decided.
    pub sketch: Option<TableGuess>,
}

/// A data map as it could be.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proposal {
    pub store: String,
    pub shop: Option<ShopGuess>,
    /// Children before their parents.
    pub tables: Vec<TableGuess>,
    /// Tables that a person must decide about.
    pub undecided: Vec<LeftOut>,
    /// Tables that hold nothing personal, as far as names and types tell.
    pub left_out: Vec<LeftOut>,
}

impl Proposal {
    /// The map as a file, with every reason as a comment.
    pub fn to_toml(&self) -> String {
        text::write(self)
    }

    /// How many things wait for a decision.
    pub fn open(&self) -> usize {
        self.undecided.len() + self.tables.iter().map(|table| table.decide.len()).sum::<usize>()
    }
}

/// Whether a column only ties rows together: part of the key, of a foreign key, or `tied` to the shop or to another
/// table. A key that leads to a customer by itself does more than that.
pub(super) fn is_structural(table: &Table, column: &Column, tied: bool) -> bool {
    let lead = words::lead(&table.name, column);
    let reaches = lead.as_ref().is_some_and(|lead| matches!(lead.key, Key::Email | Key::Phone));
    let refers = tied || table.foreign_keys.iter().any(|key| key.columns.contains(&column.name));
    refers && !reaches || table.primary_key.contains(&column.name) && lead.is_none()
}

/// Whether a column is named after a shop's domain or key, and could hold it.
pub(super) fn looks_like_shop(column: &Column, shop_table: Option<&str>) -> bool {
    let domain = column.family == Family::Text
        && (words::shop_domain(&column.name) == Some(false) || matches!(column.name.as_str(), "shop" | "shop_url"));
    let key = matches!(column.family, Family::Text | Family::Integer | Family::Numeric | Family::Uuid);
    domain || key && words::shop_id(&column.name, shop_table)
}

/// Proposes a map of one store. Without samples, names and types alone are looked at.
pub fn propose(store: &str, catalog: &Catalog, samples: &Samples) -> Proposal {
    let shop = shop::find(catalog, samples);
    let mut proposal = Proposal {
        store: store.to_owned(),
        shop: shop.clone(),
        tables: Vec::new(),
        undecided: Vec::new(),
        left_out: Vec::new(),
    };
    for table in catalog.tables.iter().filter(|table| !table.own) {
        if shop.as_ref().is_none_or(|shop| shop.table != table.name) {
            place(&mut proposal, catalog, samples, shop.as_ref(), table);
        }
    }
    children_first(&mut proposal.tables, catalog);
    distinct_keys(&mut proposal);
    proposal
}

/// Puts a table where it belongs: mapped, undecided, or left out.
fn place(proposal: &mut Proposal, catalog: &Catalog, samples: &Samples, shop: Option<&ShopGuess>, table: &Table) {
    let out = |because: &str| LeftOut { table: table.name.clone(), because: because.to_owned(), sketch: None };
    match table.kind {
        TableKind::Partition => return proposal.left_out.push(out("a partition: its rows are those of its parent")),
        TableKind::Shadow => return proposal.left_out.push(out("belongs to a virtual table")),
        TableKind::View => return proposal.left_out.push(out("a view: it holds no rows of its own")),
        TableKind::MaterializedView => {
            return proposal.undecided.push(out("a materialised view: it keeps a copy until it is refreshed"));
        }
        TableKind::Virtual => {
            return proposal.undecided.push(out("a virtual table, such as a full-text index: it may hold a copy"));
        }
        TableKind::Table | TableKind::Partitioned | TableKind::Foreign => {}
    }
    if let Some(purpose) = words::framework(&table.name) {
        return proposal.left_out.push(out(purpose));
    }
    if crate::store::target::Ident::parse(&table.name).is_none() {
        return proposal.undecided.push(out("its name is not a plain one: a data map cannot name it"));
    }
    let guess = table::guess(catalog, samples, shop, table);
    if guess.shop.is_some() {
        proposal.tables.push(guess);
        return;
    }
    if let Some(lead) = guess.matches.first() {
        let because = format!("\"{}\" leads to a customer, and nothing tells which shop a row belongs to", lead.column);
        proposal.undecided.push(LeftOut { because, sketch: Some(guess), ..out("") });
        return;
    }
    if let Some((of_type, id)) = polymorphic(table) {
        let because = format!("\"{of_type}\" and \"{id}\" refer to rows of any table, those of customers too");
        return proposal.undecided.push(LeftOut { because, ..out("") });
    }
    let doubts: Vec<&str> = guess.decide.iter().chain(&guess.personal).map(|remark| remark.column.as_str()).collect();
    if doubts.is_empty() {
        let because = "neither a shop nor a customer is named, and no column looks personal";
        proposal.left_out.push(out(because));
    } else {
        let columns: BTreeSet<&str> = doubts.into_iter().collect();
        let columns: Vec<&str> = columns.into_iter().collect();
        let because =
            format!("neither a shop nor a customer is named, yet these could hold something: {}", columns.join(", "));
        proposal.undecided.push(LeftOut { because, ..out("") });
    }
}

/// A pair of columns such as `record_type` and `record_id`: the reference of an ORM that no foreign key can say.
fn polymorphic(table: &Table) -> Option<(&str, &str)> {
    let texts = table.columns.iter().filter(|column| column.family == Family::Text);
    let mut pairs = texts.filter_map(|of_type| {
        let mut words = words::words(&of_type.name);
        let [_, .., last] = words.as_mut_slice() else { return None };
        if last != "type" {
            return None;
        }
        "id".clone_into(last);
        let id = table.columns.iter().find(|column| words::words(&column.name) == words)?;
        Some((of_type.name.as_str(), id.name.as_str()))
    });
    pairs.next()
}

/// Orders tables so that each stands before those it refers to; names decide where nothing else does.
fn children_first(tables: &mut Vec<TableGuess>, catalog: &Catalog) {
    let mut waiting = std::mem::take(tables);
    while !waiting.is_empty() {
        let is_parent = |name: &str, of: &TableGuess| {
            of.name != name
                && (of.via.iter().any(|hop| hop.to == name)
                    || catalog.table(&of.name).is_some_and(|t| t.foreign_keys.iter().any(|key| key.table == name)))
        };
        let free = waiting.iter().position(|table| !waiting.iter().any(|other| is_parent(&table.name, other)));
        // In a cycle nobody is free: the first by name goes on, and `check` tells of the cycle.
        tables.push(waiting.remove(free.unwrap_or(0)));
    }
}

/// Two tables may not share a result key: later ones get a number.
fn distinct_keys(proposal: &mut Proposal) {
    let mut taken: BTreeSet<String> = proposal.shop.iter().map(|shop| shop.result_key.clone()).collect();
    for table in &mut proposal.tables {
        let (plain, mut n) = (table.result_key.clone(), 2);
        while !taken.insert(table.result_key.clone()) {
            table.result_key = format!("{plain}{n}");
            n += 1;
        }
    }
}
