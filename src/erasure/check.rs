//! Holds a data map against the live schema: what it misses, what would fail, and what would hide rows.
//!
//! Pure: it sees the map and a [`Catalog`], and no database. Every column of a mapped table must be accounted for, so that
//! a column which somebody adds later is a finding, and not a hole.

mod coverage;
mod hazards;
mod indexes;
mod relations;
mod shape;

use std::fmt;

use serde::Serialize;

use super::data_map::{Action, DataMap, MappedTable, StoreMap};
use crate::store::catalog::{Catalog, Column, IndexKey, OnDelete, Table};

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Works, and could go wrong.
    Warning,
    /// Something is not erased, or an erasure would fail.
    Error,
}

impl Severity {
    /// All, the heaviest first.
    pub const ALL: [Self; 3] = [Self::Error, Self::Warning, Self::Info];

    /// As it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// From which weight on findings make a command fail and keep `serve` from starting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailOn {
    #[default]
    Error,
    Warning,
    Info,
    Never,
}

impl FailOn {
    /// Its names, for options and messages.
    pub const NAMES: [&'static str; 4] = ["error", "warning", "info", "never"];

    /// Reads one of [`FailOn::NAMES`].
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "error" => Some(Self::Error),
            "warning" => Some(Self::Warning),
            "info" => Some(Self::Info),
            "never" => Some(Self::Never),
            _ => None,
        }
    }

    /// Whether a finding of this weight fails.
    pub fn fails(self, severity: Severity) -> bool {
        match self {
            Self::Error => severity >= Severity::Error,
            Self::Warning => severity >= Severity::Warning,
            Self::Info => true,
            Self::Never => false,
        }
    }
}

