//! Reads the live schema of a connection as facts: what tables there are, and how they hang together.
//!
//! Reads only the database's own catalog, a few set-based queries whatever the number of tables, and never a row of the
//! app's. [`sample`] looks at a bounded number of rows, and tells only what form they have.

mod ddl;
mod postgres;
pub mod sample;
mod sqlite;
mod statement;

use sea_orm::sqlx;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend};
use serde::Serialize;

use super::{PoolLimits, StoreError};

pub use statement::{index_statement, is_same_expression};

/// Which SQL a database speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    Postgres,
    Sqlite,
}

/// The schema of one database, as its connection sees it: unqualified names lead to these tables.
#[derive(Clone, Debug)]
pub struct Catalog {
    pub dialect: Dialect,
    /// The schema that new tables would be made in; `main` on SQLite.
    pub schema: String,
    /// In the order of their names.
    pub tables: Vec<Table>,
    /// Tables in schemas that an unqualified name does not reach: schema and name.
    pub elsewhere: Vec<(String, String)>,
}

impl Catalog {
    /// The table of this name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// The app's tables that hold rows of their own: no views, no partitions of another table, nothing of Efface's.
    pub fn app_tables(&self) -> impl Iterator<Item = &Table> {
        self.tables.iter().filter(|table| table.holds_rows() && !table.own)
    }

    /// Foreign keys that refer to a table, each with the table that has it.
    pub fn references_to<'a>(&'a self, parent: &'a str) -> impl Iterator<Item = (&'a Table, &'a ForeignKey)> {
        self.app_tables()
            .flat_map(|table| table.foreign_keys.iter().map(move |key| (table, key)))
            .filter(move |(_, key)| key.table == parent)
    }
}

/// What kind of relation a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TableKind {
    Table,
    /// Its rows lie in partitions.
    Partitioned,
    /// One part of another table.
    Partition,
    View,
    /// A view that keeps a copy of what it showed when it was last refreshed.
    MaterializedView,
    /// Lies in another database.
    Foreign,
    /// SQLite: made by a module, such as a full-text index. Its columns are not read.
    Virtual,
    /// SQLite: where a virtual table keeps its rows.
    Shadow,
}

/// Whether policies decide which rows a user sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RowSecurity {
    Off,
    /// On, and not for the user that reads the catalog.
    ForOthers,
    /// On for the user that reads the catalog.
    Binding,
}

/// One relation.
#[derive(Clone, Debug)]
pub struct Table {
    pub schema: String,
    pub name: String,
    pub kind: TableKind,
    /// One of Efface's own: nothing to do with the app.
    pub own: bool,
    /// An estimate; none when the database has not counted yet.
    pub rows: Option<u64>,
    /// The tables that this one is a partition of or inherits from.
    pub parents: Vec<String>,
    pub row_security: RowSecurity,
    /// What the user that reads the catalog may not do, of SELECT, UPDATE and DELETE.
    pub denied: Vec<&'static str>,
    /// Whether its rows have numbers of their own to be told apart by; on SQLite, `WITHOUT ROWID` takes them away.
    pub row_ids: bool,
    pub columns: Vec<Column>,
    /// In the key's order; empty: the table has none.
    pub primary_key: Vec<String>,
    pub uniques: Vec<Vec<String>>,
    pub indexes: Vec<Index>,
    pub foreign_keys: Vec<ForeignKey>,
    pub triggers: Vec<Trigger>,
    /// The tables that a view reads.
    pub reads: Vec<String>,
}

impl Table {
    fn new(schema: &str, name: String, kind: TableKind, own: &[&str]) -> Self {
        Self {
            schema: schema.to_owned(),
            own: own.contains(&name.as_str()),
            name,
            kind,
            rows: None,
            parents: Vec::new(),
            row_security: RowSecurity::Off,
            denied: Vec::new(),
            row_ids: true,
            columns: Vec::new(),
            primary_key: Vec::new(),
            uniques: Vec::new(),
            indexes: Vec::new(),
            foreign_keys: Vec::new(),
            triggers: Vec::new(),
            reads: Vec::new(),
        }
    }

    /// Whether rows are kept under this name: a partition's are found through the table it belongs to.
    pub fn holds_rows(&self) -> bool {
        matches!(self.kind, TableKind::Table | TableKind::Partitioned | TableKind::Foreign)
    }

    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether no two rows may have the same value in this column alone.
    pub fn is_unique(&self, column: &str) -> bool {
        let alone = |columns: &[String]| matches!(columns, [only] if only == column);
        alone(&self.primary_key) || self.uniques.iter().any(|columns| alone(columns))
    }

    /// Whether the column is part of anything that must be unique.
    pub fn is_in_unique(&self, column: &str) -> bool {
        let within = |columns: &[String]| columns.iter().any(|name| name == column);
        within(&self.primary_key)
            || self.uniques.iter().any(|columns| within(columns))
            || self.indexes.iter().any(|index| index.unique && index.keys.iter().any(|key| key.is_column(column)))
    }

    /// The foreign key that consists of this column alone.
    pub fn reference(&self, column: &str) -> Option<&ForeignKey> {
        self.foreign_keys.iter().find(|key| matches!(key.columns.as_slice(), [only] if only == column))
    }
}

