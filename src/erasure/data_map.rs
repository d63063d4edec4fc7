//! Declares which tables hold personal data: parsed, checked against itself, and held against the live schema.
//!
//! A map that cannot be trusted cannot be used: a [`Draft`] gathers every problem of its text, of the configuration beside it
//! and of the live schema, each with the table and the column it concerns. `docs/data-map.md` describes the format.

mod bind;
mod draft;
mod raw;
mod reader;
pub mod retention;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use crate::seal::Pii;
use crate::store::target::{Ident, Kind, MaskedColumn, Reach, ShopTable, Way};

pub use draft::Draft;
pub use raw::RawDates as Dates;
pub use retention::{Period, Policy, Rule};

/// The map of the reference app, compiled in.
pub const REFERENCE: &str = include_str!("../../config/data-map.toml");

/// The store that is Efface's own database.
pub const DEFAULT_STORE: &str = "default";

/// Efface's own tables: a map may not touch them.
pub const OWN_TABLES: [&str; 19] = [
    "GDPRJob",
    "WebhookLog",
    "AuditLog",
    "AuditSpan",
    "AuditTree",
    "AuditTile",
    "AuditCheckpoint",
    "DeletionReceipt",
    "RetentionRun",
    "SchedulerLease",
    "LegalHold",
    "Suppression",
    "SuppressionKey",
    "SuppressionDigest",
    "ExportPackage",
    "ExportPart",
    "SealingKey",
    "efface_migrations",
    "efface_reference_migrations",
];

/// What a topic does to the rows it finds in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The rows are deleted.
    Delete,
    /// The rows stay, and the values that the table's masks name are replaced.
    Mask,
    /// The rows stay as they are.
    Keep,
}

/// What a table's shop column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShopReference {
    /// The id column of the shop table.
    ShopId,
    /// The shop's domain itself.
    ShopDomain,
    /// The platform's own number of the shop, as the webhook gives it.
    ShopNumber,
}

/// Which identifier of a subject a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    OrderId,
    CustomerId,
    Email,
    Phone,
}

impl By {
    /// Whether the identifier is kept in sealed payloads only.
    pub fn is_personal(self) -> bool {
        matches!(self, Self::Email | Self::Phone)
    }
}

/// In which form a column holds an identifier.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// As such.
    Plain,
    /// Lower-case hexadecimal of the normal form's SHA-256.
    Sha256,
    /// Lower-case hexadecimal of the normal form's HMAC-SHA256 under the match key of that name.
    Hmac(String),
}

/// One way from a table to a subject.
#[derive(Clone, Debug)]
pub struct SubjectWay {
    pub by: By,
    pub form: Form,
    pub way: Way,
}

/// A column that holds nothing personal, and why.
#[derive(Clone, Debug)]
pub struct Excluded {
    pub column: Ident,
    pub because: String,
}

/// A table that is not in the map on purpose, and why.
#[derive(Clone, Debug)]
pub struct LeftOut {
    pub name: String,
    pub because: String,
}

/// One table of the map.
#[derive(Clone, Debug)]
pub struct MappedTable {
    pub name: Ident,
    /// The way from the table's rows to their shop.
    pub reach: Reach,
    /// What the shop column holds.
    pub holds: ShopReference,
    /// The ways to a subject; a row is the subject's when any finds it.
    pub ways: Vec<SubjectWay>,
    pub customers_redact: Action,
    pub shop_redact: Action,
    /// What [`Action::Mask`] replaces.
    pub masks: Vec<MaskedColumn>,
    /// Why rows that a topic would find are kept.
    pub ground: Option<String>,
    /// The key of this table's counter in a job's result.
    pub result_key: String,
    /// The key of its counter of masked rows.
    pub mask_key: String,
    /// The key of its counter of rows that were kept.
    pub keep_key: String,
    /// The key of this table's counter in a `data_request`'s result.
    pub export_key: String,
    /// Columns that answer a `customers/data_request`; none: the table is not exported.
    pub export: Vec<Ident>,
    /// Columns that `data-map check` need not ask about.
    pub exclude: Vec<Excluded>,
    /// Its place among the tables, when the file gives one.
    pub order: Option<i64>,
    /// How its columns hold instants, when the file says so.
    pub dates: Option<Dates>,
    /// How long its rows are kept: a row goes as soon as one of these says so. None: nothing purges it.
    pub retention: Vec<Rule>,
    /// Its primary key, once it was held against the live schema.
    pub key: Vec<Ident>,
}

impl MappedTable {
    /// What is done to this table's rows: for a whole shop, or for a customer. Without a way to a customer, nothing.
    pub fn action(&self, whole_shop: bool) -> Action {
        if whole_shop {
            self.shop_redact
        } else if self.ways.is_empty() {
            Action::Keep
        } else {
            self.customers_redact
        }
    }

