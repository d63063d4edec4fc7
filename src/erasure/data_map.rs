//! Declares which tables hold personal data: parsed, checked against itself, and held against the live schema.
//!
//! A map that cannot be trusted cannot be built: [`DataMap::parse`] and [`DataMap::check`] report every problem at
//! once, each with the table and the column it concerns.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;

use crate::store::target::{CatalogColumn, Ident, Match, ShopTable};

/// The map of the reference app, compiled in.
pub const REFERENCE: &str = include_str!("../../config/data-map.toml");

/// Efface's own tables: a map may not touch them.
const OWN_TABLES: [&str; 12] = [
    "GDPRJob",
    "WebhookLog",
    "AuditLog",
    "DeletionReceipt",
    "RetentionRun",
    "LegalHold",
    "Suppression",
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
    /// The rows are not reached.
    Keep,
}

/// What a table's shop column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShopReference {
    /// The id column of the shop table.
    ShopId,
    /// The shop's domain itself.
    ShopDomain,
}

/// One table of the map.
#[derive(Clone, Debug)]
pub struct MappedTable {
    pub name: Ident,
    pub shop: Ident,
    pub holds: ShopReference,
    /// The column that holds the order, when customers can be found in this table.
    pub order: Option<Ident>,
    pub customers_redact: Action,
    pub shop_redact: Action,
    /// The key of this table's counter in a job's result.
    pub result_key: String,
    /// The key of this table's counter in a `data_request`'s result.
    pub export_key: String,
    /// Columns that answer a `customers/data_request`; none: the table is not exported.
    pub export: Vec<Ident>,
}

impl MappedTable {
    /// This table's way to a subject, if it has one.
    pub fn subject_match(&self) -> Option<Match<'_>> {
        self.order.as_ref().map(|value| Match { table: &self.name, shop: &self.shop, value })
    }
}

/// A data map whose parts fit together.
#[derive(Clone, Debug)]
pub struct DataMap {
    pub shop: ShopTable,
    pub shop_result_key: String,
    pub tables: Vec<MappedTable>,
}

