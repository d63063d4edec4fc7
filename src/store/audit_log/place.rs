//! Which entries have no place in the tree yet. An entry without one is in no checkpoint.

use std::collections::BTreeSet;

use entity::audit_log::{Column, Entity, Model};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbBackend, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Statement, Value,
};

use super::span::PLACE;
use crate::store::StoreError;

/// The highest number of an entry that can be seen.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn highest(conn: &impl ConnectionTrait) -> Result<Option<i64>, StoreError> {
    let sql = r#"SELECT max("ordinal") AS n FROM "AuditLog""#;
    let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await?;
    Ok(row.map_or(Ok(None), |row| row.try_get("", "n"))?)
}

/// Entries without a place and with a number above `after` and up to `to`, at most `limit`, in the order in which the database
/// took them in.
///
/// That is not the order of their ids or instants, which come from the clocks of their writers. Entries of one job are in
/// the order in which they happened: whoever writes the next one has waited for the job's row, and with it for the commit of
/// the one before.
///
/// # Errors
/// When the database refuses or does not answer, or a row does not read back.
pub async fn unplaced(conn: &impl ConnectionTrait, after: i64, to: i64, limit: u64) -> Result<Vec<Model>, StoreError> {
    let numbered = Entity::find().filter(Column::Ordinal.gt(after)).filter(Column::Ordinal.lte(to));
    let unplaced = numbered.filter(Expr::cust(format!("{PLACE} IS NULL")));
    Ok(unplaced.order_by_asc(Column::Ordinal).limit(limit).all(conn).await?)
}

/// How many entries with a number above `after` have no place yet.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn count_unplaced(conn: &impl ConnectionTrait, after: i64) -> Result<u64, StoreError> {
    let sql = format!(r#"SELECT count(*) AS n FROM "AuditLog" WHERE "ordinal">$1 AND {PLACE} IS NULL"#);
    let backend = conn.get_database_backend();
    let row = conn.query_one_raw(Statement::from_sql_and_values(backend, sql, [Value::from(after)])).await?;
    let count: i64 = row.map_or(Ok(0), |row| row.try_get("", "n"))?;
    Ok(count.unsigned_abs())
}

/// The name of every transaction that is prepared for a two-phase commit: it has given up the name it had.
pub const PREPARED: &str = "prepared";

/// Who may have appended entries that have not committed: transactions, by names that none of them shares with a later one,
/// or [`PREPARED`].
///
/// An insert locks the table before it takes a number, and holds the lock until its transaction has ended and everybody
/// sees what it wrote. So an entry with a lower number than one that was seen before this question either can be seen now,
/// or is of one of these, or will never come. (PostgreSQL 15 Documentation, 13.3.1 and 54.12: table-level locks are held
/// until the end of the transaction, and `pg_locks` shows them to everybody.) On SQLite a write transaction is alone.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn appenders(conn: &impl ConnectionTrait) -> Result<BTreeSet<String>, StoreError> {
    if conn.get_database_backend() != DbBackend::Postgres {
        return Ok(BTreeSet::new());
    }
    let sql = r#"SELECT CASE WHEN "pid" IS NULL THEN $1 ELSE "virtualtransaction" END AS "name" FROM pg_locks
        WHERE "locktype"='relation' AND "mode"='RowExclusiveLock' AND "granted" AND "relation"='"AuditLog"'::regclass
          AND "database"=(SELECT "oid" FROM pg_database WHERE "datname"=current_database())"#;
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [Value::from(PREPARED)]);
    let rows = conn.query_all_raw(statement).await?;
    rows.iter().map(|row| Ok(row.try_get("", "name")?)).collect()
}
