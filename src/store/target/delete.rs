//! Deletes rows.

use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

use super::keys::counts;
use super::reach::{row_id, row_names};
use super::{Count, Ident, Keys, Reach, Rows};
use crate::store::StoreError;
use crate::store::rows::Rows as Table;

/// Deletes the rows of one table that match any key, for all jobs at once, and counts them per job. A row that two
/// jobs ask for is counted for one of them.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn delete_matching(
    conn: &impl ConnectionTrait,
    reach: &Reach,
    way: &super::Way,
    keys: &Keys,
) -> Result<Vec<Count>, StoreError> {
    delete(conn, reach, Rows::Matching(way), keys).await
}

/// Deletes the rows of whole shops from one table, all or those made up to an instant, and counts them per job. Only for
/// shops that were found small.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn delete_shops(
    conn: &impl ConnectionTrait,
    reach: &Reach,
    which: Rows<'_>,
    keys: &Keys,
) -> Result<Vec<Count>, StoreError> {
    delete(conn, reach, which, keys).await
}

async fn delete(
    conn: &impl ConnectionTrait,
    reach: &Reach,
    which: Rows<'_>,
    keys: &Keys,
) -> Result<Vec<Count>, StoreError> {
    let backend = conn.get_database_backend();
    let mut values = Vec::new();
    let rows = keys.table(backend, &mut values);
    let reach = &reach.needed(which);
    let wanted = reach.wanted(backend, which, r#"k."shop""#, r#"k."val""#);
    let table = &reach.table;
    if backend == DbBackend::Postgres {
        let sql = format!(
            r#"WITH d AS (DELETE FROM {table} AS t USING {rows} AS k{} WHERE {}{wanted} RETURNING k."job")
               SELECT "job", count(*) AS "n" FROM d GROUP BY "job""#,
            reach.using(),
            reach.joined(),
        );
        return counts(conn, sql, values).await;
    }
    // SQLite cannot join in a DELETE; this transaction holds the only write lock, so picking first is the same.
    let picked = format!(
        r#"SELECT min(k."job") AS "job", t.rowid AS "row" FROM {rows} AS k JOIN {} WHERE {wanted} GROUP BY t.rowid"#,
        reach.from()
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
    let keys = Table::new().int("row", rowids).table(backend, &mut values);
    let sql = format!(r#"DELETE FROM {table} WHERE rowid IN (SELECT "row" FROM {keys})"#);
    let touched = conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?.rows_affected();
    crate::store::error::exactly("deleting picked rows", found.len() as u64, touched)?;
    Ok(per_job.into_iter().map(|(job, rows)| Count { job, rows }).collect())
}

/// Deletes up to `limit` rows of one shop from one table, all or those made up to an instant, and returns how many.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn delete_shop_rows(
    conn: &impl ConnectionTrait,
    reach: &Reach,
    shop: &str,
    made_up_to: Option<i64>,
    limit: u64,
) -> Result<u64, StoreError> {
    let backend = conn.get_database_backend();
    let which = if made_up_to.is_some() { Rows::MadeUpTo } else { Rows::WholeShop };
    let from = reach.needed(which).from();
    let (table, wanted) = (&reach.table, reach.wanted(backend, which, "$1", "$3"));
    let given = |limit: u64| {
        let given = [Some(Value::from(shop)), Some(Value::from(limit.cast_signed())), made_up_to.map(Value::from)];
        given.into_iter().flatten().collect::<Vec<_>>()
    };
    if backend != DbBackend::Postgres {
        let sql = format!("DELETE FROM {table} WHERE rowid IN (SELECT t.rowid FROM {from} WHERE {wanted} LIMIT $2)");
        return Ok(conn.execute_raw(Statement::from_sql_and_values(backend, sql, given(limit))).await?.rows_affected());
    }
    let (ids, names) = (row_id(backend), row_names(backend));
    let sql = format!(
        r#"WITH x({names}) AS MATERIALIZED (SELECT {ids} FROM {from} WHERE {wanted} LIMIT $2), d AS (DELETE FROM {table} AS t
             USING x WHERE t.ctid=x."row" AND t.tableoid=x."part" RETURNING 1)
           SELECT (SELECT count(*) FROM x) AS "picked", (SELECT count(*) FROM d) AS "deleted""#
    );
    let mut deleted = 0;
    loop {
        let values = given(limit - deleted);
        let row = conn.query_one_raw(Statement::from_sql_and_values(backend, sql.clone(), values)).await?;
        let Some(row) = row else { return Ok(deleted) };
        let (picked, gone): (i64, i64) = (row.try_get("", "picked")?, row.try_get("", "deleted")?);
        deleted += gone.unsigned_abs();
        // A row that the app changed meanwhile stands elsewhere now: it was picked and not deleted. Left alone, it would
        // go uncounted with its parent.
        if picked <= gone || deleted >= limit {
            return Ok(deleted);
        }
    }
}
