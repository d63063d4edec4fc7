//! Statements on the app's own tables, as the data map describes them.
//!
//! This file is the only one that may delete application data, and only `erasure::execute` calls what deletes. Every
//! statement carries the shop by construction: there is no way to build one without it. Names come as [`Ident`]s,
//! which are parsed against a strict form and were found in the live catalog before anything runs.

mod lifecycle;

use std::collections::HashSet;
use std::fmt;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

use super::StoreError;
use super::rows::Rows;

pub use lifecycle::{Installation, installations, mark_uninstalled};

/// A table or column name: a letter or underscore, then letters, digits, underscores; 63 characters at most.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ident(String);

impl Ident {
    /// Parses a name; `None` when it does not have the form.
    pub fn parse(name: &str) -> Option<Self> {
        let mut bytes = name.bytes();
        let first = bytes.next()?;
        let well_formed = (first.is_ascii_alphabetic() || first == b'_')
            && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && name.len() <= 63;
        well_formed.then(|| Self(name.to_owned()))
    }

    /// The bare name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Ident {
    /// Writes the name quoted, as SQL wants it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// The table of shops: how a domain becomes the key that other tables refer to.
#[derive(Clone, Debug)]
pub struct ShopTable {
    pub table: Ident,
    pub id: Ident,
    pub domain: Ident,
    pub active: Option<Ident>,
    pub installed_at: Option<Ident>,
    pub uninstalled_at: Option<Ident>,
}

/// A shop's row, as far as erasure needs it.
#[derive(Clone, Debug)]
pub struct ShopRow {
    pub domain: String,
    pub key: String,
    /// Whether the row says that the shop was installed again after it was uninstalled.
    pub reinstalled: bool,
}

/// One table's way to a subject: the column that holds the shop, and the column that holds the order.
#[derive(Clone, Copy, Debug)]
pub struct Match<'a> {
    pub table: &'a Ident,
    pub shop: &'a Ident,
    pub value: &'a Ident,
}

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

    fn table(&self, backend: DbBackend, values: &mut Vec<Value>) -> String {
        Rows::new()
            .int("job", self.jobs.iter().copied())
            .text("shop", self.shops.iter().cloned())
            .text("val", self.values.iter().cloned())
            .table(backend, values)
    }
}

/// A number of rows, of one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    pub job: usize,
    pub rows: u64,
}

async fn counts(conn: &impl ConnectionTrait, sql: String, values: Vec<Value>) -> Result<Vec<Count>, StoreError> {
    let rows = conn.query_all_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, values)).await?;
    rows.iter()
        .map(|row| {
            let (job, n): (i64, i64) = (row.try_get("", "job")?, row.try_get("", "n")?);
            Ok(Count { job: usize::try_from(job).unwrap_or(usize::MAX), rows: n.unsigned_abs() })
        })
        .collect()
}

/// Finds the rows of shops by domain. With `lock`, on PostgreSQL, the rows stay locked until the
/// transaction ends, so that nobody adds children to a shop that is being erased.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn shops(
    conn: &impl ConnectionTrait,
    shop: &ShopTable,
    domains: Vec<String>,
    lock: bool,
) -> Result<Vec<ShopRow>, StoreError> {
    if domains.is_empty() {
        return Ok(Vec::new());
    }
    let backend = conn.get_database_backend();
    let mut values = Vec::new();
    let keys = Rows::new().text("wanted", domains).table(backend, &mut values);
    let ShopTable { table, id, domain, .. } = shop;
    let reinstalled = match (&shop.active, &shop.installed_at, &shop.uninstalled_at) {
        (active, Some(installed), Some(uninstalled)) => {
            let active = active.as_ref().map_or(String::new(), |active| format!("s.{active} AND "));
            format!("COALESCE({active}s.{uninstalled} IS NOT NULL AND s.{installed} > s.{uninstalled}, false)")
        }
        _ => "false".to_owned(),
    };
    let cast = if backend == DbBackend::Postgres { "::text" } else { "" };
    let for_update = if lock && backend == DbBackend::Postgres { "FOR UPDATE OF s" } else { "" };
    let sql = format!(
        r#"SELECT k."wanted" AS "wanted", s.{id}{cast} AS "key", {reinstalled} AS "reinstalled"
           FROM {keys} AS k JOIN {table} AS s ON s.{domain}=k."wanted" ORDER BY s.{id} {for_update}"#
    );
    let rows = conn.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    rows.iter()
        .map(|row| {
            Ok(ShopRow {
                domain: row.try_get("", "wanted")?,
                key: row.try_get("", "key")?,
                reinstalled: row.try_get("", "reinstalled")?,
            })
        })
        .collect()
}

