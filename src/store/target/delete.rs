//! Deletes rows.

use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

use super::keys::{Shared, counts, placed};
use super::reach::{row_id, row_names};
use super::{Count, Ident, Keys, Reach, Rows, Way};
use crate::store::StoreError;
use crate::store::rows::Rows as Table;

/// Deletes the rows of several tables that match any key, for all jobs at once, and counts them per table's place and job. A
/// row that two jobs ask for is counted for one of them. No table may come twice.
///
/// # Errors
/// [`StoreError::Entangled`] when a trigger forbids several tables at once; otherwise when the database refuses or does not answer.
pub async fn delete_matching(
    conn: &impl ConnectionTrait,
    tables: &[(&Reach, &Way, &Keys)],
) -> Result<Vec<(usize, Count)>, StoreError> {
    let backend = conn.get_database_backend();
    let mut counted = Vec::new();
    if backend != DbBackend::Postgres {
        for (place, (reach, way, keys)) in tables.iter().enumerate() {
            let counts = delete(conn, reach, Rows::Matching(way), keys).await?;
            counted.extend(counts.into_iter().map(|count| (place, count)));
        }
        return Ok(counted);
    }
    // One statement for all: the keys of a batch cost as much to send and to read as hundreds of rows to delete.
    let mut shared = Shared::default();
    let (mut deletes, mut selects) = (Vec::new(), Vec::new());
    for (place, (reach, way, keys)) in tables.iter().enumerate() {
        let from = shared.table(backend, keys);
        deletes.push(format!("d{place} AS ({})", returning_jobs(reach, Rows::Matching(way), &from)));
        selects.push(format!(
            r#"SELECT CAST({place} AS bigint) AS "place", "job", count(*) AS "n" FROM d{place} GROUP BY "job""#
        ));
    }
    if selects.is_empty() {
        return Ok(counted);
    }
    let sql = format!("{}{}", shared.with(&deletes.join(", ")), selects.join(" UNION ALL "));
    let counted = placed(conn, sql, shared.values).await;
    counted.map_err(|error| if tables.len() > 1 { error.of_several_tables() } else { error })
}

/// PostgreSQL's DELETE of what the keys of `from` find, which gives the job of each row.
fn returning_jobs(reach: &Reach, which: Rows<'_>, from: &str) -> String {
    let reach = &reach.needed(which);
    let wanted = reach.wanted(DbBackend::Postgres, which, r#"k."shop""#, r#"k."val""#);
    let (table, using, joined) = (&reach.table, reach.using(), reach.joined());
    format!(r#"DELETE FROM {table} AS t USING {from} AS k{using} WHERE {joined}{wanted} RETURNING k."job""#)
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
    if backend == DbBackend::Postgres {
        let deleting = returning_jobs(reach, which, &rows);
        let sql = format!(r#"WITH d AS ({deleting}) SELECT "job", count(*) AS "n" FROM d GROUP BY "job""#);
        return counts(conn, sql, values).await;
    }
    let reach = &reach.needed(which);
    let wanted = reach.wanted(backend, which, r#"k."shop""#, r#"k."val""#);
    let table = &reach.table;
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