/// Everything that is wrong with a data map, at once.
#[derive(Debug)]
pub struct Problems(pub Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the data map has {} problem(s):", self.0.len())?;
        for problem in &self.0 {
            writeln!(f, "  - {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMap {
    version: u32,
    shop: RawShop,
    #[serde(default)]
    table: Vec<RawTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawShop {
    table: String,
    id: String,
    domain: String,
    active: Option<String>,
    installed_at: Option<String>,
    uninstalled_at: Option<String>,
    result_key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    name: String,
    shop: Option<RawShopColumn>,
    #[serde(rename = "match")]
    subject: Option<RawMatch>,
    customers_redact: Action,
    shop_redact: Action,
    result_key: String,
    export_key: Option<String>,
    #[serde(default)]
    export: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawShopColumn {
    column: String,
    holds: ShopReference,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMatch {
    column: String,
    by: RawBy,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawBy {
    OrderId,
}

impl DataMap {
    /// Parses a map from TOML.
    ///
    /// # Errors
    /// All [`Problems`] that show without a database.
    pub fn parse(toml: &str) -> Result<Self, Problems> {
        let raw: RawMap = toml::from_str(toml).map_err(|e| Problems(vec![e.to_string().trim().to_owned()]))?;
        let mut found = Finder::default();
        if raw.version != 1 {
            found.problem(format!("version: {} is not known; this build reads version 1", raw.version));
        }
        let shop = found.shop(&raw.shop);
        let tables: Vec<Option<MappedTable>> = raw.table.into_iter().map(|table| found.table(table)).collect();
        let mut names = BTreeSet::new();
        let mut keys: BTreeMap<String, String> = BTreeMap::new();
        keys.insert(raw.shop.result_key.clone(), raw.shop.table.clone());
        for table in tables.iter().flatten() {
            let name = table.name.as_str();
            if !names.insert(name.to_owned()) || name == raw.shop.table {
                found.problem(format!("table \"{name}\": is listed twice"));
            }
            if let Some(other) = keys.insert(table.result_key.clone(), name.to_owned()) {
                found.problem(format!("table \"{name}\": result_key {} is also that of \"{other}\"", table.result_key));
            }
        }
        match shop {
            Some(shop) if found.problems.is_empty() => {
                Ok(Self { shop, shop_result_key: raw.shop.result_key, tables: tables.into_iter().flatten().collect() })
            }
            _ => Err(Problems(found.problems)),
        }
    }

    /// The compiled-in map of the reference app.
    ///
    /// # Panics
    /// Never: a test parses the same text.
    pub fn reference() -> Self {
        #[expect(clippy::expect_used, reason = "a compiled-in constant, parsed by a test")]
        Self::parse(REFERENCE).expect("the compiled-in data map parses")
    }

    /// Holds the map against the tables and columns that exist.
    ///
    /// # Errors
    /// All [`Problems`]: every table and column that is missing.
    pub fn check(&self, catalog: &[CatalogColumn]) -> Result<(), Problems> {
        let mut live: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for column in catalog {
            live.entry(&column.table).or_default().insert(&column.column);
        }
        let shop = &self.shop;
        let shop_columns = [Some(&shop.id), Some(&shop.domain), shop.active.as_ref(), shop.installed_at.as_ref()];
        let mut wanted: Vec<(&Ident, Vec<&Ident>)> =
            vec![(&shop.table, shop_columns.into_iter().chain([shop.uninstalled_at.as_ref()]).flatten().collect())];
        for table in &self.tables {
            let columns = std::iter::once(&table.shop).chain(&table.order).chain(&table.export);
            wanted.push((&table.name, columns.collect()));
        }
        let mut problems = Vec::new();
        for (table, columns) in wanted {
            let Some(existing) = live.get(table.as_str()) else {
                problems.push(format!("table {table}: the database has no such table"));
                continue;
            };
            let missing = columns.into_iter().filter(|column| !existing.contains(column.as_str()));
            problems.extend(missing.map(|column| format!("table {table}: the database has no column {column}")));
        }
        if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
    }

    /// Tables in which a customer's rows are deleted, with their way to the customer.
    pub fn customer_tables(&self) -> impl Iterator<Item = (&MappedTable, Match<'_>)> {
        self.tables
            .iter()
            .filter(|table| table.customers_redact == Action::Delete)
            .filter_map(|table| table.subject_match().map(|way| (table, way)))
    }

    /// Tables whose rows go with the shop, in order; the shop's own table is not among them.
    pub fn shop_tables(&self) -> impl Iterator<Item = &MappedTable> {
        self.tables.iter().filter(|table| table.shop_redact == Action::Delete)
    }

    /// Tables that answer a `customers/data_request`.
    pub fn export_tables(&self) -> impl Iterator<Item = (&MappedTable, Match<'_>)> {
        self.tables
            .iter()
            .filter(|table| !table.export.is_empty())
            .filter_map(|table| table.subject_match().map(|way| (table, way)))
    }
}

#[derive(Default)]
struct Finder {
    problems: Vec<String>,
}

impl Finder {
    fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    fn ident(&mut self, place: &str, name: &str) -> Option<Ident> {
        let ident = Ident::parse(name);
        if ident.is_none() {
            self.problem(format!(
                "{place}: {name:?} is not a plain name (letters, digits and underscores, at most 63)"
            ));
        }
        ident
    }

    fn table_name(&mut self, place: &str, name: &str) -> Option<Ident> {
        if OWN_TABLES.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            self.problem(format!("{place}: \"{name}\" is one of Efface's own tables; a data map may not touch it"));
            return None;
        }
        self.ident(place, name)
    }

    fn optional(&mut self, place: &str, name: Option<&str>) -> Option<Ident> {
        name.and_then(|name| self.ident(place, name))
    }

    fn shop(&mut self, raw: &RawShop) -> Option<ShopTable> {
        let table = self.table_name("shop.table", &raw.table);
        let id = self.ident("shop.id", &raw.id);
        let domain = self.ident("shop.domain", &raw.domain);
        let active = self.optional("shop.active", raw.active.as_deref());
        let installed_at = self.optional("shop.installed_at", raw.installed_at.as_deref());
        let uninstalled_at = self.optional("shop.uninstalled_at", raw.uninstalled_at.as_deref());
        self.result_key("shop.result_key", &raw.result_key);
        Some(ShopTable { table: table?, id: id?, domain: domain?, active, installed_at, uninstalled_at })
    }

    fn table(&mut self, raw: RawTable) -> Option<MappedTable> {
        let place = format!("table \"{}\"", raw.name);
        let name = self.table_name(&place, &raw.name);
        self.result_key(&format!("{place}.result_key"), &raw.result_key);
        if raw.shop.is_none() {
            self.problem(format!("{place}: lacks `shop`: the column that says which shop a row belongs to"));
        }
        let shop = raw.shop.as_ref().and_then(|shop| self.ident(&format!("{place}.shop"), &shop.column));
        let order = raw.subject.as_ref().and_then(|subject| {
            let RawBy::OrderId = subject.by;
            self.ident(&format!("{place}.match"), &subject.column)
        });
        if raw.subject.is_none() && raw.customers_redact == Action::Delete {
            self.problem(format!("{place}: deletes for customers/redact, but has no `match` to find a customer by"));
        }
        if raw.subject.is_none() && !raw.export.is_empty() {
            self.problem(format!("{place}: exports, but has no `match` to find a customer by"));
        }
        let place_export = format!("{place}.export");
        let export: Vec<_> = raw.export.iter().filter_map(|column| self.ident(&place_export, column)).collect();
        let export_key = raw.export_key.unwrap_or_else(|| {
            format!("exported{}", raw.result_key.strip_prefix("deleted").unwrap_or(&raw.result_key))
        });
        Some(MappedTable {
            name: name?,
            shop: shop?,
            holds: raw.shop?.holds,
            order,
            customers_redact: raw.customers_redact,
            shop_redact: raw.shop_redact,
            result_key: raw.result_key,
            export_key,
            export,
        })
    }

    fn result_key(&mut self, place: &str, key: &str) {
        if key.is_empty() || matches!(key, "residual" | "completedAt") {
            self.problem(format!("{place}: {key:?} cannot be a result key"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiled_in_map_parses_and_names_the_contracts_result_keys() {
        let map = DataMap::reference();
        let keys: Vec<&str> = map.customer_tables().map(|(table, _)| table.result_key.as_str()).collect();
        assert_eq!(
            keys,
            ["deletedConversionLogs", "deletedConversionJobs", "deletedPixelReceipts", "deletedSurveyResponses"]
        );
        assert_eq!(map.shop_tables().count(), 5);
        assert_eq!(map.shop_result_key, "deletedShops");
    }

    #[test]
    fn all_problems_of_a_map_are_told_at_once() {
        let map = r#"
            version = 1
            [shop]
            table = "Shop"
            id = "i d"
            domain = "shopDomain"
            result_key = "deletedShops"
            [[table]]
            name = "gdprjob"
            shop = { column = "shopId", holds = "shop_id" }
            customers_redact = "keep"
            shop_redact = "delete"
            result_key = "deletedJobs"
            [[table]]
            name = "Orders"
            customers_redact = "delete"
            shop_redact = "delete"
            result_key = "deletedShops"
        "#;
        let problems = DataMap::parse(map).unwrap_err().to_string();
        for expected in [
            "shop.id",
            "\"gdprjob\" is one of Efface's own tables",
            "table \"Orders\": lacks `shop`",
            "table \"Orders\": deletes for customers/redact, but has no `match`",
        ] {
            assert!(problems.contains(expected), "{expected} is missing in:\n{problems}");
        }
    }

    #[test]
    fn a_map_is_held_against_the_live_schema() {
        let column = |table: &str, column: &str| CatalogColumn {
            table: table.into(),
            column: column.into(),
            data_type: "text".into(),
        };
        let catalog = [column("Shop", "id"), column("ConversionLog", "shopId")];
        let problems = DataMap::reference().check(&catalog).unwrap_err().to_string();
        assert!(problems.contains("table \"Shop\": the database has no column \"shopDomain\""));
        assert!(problems.contains("table \"ConversionLog\": the database has no column \"orderId\""));
        assert!(problems.contains("table \"SurveyResponse\": the database has no such table"));
    }
}