/// Finds, per table, which of these shops have any value between two bounds, both included: one probe of the index each.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn shops_with_values_between(
    conn: &impl ConnectionTrait,
    tables: &[Match<'_>],
    shops: Vec<String>,
    (first, last): (&str, &str),
) -> Result<HashSet<(usize, String)>, StoreError> {
    if shops.is_empty() || tables.is_empty() {
        return Ok(HashSet::new());
    }
    let backend = conn.get_database_backend();
    let mut values = vec![Value::from(first), Value::from(last)];
    let rows = Rows::new().text("shop", shops).table(backend, &mut values);
    let probes: Vec<String> = tables
        .iter()
        .enumerate()
        .map(|(place, Match { table, shop, value })| {
            format!(
                r#"SELECT CAST({place} AS bigint) AS "place", k."shop" AS "shop" FROM {rows} AS k WHERE EXISTS (SELECT 1
                   FROM {table} AS t WHERE t.{shop}=k."shop" AND t.{value}>=$1 AND t.{value}<=$2)"#
            )
        })
        .collect();
    let sql = probes.join(" UNION ALL ");
    let rows = conn.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    rows.iter()
        .map(|row| {
            let place: i64 = row.try_get("", "place")?;
            Ok((usize::try_from(place).unwrap_or(usize::MAX), row.try_get("", "shop")?))
        })
        .collect()
}

/// Deletes the rows of one table that match any key, for all jobs at once, and counts them per job. A row that two
/// jobs ask for is counted for one of them.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn delete_matching(
    conn: &impl ConnectionTrait,
    at: Match<'_>,
    keys: &Keys,
) -> Result<Vec<Count>, StoreError> {
    let backend = conn.get_database_backend();
    let Match { table, shop, value } = at;
    let mut values = Vec::new();
    let rows = keys.table(backend, &mut values);
    if backend == DbBackend::Postgres {
        let sql = format!(
            r#"WITH d AS (DELETE FROM {table} AS t USING {rows} AS k WHERE t.{shop}=k."shop" AND t.{value}=k."val"
                 RETURNING k."job")
               SELECT "job", count(*) AS "n" FROM d GROUP BY "job""#
        );
        return counts(conn, sql, values).await;
    }
    // SQLite cannot join in a DELETE; this transaction holds the only write lock, so picking first is the same.
    let picked = format!(
        r#"SELECT min(k."job") AS "job", t.rowid AS "row" FROM {rows} AS k
           JOIN {table} AS t ON t.{shop}=k."shop" AND t.{value}=k."val" GROUP BY t.rowid"#
    );
    delete_picked(conn, table, picked, values).await
}

