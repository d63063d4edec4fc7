//! What the live schema has, as far as a data map has to fit it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::store::StoreError;

/// A column of the live schema.
#[derive(Clone, Debug)]
pub struct CatalogColumn {
    pub table: String,
    pub column: String,
    /// PostgreSQL: the type's own name (`int8`, `_text`); SQLite: as declared.
    pub data_type: String,
    pub nullable: bool,
    /// Its place in the primary key, from 1; 0: it is not part of it.
    pub key_place: i32,
}

/// A column that refers to another table's.
#[derive(Clone, Debug)]
pub struct ForeignKey {
    pub table: String,
    pub column: String,
    pub to: String,
}

/// The tables, columns and references that the connection's schema has.
#[derive(Clone, Debug)]
pub struct Catalog {
    pub backend: DbBackend,
    pub columns: Vec<CatalogColumn>,
    pub foreign_keys: Vec<ForeignKey>,
    /// SQLite's tables without row ids: their rows cannot be told apart the way that statements do.
    pub without_row_id: BTreeSet<String>,
}

impl Catalog {
    /// Its columns, by table and name.
    pub fn by_table(&self) -> BTreeMap<&str, BTreeMap<&str, &CatalogColumn>> {
        let mut tables: BTreeMap<&str, BTreeMap<&str, &CatalogColumn>> = BTreeMap::new();
        for column in &self.columns {
            tables.entry(&column.table).or_default().insert(&column.column, column);
        }
        tables
    }
}

const POSTGRES_COLUMNS: &str = "
    SELECT c.relname::text AS t, a.attname::text AS c, ty.typname::text AS d, NOT a.attnotnull AS n,
           COALESCE(array_position(i.indkey::int2[], a.attnum), -1)::int4 + 1 AS k
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type ty ON ty.oid = a.atttypid LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'f')";

const SQLITE_COLUMNS: &str = "
    SELECT m.name AS t, p.name AS c, p.type AS d, p.\"notnull\" = 0 AS n, p.pk AS k
    FROM sqlite_master m JOIN pragma_table_info(m.name) p WHERE m.type = 'table'";

const POSTGRES_FOREIGN_KEYS: &str = "
    SELECT c.relname::text AS t, a.attname::text AS c, f.relname::text AS f
    FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_class f ON f.oid = o.confrelid
    JOIN pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = o.conkey[1]
    WHERE o.contype = 'f' AND c.relnamespace = current_schema()::regnamespace AND o.conparentid = 0";

const SQLITE_FOREIGN_KEYS: &str = "
    SELECT m.name AS t, p.\"from\" AS c, p.\"table\" AS f
    FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) p WHERE m.type = 'table'";

/// Reads the catalog of the connection's schema.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn catalog(conn: &impl ConnectionTrait) -> Result<Catalog, StoreError> {
    let backend = conn.get_database_backend();
    let postgres = backend == DbBackend::Postgres;
    let rows = |sql: &'static str| conn.query_all_raw(Statement::from_string(backend, sql));
    let columns = rows(if postgres { POSTGRES_COLUMNS } else { SQLITE_COLUMNS }).await?;
    let columns = columns.iter().map(|row| {
        Ok(CatalogColumn {
            table: row.try_get("", "t")?,
            column: row.try_get("", "c")?,
            data_type: row.try_get("", "d")?,
            nullable: row.try_get("", "n")?,
            key_place: row.try_get("", "k")?,
        })
    });
    let columns = columns.collect::<Result<Vec<_>, StoreError>>()?;
    let foreign_keys = rows(if postgres { POSTGRES_FOREIGN_KEYS } else { SQLITE_FOREIGN_KEYS }).await?;
    let foreign_keys = foreign_keys.iter().map(|row| {
        Ok(ForeignKey { table: row.try_get("", "t")?, column: row.try_get("", "c")?, to: row.try_get("", "f")? })
    });
    let foreign_keys = foreign_keys.collect::<Result<Vec<_>, StoreError>>()?;
    let mut without_row_id = BTreeSet::new();
    if !postgres {
        for row in rows("SELECT name FROM pragma_table_list WHERE wr = 1").await? {
            without_row_id.insert(row.try_get("", "name")?);
        }
    }
    Ok(Catalog { backend, columns, foreign_keys, without_row_id })
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

/// What time it is by the database's own clock; a file has that of the machine.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn database_clock(conn: &impl ConnectionTrait) -> Result<DateTime<Utc>, StoreError> {
    if let Some(now) = database_now(conn).await? {
        return Ok(now);
    }
    let sql = "SELECT CAST(strftime('%s','now') AS integer) AS now";
    let row = conn.query_one_raw(Statement::from_string(DbBackend::Sqlite, sql)).await?;
    let seconds: i64 = row.map_or(Ok(0), |row| row.try_get("", "now"))?;
    DateTime::from_timestamp(seconds, 0).ok_or_else(|| StoreError::Refused("the database's clock reads no time".into()))
}
