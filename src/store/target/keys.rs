//! What to look for, and how much of it was found.

use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};

use crate::store::StoreError;
use crate::store::rows::Rows;

/// What to look for: parallel columns of job index, shop key and value.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    pub jobs: Vec<i64>,
    pub shops: Vec<String>,
    pub values: Vec<String>,
}

impl Keys {
    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Adds one key.
    pub fn push(&mut self, job: usize, shop: &str, value: String) {
        self.jobs.push(i64::try_from(job).unwrap_or(i64::MAX));
        self.shops.push(shop.to_owned());
        self.values.push(value);
    }

    /// Adds the keys of `others` that `wanted` picks by their place.
    pub fn extend_with(&mut self, others: &Self, wanted: impl Fn(usize) -> bool) {
        for place in (0..others.jobs.len()).filter(|place| wanted(*place)) {
            self.jobs.push(others.jobs[place]);
            self.shops.push(others.shops[place].clone());
            self.values.push(others.values[place].clone());
        }
    }

    /// The keys as a table of a statement, with the columns `job`, `shop` and `val`.
    pub(super) fn table(&self, backend: DbBackend, values: &mut Vec<Value>) -> String {
        Rows::new()
            .int("job", self.jobs.iter().copied())
            .text("shop", self.shops.iter().cloned())
            .text("val", self.values.iter().cloned())
            .table(backend, values)
    }
}

/// The keys of one statement: those that several of its parts share are passed, and on PostgreSQL read, once.
#[derive(Default)]
pub(super) struct Shared<'a> {
    pub(super) values: Vec<Value>,
    tables: Vec<(&'a Keys, String)>,
    with: Vec<String>,
}

impl<'a> Shared<'a> {
    /// What to join for these keys.
    pub(super) fn table(&mut self, backend: DbBackend, keys: &'a Keys) -> String {
        if let Some((_, table)) = self.tables.iter().find(|(shared, _)| std::ptr::eq(*shared, keys)) {
            return table.clone();
        }
        let mut table = keys.table(backend, &mut self.values);
        // SQLite knows how many rows a document has, but not how many a materialised table will have, and may then read the
        // table of the app from end to end.
        if backend == DbBackend::Postgres {
            let name = format!("keys{}", self.with.len());
            self.with.push(format!("{name} AS MATERIALIZED {table}"));
            table = name;
        }
        self.tables.push((keys, table.clone()));
        table
    }

    /// What stands in front of the statement: the keys, and these further parts.
    pub(super) fn with(&self, parts: &str) -> String {
        let keys = self.with.join(", ");
        match (keys.is_empty(), parts.is_empty()) {
            (true, true) => String::new(),
            (false, false) => format!("WITH {keys}, {parts} "),
            _ => format!("WITH {keys}{parts} "),
        }
    }
}

/// A number of rows, of one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    pub job: usize,
    pub rows: u64,
}

impl Count {
    fn read(row: &QueryResult) -> Result<Self, StoreError> {
        let (job, n): (i64, i64) = (row.try_get("", "job")?, row.try_get("", "n")?);
        Ok(Self { job: usize::try_from(job).unwrap_or(usize::MAX), rows: n.unsigned_abs() })
    }
}

/// Runs a statement that gives `job` and `n`.
pub(super) async fn counts(
    conn: &impl ConnectionTrait,
    sql: String,
    values: Vec<Value>,
) -> Result<Vec<Count>, StoreError> {
    let rows = conn.query_all_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, values)).await?;
    rows.iter().map(Count::read).collect()
}

/// Runs a statement that gives `place`, `job` and `n`.
pub(super) async fn placed(
    conn: &impl ConnectionTrait,
    sql: String,
    values: Vec<Value>,
) -> Result<Vec<(usize, Count)>, StoreError> {
    let rows = conn.query_all_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, values)).await?;
    rows.iter()
        .map(|row| {
            let place: i64 = row.try_get("", "place")?;
            Ok((usize::try_from(place).unwrap_or(usize::MAX), Count::read(row)?))
        })
        .collect()
}