async fn delete_picked(
    conn: &impl ConnectionTrait,
    table: &Ident,
    picked: String,
    values: Vec<Value>,
) -> Result<Vec<Count>, StoreError> {
    let backend = conn.get_database_backend();
    let found = conn.query_all_raw(Statement::from_sql_and_values(backend, picked, values)).await?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let mut per_job = std::collections::BTreeMap::<usize, u64>::new();
    let mut rowids = Vec::with_capacity(found.len());
    for row in &found {
        let (job, rowid): (i64, i64) = (row.try_get("", "job")?, row.try_get("", "row")?);
        *per_job.entry(usize::try_from(job).unwrap_or(usize::MAX)).or_default() += 1;
        rowids.push(rowid);
    }
    let mut values = Vec::new();
    let keys = Rows::new().int("row", rowids).table(backend, &mut values);
    let sql = format!(r#"DELETE FROM {table} WHERE rowid IN (SELECT "row" FROM {keys})"#);
    let touched = conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?.rows_affected();
    super::error::exactly("deleting picked rows", found.len() as u64, touched)?;
    Ok(per_job.into_iter().map(|(job, rows)| Count { job, rows }).collect())
}

/// Counts, per table and job, the rows that keys still find: one statement, so one snapshot for all tables. Tables
/// and jobs without residue are absent; the first number is the table's place in `tables`.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn residue(
    conn: &impl ConnectionTrait,
    probes: &[(Match<'_>, &Keys)],
) -> Result<Vec<(usize, Count)>, StoreError> {
    let backend = conn.get_database_backend();
    let mut values = Vec::new();
    let mut tables: Vec<(&Keys, String)> = Vec::new();
    let mut selects = Vec::new();
    for (place, (Match { table, shop, value }, keys)) in probes.iter().enumerate() {
        if keys.is_empty() {
            continue;
        }
        // Tables that look for the same keys share them.
        let rows = if let Some((_, rows)) = tables.iter().find(|(shared, _)| std::ptr::eq(*shared, *keys)) {
            rows.clone()
        } else {
            let rows = keys.table(backend, &mut values);
            tables.push((keys, rows.clone()));
            rows
        };
        // Both columns of the key are joined, so that each key is one probe of the index: a condition on the shop alone
        // would visit all of a large shop's rows.
        selects.push(format!(
            r#"SELECT CAST({place} AS bigint) AS "place", k."job" AS "job", count(*) AS "n" FROM {rows} AS k
               JOIN {table} AS t ON t.{shop}=k."shop" AND t.{value}=k."val" GROUP BY k."job""#
        ));
    }
    if selects.is_empty() {
        return Ok(Vec::new());
    }
    placed(conn, selects.join(" UNION ALL "), values).await
}

async fn placed(
    conn: &impl ConnectionTrait,
    sql: String,
    values: Vec<Value>,
) -> Result<Vec<(usize, Count)>, StoreError> {
    let rows = conn.query_all_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, values)).await?;
    rows.iter()
        .map(|row| {
            let (place, job, n): (i64, i64, i64) =
                (row.try_get("", "place")?, row.try_get("", "job")?, row.try_get("", "n")?);
            let count = Count { job: usize::try_from(job).unwrap_or(usize::MAX), rows: n.unsigned_abs() };
            Ok((usize::try_from(place).unwrap_or(usize::MAX), count))
        })
        .collect()
}

/// Counts, per table, the rows of whole shops, each count cut off at `limit`; shops come as keys whose `values` are
/// not looked at. Tables and jobs without rows are absent.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn shop_rows(
    conn: &impl ConnectionTrait,
    tables: &[(&Ident, &Ident)],
    keys: &Keys,
    limit: u64,
) -> Result<Vec<(usize, Count)>, StoreError> {
    if keys.is_empty() || tables.is_empty() {
        return Ok(Vec::new());
    }
    let backend = conn.get_database_backend();
    let mut values = Vec::new();
    let rows = keys.table(backend, &mut values);
    let probes: Vec<String> = tables
        .iter()
        .enumerate()
        .map(|(place, (table, shop))| {
            let n = format!(
                r#"(SELECT count(*) FROM (SELECT 1 FROM {table} AS t WHERE t.{shop}=k."shop" LIMIT {limit}) AS x)"#
            );
            format!(r#"SELECT CAST({place} AS bigint) AS "place", k."job" AS "job", {n} AS "n" FROM k"#)
        })
        .collect();
    let sql = format!(
        r#"WITH k AS MATERIALIZED {rows} SELECT "place","job","n" FROM ({}) AS c WHERE "n">0"#,
        probes.join(" UNION ALL ")
    );
    placed(conn, sql, values).await
}

/// Deletes all rows of whole shops from one table, and counts them per job. Only for shops that were found small.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn delete_shops(
    conn: &impl ConnectionTrait,
    table: &Ident,
    shop: &Ident,
    keys: &Keys,
) -> Result<Vec<Count>, StoreError> {
    let backend = conn.get_database_backend();
    let mut values = Vec::new();
    let rows = keys.table(backend, &mut values);
    if backend == DbBackend::Postgres {
        let sql = format!(
            r#"WITH d AS (DELETE FROM {table} AS t USING {rows} AS k WHERE t.{shop}=k."shop" RETURNING k."job")
               SELECT "job", count(*) AS "n" FROM d GROUP BY "job""#
        );
        return counts(conn, sql, values).await;
    }
    let picked = format!(
        r#"SELECT min(k."job") AS "job", t.rowid AS "row" FROM {rows} AS k JOIN {table} AS t ON t.{shop}=k."shop"
           GROUP BY t.rowid"#
    );
    delete_picked(conn, table, picked, values).await
}

