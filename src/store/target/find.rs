//! Looks for rows without changing them: to count what is there, to show samples, to export.

use std::collections::HashSet;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, QueryResult, Statement, StreamTrait as _, Value,
};

use super::keys::{Shared, placed};
use super::mask::unmasked;
use super::reach::{row_id, row_names};
use super::{Count, Ident, Keys, MaskedColumn, Place, Reach, Rows, Way};
use crate::store::StoreError;
use crate::store::rows::Rows as Table;

/// Rows of one table to look for: what any of the ways finds with its keys.
#[derive(Clone, Debug)]
pub struct Probe<'a> {
    pub reach: &'a Reach,
    pub ways: Vec<(Rows<'a>, &'a Keys)>,
    /// Only rows in which any of these columns still holds what a mask would replace.
    pub unmasked: Option<&'a [MaskedColumn]>,
}

impl Probe<'_> {
    fn wanted(&self, backend: DbBackend, which: Rows<'_>) -> String {
        let mut wanted = self.reach.wanted(backend, which, r#"k."shop""#, r#"k."val""#);
        if let Some(masks) = self.unmasked {
            wanted = format!("{wanted} AND {}", unmasked(backend, masks));
        }
        wanted
    }

    fn is_idle(&self) -> bool {
        self.ways.iter().all(|(_, keys)| keys.is_empty())
    }
}

/// Counts, per probe and job, the rows that are found: one statement, so one snapshot for all tables. Probes and jobs
/// without rows are absent; the first number is the probe's place.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn count_found(conn: &impl ConnectionTrait, probes: &[Probe<'_>]) -> Result<Vec<(usize, Count)>, StoreError> {
    let backend = conn.get_database_backend();
    let mut shared = Shared::default();
    let mut selects = Vec::new();
    for (place, probe) in probes.iter().enumerate().filter(|(_, probe)| !probe.is_idle()) {
        let mut found = Vec::new();
        for (which, keys) in probe.ways.iter().filter(|(_, keys)| !keys.is_empty()) {
            let table = shared.table(backend, keys);
            found.push((table, probe.reach.needed(*which).from(), probe.wanted(backend, *which)));
        }
        // Of an array or a document, several keys may find the same row.
        let whole = |which: &Rows<'_>| matches!(which, Rows::Matching(way) if way.place == Place::Whole);
        let one_to_one =
            found.len() == 1 && probe.reach.hops.is_empty() && probe.ways.iter().all(|(way, _)| whole(way));
        selects.push(if one_to_one {
            // Both columns of the key are joined, so that each key is one probe of the index: a condition on the shop
            // alone would visit all of a large shop's rows.
            let (table, from, wanted) = &found[0];
            format!(
                r#"SELECT CAST({place} AS bigint) AS "place", k."job" AS "job", count(*) AS "n" FROM {table} AS k
                   JOIN {from} ON {wanted} GROUP BY k."job""#
            )
        } else {
            let each: Vec<String> = found
                .iter()
                .map(|(table, from, wanted)| {
                    format!(r#"SELECT k."job" AS "job", {} FROM {table} AS k, {from} WHERE {wanted}"#, row_id(backend))
                })
                .collect();
            // UNION, so that a row which two ways find counts once.
            format!(
                r#"SELECT CAST({place} AS bigint) AS "place", "job", count(*) AS "n"
                   FROM (SELECT DISTINCT "job", {} FROM ({}) AS a) AS f GROUP BY "job""#,
                row_names(backend),
                each.join(" UNION ALL "),
            )
        });
    }
    if selects.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("{}{}", shared.with(""), selects.join(" UNION ALL "));
    placed(conn, sql, shared.values).await
}