/// What a column can hold, over both databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    Text,
    Integer,
    /// Exact numbers with decimals, ranges and bit strings.
    Numeric,
    /// Inexact numbers: an id beyond 2^53 does not survive in one.
    Real,
    Boolean,
    /// Dates, times, and both together.
    Instant,
    Uuid,
    Json,
    Bytes,
    /// Addresses of networks and machines.
    Network,
    /// One of a fixed list of words.
    Enumeration,
    /// Anything else, or nothing declared: it could hold everything.
    Other,
}

/// One column.
#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    /// The type as it was declared, `character varying(255)`.
    pub declared: String,
    /// The database's own short name of the type; that of the base type for a domain.
    pub udt: String,
    /// What it can hold; for an array, what its elements can hold.
    pub family: Family,
    /// The type of an array's elements; none: no array.
    pub element: Option<String>,
    /// Most characters, when there is a limit.
    pub length: Option<u32>,
    pub nullable: bool,
    /// Computed from other columns: it cannot be written.
    pub generated: bool,
    pub identity: bool,
}

impl Column {
    /// The declared type, or other words where none was declared.
    pub fn declared_or<'a>(&'a self, none: &'a str) -> &'a str {
        if self.declared.is_empty() { none } else { &self.declared }
    }

    /// Whether it is an array.
    pub fn is_array(&self) -> bool {
        self.element.is_some()
    }

    /// Whether it can hold what somebody wrote: text, JSON, addresses, bytes, or something of an unknown type.
    pub fn may_hold_text(&self) -> bool {
        matches!(self.family, Family::Text | Family::Json | Family::Network | Family::Bytes | Family::Other)
    }
}

/// One part of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexKey {
    Column(String),
    /// As the database writes it back.
    Expression(String),
}

impl IndexKey {
    /// Whether this part is the bare column.
    pub fn is_column(&self, name: &str) -> bool {
        matches!(self, Self::Column(column) if column == name)
    }
}

/// One index.
#[derive(Clone, Debug)]
pub struct Index {
    pub name: String,
    /// btree, gin, …
    pub method: String,
    pub keys: Vec<IndexKey>,
    pub unique: bool,
    /// The condition of a partial index.
    pub predicate: Option<String>,
    /// Whether it may be used: one whose concurrent build broke off may not.
    pub valid: bool,
}

/// What happens to a row when the row that it refers to is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDelete {
    /// The delete is refused.
    Refuse,
    Cascade,
    SetNull,
    SetDefault,
}

/// One foreign key.
#[derive(Clone, Debug)]
pub struct ForeignKey {
    pub name: String,
    pub columns: Vec<String>,
    /// The table that it refers to.
    pub table: String,
    /// Its columns there, in the same order.
    pub to: Vec<String>,
    pub on_delete: OnDelete,
}

/// One trigger of the app's.
#[derive(Clone, Debug)]
pub struct Trigger {
    pub name: String,
    /// What sets it off: `BEFORE DELETE`, `AFTER INSERT OR UPDATE`.
    pub event: String,
    /// Tables that its text inserts into or changes, or `?` where the name is put together at run time.
    pub writes: Vec<String>,
    /// Whether it can make a DELETE end without deleting.
    pub can_keep_rows: bool,
}

/// Opens a database to look at it: no statement of this connection can change anything, not even the journal mode.
///
/// # Errors
/// [`StoreError::Unavailable`] when it does not answer, [`StoreError::Url`] for an unknown scheme.
pub async fn open_read_only(url: &str) -> Result<DatabaseConnection, StoreError> {
    let sqlite = url.starts_with("sqlite:");
    if !sqlite && !url.starts_with("postgres:") && !url.starts_with("postgresql:") {
        return Err(StoreError::Url);
    }
    let mut options = ConnectOptions::new(url);
    // As for the store: no task that reaps idle connections.
    options.idle_timeout(None).max_lifetime(None);
    let patience = PoolLimits::default().acquire_timeout;
    options
        .max_connections(2)
        .acquire_timeout(patience)
        .connect_timeout(patience)
        .sqlx_logging(false)
        .record_stmt_in_spans(false);
    if sqlite {
        options.map_sqlx_sqlite_opts(|sqlite| sqlite.create_if_missing(false).read_only(true));
    } else {
        options.set_application_name("efface");
        options.map_sqlx_postgres_opts(|postgres: sqlx::postgres::PgConnectOptions| {
            postgres.options([("default_transaction_read_only", "on"), ("statement_timeout", "30000"), ("jit", "off")])
        });
    }
    Database::connect(options).await.map_err(StoreError::from)
}

/// Reads everything that the connection's schema has; `own` names Efface's own tables.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn read(conn: &impl ConnectionTrait, own: &[&str]) -> Result<Catalog, StoreError> {
    let mut catalog = if conn.get_database_backend() == DbBackend::Postgres {
        postgres::read(conn, own).await?
    } else {
        sqlite::read(conn, own).await?
    };
    catalog.tables.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(catalog)
}

/// A name between the quotes of SQL, whatever it is made of.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