/// Deletes up to `limit` rows of one shop from one table, and returns how many.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn delete_shop_rows(
    conn: &impl ConnectionTrait,
    table: &Ident,
    shop: &Ident,
    key: &str,
    limit: u64,
) -> Result<u64, StoreError> {
    let backend = conn.get_database_backend();
    let sql = if backend == DbBackend::Postgres {
        format!("DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE {shop}=$1 LIMIT $2))")
    } else {
        format!("DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE {shop}=$1 LIMIT $2)")
    };
    let values = vec![Value::from(key), Value::from(limit.cast_signed())];
    Ok(conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?.rows_affected())
}

/// Reads the rows of one table that match any key as JSON objects of the given columns, in a stable order.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn select_matching(
    conn: &impl ConnectionTrait,
    at: Match<'_>,
    columns: &[Ident],
    keys: &Keys,
) -> Result<Vec<String>, StoreError> {
    let backend = conn.get_database_backend();
    let Match { table, shop, value } = at;
    let mut values = Vec::new();
    let rows = keys.table(backend, &mut values);
    let object = if backend == DbBackend::Postgres { "json_build_object" } else { "json_object" };
    let pairs: Vec<String> = columns.iter().map(|column| format!("'{}', t.{column}", column.as_str())).collect();
    let row_id = if backend == DbBackend::Postgres { "ctid" } else { "rowid" };
    let cast = if backend == DbBackend::Postgres { "::text" } else { "" };
    let sql = format!(
        r#"SELECT {object}({}){cast} AS "row" FROM {table} AS t WHERE t.{row_id} IN (SELECT x.{row_id} FROM {rows} AS k
           JOIN {table} AS x ON x.{shop}=k."shop" AND x.{value}=k."val") ORDER BY t.{shop}, t.{value}, t.{row_id}"#,
        pairs.join(", ")
    );
    let rows = conn.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    rows.iter().map(|row| row.try_get("", "row").map_err(StoreError::from)).collect()
}

/// A column of the live catalog.
#[derive(Clone, Debug)]
pub struct CatalogColumn {
    pub table: String,
    pub column: String,
    pub data_type: String,
}

/// All tables and columns that the connection's schema has.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn catalog(conn: &impl ConnectionTrait) -> Result<Vec<CatalogColumn>, StoreError> {
    let backend = conn.get_database_backend();
    let sql = if backend == DbBackend::Postgres {
        "SELECT table_name::text AS t, column_name::text AS c, data_type::text AS d FROM information_schema.columns \
         WHERE table_schema = current_schema()"
    } else {
        "SELECT m.name AS t, p.name AS c, p.type AS d FROM sqlite_master m JOIN pragma_table_info(m.name) p \
         WHERE m.type = 'table'"
    };
    let rows = conn.query_all_raw(Statement::from_string(backend, sql)).await?;
    rows.iter()
        .map(|row| {
            Ok(CatalogColumn {
                table: row.try_get("", "t")?,
                column: row.try_get("", "c")?,
                data_type: row.try_get("", "d")?,
            })
        })
        .collect()
}

/// The database's own clock, to be compared with ours.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn database_now(conn: &impl ConnectionTrait) -> Result<Option<DateTime<Utc>>, StoreError> {
    if conn.get_database_backend() != DbBackend::Postgres {
        return Ok(None);
    }
    let row =
        conn.query_one_raw(Statement::from_string(DbBackend::Postgres, "SELECT clock_timestamp() AS now")).await?;
    row.map(|row| row.try_get("", "now").map_err(StoreError::from)).transpose()
}
