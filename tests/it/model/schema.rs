//! What a case is made of: databases with tables and rows, the data map over them, and the jobs to do.
//!
//! Plain values, known neither to the generator's dice nor to the code under test. Tables and columns are named by
//! their place; what was taken out of a case to make it smaller stays in its place and is marked `gone`.

use serde_json::Value as Json;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

#[derive(Clone, Debug)]
pub struct Case {
    pub seed: u64,
    /// The first is the default store.
    pub stores: Vec<StoreSpec>,
    pub tables: Vec<Table>,
    /// Places of the mapped tables in the order of the map's file.
    pub file_order: Vec<usize>,
    pub jobs: Vec<Job>,
    /// All jobs are posted before any is worked. They are of different shops then.
    pub together: bool,
    /// Whole shops are taken in steps of a few rows.
    pub small_steps: bool,
}

#[derive(Clone, Debug)]
pub struct StoreSpec {
    pub name: &'static str,
    pub dialect: Dialect,
    pub shops: Option<Shops>,
}

/// A store's table of shops: places of the table and of its columns.
#[derive(Clone, Debug)]
pub struct Shops {
    pub table: usize,
    pub id: usize,
    pub domain: usize,
    pub number: Option<usize>,
    /// Active, installed at, uninstalled at.
    pub life: Option<[usize; 3]>,
    pub keep_row: bool,
}

#[derive(Clone, Debug)]
pub struct Table {
    pub store: usize,
    pub name: String,
    pub columns: Vec<Column>,
    /// The primary key; none: the table has no key.
    pub key: Vec<usize>,
    /// A column that no two rows share, for other tables to refer to.
    pub unique: Option<usize>,
    pub foreign: Vec<Foreign>,
    /// PostgreSQL: by hash of the primary key, in two parts.
    pub partitioned: bool,
    pub rows: Vec<Row>,
    /// None: a table that the map does not know.
    pub map: Option<Mapped>,
    pub gone: bool,
}

#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
    /// The type as SQL declares it.
    pub declared: &'static str,
    pub not_null: bool,
    pub gone: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Int,
    Text,
    Json,
    Ints,
    Texts,
    Bytes,
    Bool,
    Moment,
}

/// A foreign key that the database enforces.
#[derive(Clone, Debug)]
pub struct Foreign {
    pub column: usize,
    pub to: usize,
    pub key: usize,
    pub on_delete: &'static str,
}

#[derive(Clone, Debug)]
pub struct Row {
    /// The test's own number of the row, in a column that the map does not name.
    pub no: i64,
    pub cells: Vec<Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Int(i64),
    Text(String),
    Json(Json),
    Ints(Vec<Option<i64>>),
    Texts(Vec<Option<String>>),
    Bytes(Vec<u8>),
    Bool(bool),
    /// Hashed or encrypted by a mask: what it reads as is not for the model to know.
    Masked(With),
}

#[derive(Clone, Debug)]
pub struct Mapped {
    pub via: Vec<Hop>,
    pub shop: ShopWay,
    pub ways: Vec<Way>,
    pub customers: Action,
    pub whole: Action,
    pub masks: Vec<Mask>,
    pub order: Option<i64>,
    pub export: Vec<usize>,
    pub excluded: Vec<usize>,
    /// What follows `deleted`, `masked`, `kept` or `exported` in a result.
    pub key: String,
}

#[derive(Clone, Debug)]
pub struct Hop {
    pub column: usize,
    pub to: usize,
    pub key: usize,
}

#[derive(Clone, Debug)]
pub struct ShopWay {
    pub column: usize,
    pub holds: Holds,
    /// 0: the table itself; otherwise the table that so many hops lead to.
    pub at: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    Id,
    Domain,
    Number,
}

#[derive(Clone, Debug)]
pub struct Way {
    pub column: usize,
    pub at: usize,
    pub by: By,
    pub form: Form,
    pub path: Option<Path>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Order,
    Customer,
    Email,
    Phone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Plain,
    Sha256,
    HmacSha256,
}

/// A path into JSON; [`EACH`] walks an array.
pub type Path = &'static [&'static str];

pub const EACH: &str = "[*]";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Delete,
    Mask,
    Keep,
}

#[derive(Clone, Debug)]
pub struct Mask {
    pub column: usize,
    pub path: Option<Path>,
    pub with: With,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum With {
    Redact,
    Hash,
    Encrypt,
    Remove,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    CustomersRedact,
    ShopRedact,
    DataRequest,
}

#[derive(Clone, Debug)]
pub struct Job {
    pub topic: Topic,
    /// Place in [`super::words::SHOPS`].
    pub shop: usize,
    /// Whether the webhook gives the shop's number.
    pub numbered: bool,
    pub customer: Option<Id>,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub orders: Vec<Id>,
}

/// An id as a webhook gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Id {
    Number(u64),
    Text(String),
}

impl Case {
    /// Mapped tables that are still there, with their places.
    pub fn mapped(&self) -> impl Iterator<Item = (usize, &Table, &Mapped)> {
        let present = self.tables.iter().enumerate().filter(|(_, table)| !table.gone);
        present.filter_map(|(place, table)| Some((place, table, table.map.as_ref()?)))
    }

    /// The table that `at` hops lead to from the table at `place`.
    pub fn table_at(&self, place: usize, at: usize) -> usize {
        if at == 0 { place } else { self.tables[place].map.as_ref().unwrap().via[at - 1].to }
    }

    /// The row of the table that `at` hops lead to.
    pub fn row_at<'a>(&'a self, place: usize, row: &'a Row, at: usize) -> Option<&'a Row> {
        let mut row = row;
        for hop in &self.tables[place].map.as_ref().unwrap().via[..at] {
            let link = &row.cells[hop.column];
            if *link == Value::Null {
                return None;
            }
            row = self.tables[hop.to].rows.iter().find(|parent| parent.cells[hop.key] == *link)?;
        }
        Some(row)
    }
}