/// Reads a few rows' keys of one probe, as text, in order: the given columns, joined with a space.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn samples(
    conn: &impl ConnectionTrait,
    probe: &Probe<'_>,
    columns: &[Ident],
    limit: u64,
) -> Result<Vec<String>, StoreError> {
    if probe.is_idle() || columns.is_empty() {
        return Ok(Vec::new());
    }
    let backend = conn.get_database_backend();
    let mut shared = Shared::default();
    let key: Vec<String> = columns.iter().map(|column| format!("CAST(t.{column} AS text)")).collect();
    let key = key.join(" || ' ' || ");
    let mut each = Vec::new();
    for (which, keys) in probe.ways.iter().filter(|(_, keys)| !keys.is_empty()) {
        let table = shared.table(backend, keys);
        let (from, wanted) = (probe.reach.needed(*which).from(), probe.wanted(backend, *which));
        each.push(format!(r#"SELECT {key} AS "key" FROM {table} AS k, {from} WHERE {wanted}"#));
    }
    let sql = format!(
        r#"{}SELECT "key" FROM ({}) AS s WHERE "key" IS NOT NULL ORDER BY "key" LIMIT {limit}"#,
        shared.with(""),
        each.join(" UNION ")
    );
    let rows = conn.query_all_raw(Statement::from_sql_and_values(backend, sql, shared.values)).await?;
    rows.iter().map(|row| row.try_get("", "key").map_err(StoreError::from)).collect()
}

/// Counts, per table and job, the rows of whole shops, all or those made up to an instant, each count cut off at `limit`.
/// Tables and jobs without rows are absent.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn shop_rows(
    conn: &impl ConnectionTrait,
    which: Rows<'_>,
    tables: &[(&Reach, Option<&[MaskedColumn]>)],
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
        .map(|(place, (reach, masks))| {
            let mut wanted = reach.wanted(backend, which, r#"k."shop""#, r#"k."val""#);
            if let Some(masks) = masks {
                wanted = format!("{wanted} AND {}", unmasked(backend, masks));
            }
            let from = reach.needed(which).from();
            let n =
                format!(r#"(SELECT count(*) FROM (SELECT 1 AS "one" FROM {from} WHERE {wanted} LIMIT {limit}) AS x)"#);
            format!(r#"SELECT CAST({place} AS bigint) AS "place", k."job" AS "job", {n} AS "n" FROM k"#)
        })
        .collect();
    let sql = format!(
        r#"WITH k AS MATERIALIZED {rows} SELECT "place","job","n" FROM ({}) AS c WHERE "n">0"#,
        probes.join(" UNION ALL ")
    );
    placed(conn, sql, values).await
}

/// Finds, per table, which of these shops have any value between two bounds, both included: one probe of the index each.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn shops_with_values_between(
    conn: &impl ConnectionTrait,
    tables: &[(&Reach, &Way)],
    shops: Vec<String>,
    (first, last): (&str, &str),
) -> Result<HashSet<(usize, String)>, StoreError> {
    if shops.is_empty() || tables.is_empty() {
        return Ok(HashSet::new());
    }
    let backend = conn.get_database_backend();
    let mut values = vec![Value::from(first), Value::from(last)];
    let rows = Table::new().text("shop", shops).table(backend, &mut values);
    let probes: Vec<String> = tables
        .iter()
        .enumerate()
        .map(|(place, (reach, way))| {
            let (from, value) = (reach.needed(Rows::Matching(way)).from(), way.column.sql());
            let of_shop = reach.of_shop(backend, r#"k."shop""#);
            format!(
                r#"SELECT CAST({place} AS bigint) AS "place", k."shop" AS "shop" FROM {rows} AS k WHERE EXISTS (SELECT 1
                   FROM {from} WHERE {of_shop} AND {value}>=$1 AND {value}<=$2)"#
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

/// Streams the rows of one table that any way finds with its keys, as JSON objects of the given columns in a stable order.
/// Few rows are in memory at any time; the connection is busy until the stream has ended.
///
/// Values are exact. Where SQLite's own text of a number would round it, the number comes as text with all its digits;
/// bytes come as PostgreSQL writes them, `\x` and hex.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn stream_matching<'c>(
    snapshot: &'c DatabaseTransaction,
    probe: &Probe<'_>,
    columns: &[Ident],
) -> Result<BoxStream<'c, Result<String, StoreError>>, StoreError> {
    if probe.is_idle() {
        return Ok(stream::empty().boxed());
    }
    let backend = ConnectionTrait::get_database_backend(snapshot);
    let mut shared = Shared::default();
    let table = &probe.reach.table;
    let mut each = Vec::new();
    for (which, keys) in probe.ways.iter().filter(|(_, keys)| !keys.is_empty()) {
        let keys = shared.table(backend, keys);
        let (from, wanted) = (probe.reach.needed(*which).from(), probe.wanted(backend, *which));
        each.push(format!("SELECT {} FROM {keys} AS k, {from} WHERE {wanted}", row_id(backend)));
    }
    let same_row =
        if backend == DbBackend::Postgres { r#"t.ctid=f."row" AND t.tableoid=f."part""# } else { r#"t.rowid=f."row""# };
    let order = if backend == DbBackend::Postgres { "t.tableoid, t.ctid" } else { "t.rowid" };
    let sql = format!(
        r#"{}SELECT {} AS "row" FROM (SELECT DISTINCT {} FROM ({}) AS a) AS f JOIN {table} AS t ON {same_row}
           ORDER BY {order}"#,
        shared.with(""),
        exact_object(backend, columns),
        row_names(backend),
        each.join(" UNION ALL "),
    );
    let found = snapshot.stream_raw(Statement::from_sql_and_values(backend, sql, shared.values)).await?;
    let table = table.clone();
    let read = move |row: Result<QueryResult, DbErr>| {
        row.and_then(|row| row.try_get("", "row")).map_err(|error| StoreError::from(error).of_table(&table))
    };
    Ok(found.map(read).boxed())
}

/// An expression of a row under the alias `t` as JSON text.
fn exact_object(backend: DbBackend, columns: &[Ident]) -> String {
    if backend == DbBackend::Postgres {
        // json_build_object takes no more than fifty columns.
        let columns: Vec<String> = columns.iter().map(|column| format!("t.{column}")).collect();
        return format!("(SELECT row_to_json(r) FROM (SELECT {}) AS r)::text", columns.join(", "));
    }
    let pairs = columns.iter().map(|column| {
        let (name, cell) = (column.as_str(), format!("t.{column}"));
        format!(
            r"'{name}', CASE typeof({cell}) WHEN 'blob' THEN '\x' || lower(hex({cell}))
              WHEN 'real' THEN iif(CAST(CAST({cell} AS TEXT) AS REAL)={cell}, {cell}, printf('%!.17g', {cell}))
              ELSE {cell} END"
        )
    });
    format!("json_object({})", pairs.collect::<Vec<_>>().join(", "))
}