macro_rules! ids {
    ($($(#[doc = $doc:literal])* $name:ident => $text:literal,)+) => {
        /// What kind of thing was found. The names are fixed: scripts may rely on them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Id {
            $($(#[doc = $doc])* $name,)+
        }

        impl Id {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its name, `missing_table`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

ids! {
    /// The database has no such table.
    MissingTable => "missing_table",
    /// The table exists in a schema that its bare name does not reach.
    TableElsewhere => "table_elsewhere",
    /// The name is that of something that rows cannot be deleted from as they must be.
    NotATable => "not_a_table",
    /// The table has no such column.
    MissingColumn => "missing_column",
    /// A column can hold something personal, and nothing is done about it.
    UncoveredColumn => "uncovered_column",
    /// A column looks like a way to a customer, and is none in the map.
    UnmatchedColumn => "unmatched_column",
    /// A table looks as if it belonged into the map.
    UnmappedTable => "unmapped_table",
    /// Rows are kept, and no ground says why.
    NoGround => "no_ground",
    /// A column cannot be searched for what the map says it holds.
    WrongType => "wrong_type",
    /// A statement would read the whole table.
    MissingIndex => "missing_index",
    /// A column that may not be null is to be removed.
    MaskNotNull => "mask_not_null",
    /// A column that must be unique is to get the same value everywhere.
    MaskUnique => "mask_unique",
    /// A column cannot hold what the mask writes.
    MaskType => "mask_type",
    /// A column that rows are found through is to be masked.
    MaskReference => "mask_reference",
    /// Only some paths of a JSON column are masked.
    PartlyMasked => "partly_masked",
    /// Deleting a row deletes rows of another table with it, uncounted.
    Cascade => "cascade",
    /// Deleting a row cuts rows of another table off from it.
    SetNull => "set_null",
    /// A hop can lead nowhere: such a row is not found at all.
    NullableHop => "nullable_hop",
    /// Deleting a row is refused while rows of another table refer to it.
    RefusedDelete => "refused_delete",
    /// Tables refer to each other in a circle.
    ForeignKeyCycle => "foreign_key_cycle",
    /// A table's rows refer to rows of the same table.
    SelfReference => "self_reference",
    /// A trigger writes to another table.
    TriggerCopies => "trigger_copies",
    /// A trigger can end a DELETE without deleting.
    TriggerKeepsRows => "trigger_keeps_rows",
    /// A materialised view or a full-text index keeps a copy.
    ViewCopies => "view_copies",
    /// The rows lie in several tables, or the table is a part of another.
    Partitioned => "partitioned",
    /// The rows lie in another database.
    ForeignTable => "foreign_table",
    /// Row-level security can hide rows.
    RowSecurity => "row_security",
    /// The database user lacks a right that the map asks for.
    MissingPrivilege => "missing_privilege",
    /// A shop that came back cannot be divided: a table does not say when its rows were made.
    NoMadeAt => "no_made_at",
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub id: Id,
    pub severity: Severity,
    pub store: String,
    pub table: String,
    pub column: Option<String>,
    /// What is the matter, in one sentence.
    pub sentence: String,
    /// What to do about it: a line for the map, or a statement.
    pub remedy: Option<String>,
}

/// Gathers the findings of one store.
struct Finder<'a> {
    map: &'a StoreMap,
    catalog: &'a Catalog,
    found: Vec<Finding>,
    /// Indexes proposed so far, with their tables: they serve as those that are there.
    proposed: Vec<(String, Vec<IndexKey>)>,
}

/// What a finding is about.
#[derive(Clone, Copy)]
struct Place<'a> {
    table: &'a str,
    column: Option<&'a str>,
}

fn at(table: &str) -> Place<'_> {
    Place { table, column: None }
}

fn column_at<'a>(table: &'a str, column: &'a str) -> Place<'a> {
    Place { table, column: Some(column) }
}

impl Finder<'_> {
    fn say(
        &mut self,
        id: Id,
        severity: Severity,
        place: Place<'_>,
        sentence: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let remedy = remedy.into();
        self.found.push(Finding {
            id,
            severity,
            store: self.map.name.clone(),
            table: place.table.to_owned(),
            column: place.column.map(str::to_owned),
            sentence: sentence.into(),
            remedy: (!remedy.is_empty()).then_some(remedy),
        });
    }
}

/// The topics, and whether each is about a whole shop.
const TOPICS: [(bool, &str); 2] = [(false, "customers/redact"), (true, "shop/redact")];

/// Everything that is found about one store's part of a map: by table, the heaviest first.
pub fn findings(map: &StoreMap, catalog: &Catalog) -> Vec<Finding> {
    let mut finder = Finder { map, catalog, found: Vec::new(), proposed: Vec::new() };
    finder.shop_table();
    for table in &map.tables {
        let Some(live) = finder.exists(table.name.as_str()) else { continue };
        finder.columns(table, live);
        finder.masks(table, live);
        finder.coverage(table, live);
        finder.indexes(table);
        finder.hazards(table.name.as_str(), live);
        finder.rights(table, live);
    }
    finder.relations();
    finder.cycles();
    finder.copies();
    finder.unmapped();
    let mut found = finder.found;
    found.sort_by(|a, b| {
        let key = |finding: &Finding| (finding.table.clone(), std::cmp::Reverse(finding.severity), finding.id);
        key(a).cmp(&key(b)).then_with(|| a.column.cmp(&b.column)).then_with(|| a.sentence.cmp(&b.sentence))
    });
    found.dedup();
    found
}

/// What keeps `jobs.reinstalled = "erase_before_uninstall"` from being carried out: tables that go with a shop and do not say
/// when their rows were made, and cascades that would take later rows with earlier ones. Only worth asking under that policy.
pub fn undivided(map: &StoreMap, catalog: &Catalog) -> Vec<Finding> {
    let mut finder = Finder { map, catalog, found: Vec::new(), proposed: Vec::new() };
    for table in map.touched(true) {
        let name = table.name.as_str();
        let Some(made) = &table.reach.made else {
            let sentence = "does not say when its rows were made: shops that came back would be held";
            let remedy = "made_at = \"…\": the column that says it, or { column = \"…\", at = \"…\" } of a parent";
            finder.say(Id::NoMadeAt, Severity::Error, at(name), sentence, remedy);
            continue;
        };
        let keys = catalog.table(name).map(|live| live.foreign_keys.as_slice()).unwrap_or_default();
        for key in keys.iter().filter(|key| made.column.at == 0 && key.on_delete == OnDelete::Cascade) {
            if map.touched(true).any(|parent| parent.name.as_str() == key.table) {
                let sentence = format!("a row made later would vanish with a row of \"{}\" made before", key.table);
                let remedy = format!("take made_at from \"{}\", over `via`", key.table);
                finder.say(Id::Cascade, Severity::Warning, at(name), sentence, remedy);
            }
        }
    }
    finder.found
}

/// The part of the map that speaks of a store.
pub fn part<'a>(map: &'a DataMap, store: &str) -> Option<&'a StoreMap> {
    map.stores.iter().find(|part| part.name == store)
}

/// Whether a table's rows go for any topic.
fn deletes(table: &MappedTable) -> bool {
    TOPICS.iter().any(|(shop, _)| table.action(*shop) == Action::Delete)
}

/// The table in the map.
fn mapped<'a>(map: &'a StoreMap, name: &str) -> Option<&'a MappedTable> {
    map.tables.iter().find(|table| table.name.as_str() == name)
}

/// Whether this is the shops' own table.
fn is_shop_table(map: &StoreMap, name: &str) -> bool {
    map.shop.as_ref().is_some_and(|shop| shop.table.table.as_str() == name)
}

/// Whether the map says that a column holds nothing personal.
fn is_excluded(table: &MappedTable, column: &Column) -> bool {
    table.exclude.iter().any(|excluded| excluded.column.as_str() == column.name)
}

/// Whether a column only ties rows together: part of the key, or of the way to the shop or to another table.
fn is_structural(table: &MappedTable, live: &Table, column: &Column) -> bool {
    let shop = (table.reach.shop.at == 0).then_some(table.reach.shop.name.as_str());
    let hop = table.reach.hops.first().map(|hop| hop.column.as_str());
    super::introspect::is_structural(live, column, shop == Some(&column.name) || hop == Some(&column.name))
}