    /// The counter of what `action` does to this table's rows.
    pub fn counter(&self, action: Action) -> &str {
        match action {
            Action::Delete => &self.result_key,
            Action::Mask => &self.mask_key,
            Action::Keep => &self.keep_key,
        }
    }

    /// Whether rows that the topic finds here are kept on a ground, and so are counted.
    pub fn keeps_on_ground(&self, whole_shop: bool) -> bool {
        self.ground.is_some() && self.action(whole_shop) == Action::Keep && (whole_shop || !self.ways.is_empty())
    }
}

/// The shop table of a store, and what becomes of a shop's own row.
#[derive(Clone, Debug)]
pub struct MappedShop {
    pub table: ShopTable,
    /// What its id column holds.
    pub id_kind: Kind,
    /// The column with the shop's own choice of days.
    pub retention_days: Option<Ident>,
    /// The key of the shop row's counter in a job's result.
    pub result_key: String,
    /// Why the row stays after `shop/redact`; none: it is deleted.
    pub kept_because: Option<String>,
}

/// The part of the map that speaks of one database.
#[derive(Clone, Debug)]
pub struct StoreMap {
    pub name: String,
    pub shop: Option<MappedShop>,
    /// In the order in which they are worked.
    pub tables: Vec<MappedTable>,
    /// Tables that `data-map check` need not ask about.
    pub left_out: Vec<LeftOut>,
    /// A table, of any store, that goes with a shop and does not say when its rows were made: with one, no shop can be
    /// divided into before and after.
    pub undivided: Option<String>,
    keys: Arc<MatchKeys>,
}

/// Secrets of the app's own keyed hashes, by name.
#[derive(Debug, Default)]
pub struct MatchKeys(BTreeMap<String, Pii<Vec<u8>>>);

impl StoreMap {
    /// The secret of a keyed hash. A map is not built with one missing.
    pub(super) fn match_key(&self, name: &str) -> &[u8] {
        self.keys.0.get(name).map_or(&[], |key| key.expose().as_slice())
    }

    /// Tables to which a topic does something, in order.
    pub fn touched(&self, whole_shop: bool) -> impl Iterator<Item = &MappedTable> {
        self.tables.iter().filter(move |table| table.action(whole_shop) != Action::Keep)
    }

    /// Tables that answer a `customers/data_request`.
    pub fn exported(&self) -> impl Iterator<Item = &MappedTable> {
        self.tables.iter().filter(|table| !table.export.is_empty())
    }

    /// A table as people are told of it: with its store, where that is another one.
    pub fn told(&self, table: &Ident) -> String {
        match self.name.as_str() {
            DEFAULT_STORE => table.as_str().to_owned(),
            store => format!("{store}.{}", table.as_str()),
        }
    }

    /// The first table that goes with a shop and does not say when its rows were made.
    fn first_undivided(&self) -> Option<String> {
        self.touched(true).find(|table| table.reach.made.is_none()).map(|table| self.told(&table.name))
    }

    /// Whether a table is left out on purpose.
    pub fn leaves_out(&self, name: &str) -> bool {
        self.left_out.iter().any(|table| table.name == name)
    }

    /// Whether a shop's own row goes with the shop.
    pub fn deletes_shop_row(&self) -> Option<&MappedShop> {
        self.shop.as_ref().filter(|shop| shop.kept_because.is_none())
    }
}

/// A data map whose parts fit together. The first store is the default one.
#[derive(Clone, Debug)]
pub struct DataMap {
    pub stores: Vec<StoreMap>,
    /// SHA-256 of the file, in lower-case hexadecimal: names the map in plans and receipts.
    pub digest: String,
}

/// Everything that is wrong with a data map, at once.
#[derive(Debug)]
pub struct Problems(pub Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the data map has {} problem(s):", self.0.len())?;
        for problem in &self.0 {
            write!(f, "\n  - {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl DataMap {
    /// Parses a map from TOML.
    ///
    /// # Errors
    /// All [`Problems`] that show without a database.
    pub fn parse(toml: &str) -> Result<Self, Problems> {
        Draft::read(toml)?.whole()
    }

    /// The compiled-in map of the reference app.
    ///
    /// # Panics
    /// Never: a test parses the same text.
    pub fn reference() -> Self {
        #[expect(clippy::expect_used, reason = "a compiled-in constant, parsed by a test")]
        Self::parse(REFERENCE).expect("the compiled-in data map parses")
    }

    /// The part of Efface's own database.
    pub fn default_store(&self) -> &StoreMap {
        &self.stores[0]
    }

    /// All tables of all stores.
    pub fn tables(&self) -> impl Iterator<Item = &MappedTable> {
        self.stores.iter().flat_map(|store| &store.tables)
    }

    /// Whether any table is searched for an e-mail address or phone number, which only the sealed payload has.
    pub fn needs_personal_identifiers(&self) -> bool {
        self.tables().any(|table| table.ways.iter().any(|way| way.by.is_personal()))
    }
}

#[cfg(test)]
mod tests;
