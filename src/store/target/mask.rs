//! Replaces values in rows that stay.
//!
//! The new values are worked out by the caller, from rows that are locked; the statements here find the rows that still
//! hold something to replace, and write the new values. What is masked already is not found again.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::{Map, Value as Json};

use super::way::{json_values, text_of_json};
use super::{Ident, JsonPath, Keys, Kind, Reach, Rows};
use crate::store::StoreError;
use crate::store::rows::Rows as Table;

/// What becomes of a masked value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// `***REDACTED***`.
    Redact,
    /// `hash:` and a keyed digest.
    Hash,
    /// `enc:` and the value, encrypted.
    Encrypt,
    /// Null, or the field is taken out.
    Remove,
}

/// What a redacted value reads as.
pub const REDACTED: &str = "***REDACTED***";

/// Characters behind `enc:`, at least: an envelope holds a wrapped key, nonces and tags.
const SEALED_LEN: usize = 120;

/// A column of which something is masked.
#[derive(Clone, Debug)]
pub struct MaskedColumn {
    pub column: Ident,
    pub kind: Kind,
    /// The whole column, or paths of its JSON, each with its replacement.
    pub parts: Vec<(Option<JsonPath>, Replacement)>,
}

/// A locked row with what its masked columns hold.
#[derive(Clone, Debug)]
pub struct Masked {
    pub job: usize,
    row: (i64, String),
    /// One per masked column; JSON columns as JSON text.
    pub values: Vec<Option<String>>,
}

/// The rows that one look found and locked.
#[derive(Clone, Debug, Default)]
pub struct Locked {
    pub rows: Vec<Masked>,
    /// Whether the limit was reached, so that there may be more.
    pub more: bool,
}

/// What to write into a locked row: by the place of the masked column; a column that is absent stays as it is.
#[derive(Clone, Debug)]
pub struct Replacing {
    row: (i64, String),
    columns: Map<String, Json>,
}

impl Masked {
    /// A replacement for this row, of nothing yet.
    pub fn replacing(&self) -> Replacing {
        Replacing { row: self.row.clone(), columns: Map::new() }
    }
}

impl Replacing {
    /// Sets the masked column at `place` to a text, or to null.
    pub fn set(&mut self, place: usize, value: Json) {
        self.columns.insert(place.to_string(), value);
    }
}

/// Whether a text still holds something to replace. What is masked already is told by its whole form, as
/// `redaction::is_masked` tells it.
fn not_yet(backend: DbBackend, text: &str, replacement: Replacement) -> String {
    let masked = match (replacement, backend) {
        (Replacement::Remove, _) => return format!("{text} IS NOT NULL"),
        (Replacement::Redact, _) => format!("{text}='{REDACTED}'"),
        (Replacement::Hash, DbBackend::Postgres) => format!("{text} ~ '^hash:[0-9a-f]{{64}}$'"),
        (Replacement::Hash, _) => {
            format!("({text} GLOB 'hash:*' AND length({text})=69 AND substr({text},6) NOT GLOB '*[^0-9a-f]*')")
        }
        (Replacement::Encrypt, DbBackend::Postgres) => format!("{text} ~ '^enc:[A-Za-z0-9_-]{{{SEALED_LEN},}}$'"),
        (Replacement::Encrypt, _) => format!(
            "({text} GLOB 'enc:*' AND length({text})>={} AND substr({text},5) NOT GLOB '*[^A-Za-z0-9_-]*')",
            SEALED_LEN + 4
        ),
    };
    format!("({text}<>'' AND NOT {masked})")
}

/// The condition that any masked column of the row `t` still holds something to replace.
pub(super) fn unmasked(backend: DbBackend, masks: &[MaskedColumn]) -> String {
    let mut any = Vec::new();
    for mask in masks {
        let column = format!("t.{}", mask.column);
        for (path, replacement) in &mask.parts {
            any.push(match path {
                None => not_yet(backend, &format!("CAST({column} AS text)"), *replacement),
                Some(path) => {
                    let (from, value) = json_values(backend, &column, path);
                    let held = not_yet(backend, &text_of_json(backend, &value), *replacement);
                    format!("EXISTS (SELECT 1 FROM {from} WHERE {held})")
                }
            });
        }
    }
    if any.is_empty() { "1=0".to_owned() } else { format!("({})", any.join(" OR ")) }
}

/// Finds up to `limit` rows that still hold something to replace, locks them, and reads their masked columns.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn lock_unmasked(
    conn: &impl ConnectionTrait,
    reach: &Reach,
    which: Rows<'_>,
    keys: &Keys,
    masks: &[MaskedColumn],
    limit: u64,
) -> Result<Locked, StoreError> {
    if keys.is_empty() {
        return Ok(Locked::default());
    }
    let backend = conn.get_database_backend();
    let mut values = Vec::new();
    let rows = keys.table(backend, &mut values);
    let wanted = reach.wanted(backend, which, r#"k."shop""#, r#"k."val""#);
    let (table, from, unmasked) = (&reach.table, reach.needed(which).from(), unmasked(backend, masks));
    let columns: Vec<String> =
        masks.iter().enumerate().map(|(i, mask)| format!(r#"CAST(t.{} AS text) AS "c{i}""#, mask.column)).collect();
    let columns = columns.join(", ");
    let sql = if backend == DbBackend::Postgres {
        // Locked where it is found: a row that the app changes meanwhile is looked at again, and read as it is then.
        format!(
            r#"SELECT k."job" AS "job", CAST(t.tableoid AS bigint) AS "part", CAST(t.ctid AS text) AS "row", {columns}
               FROM {rows} AS k, {from} WHERE {wanted} AND {unmasked} LIMIT {limit} FOR UPDATE OF t"#
        )
    } else {
        format!(
            r#"SELECT f."job" AS "job", 0 AS "part", CAST(f."row" AS text) AS "row", {columns} FROM (SELECT
                 min(k."job") AS "job", t.rowid AS "row" FROM {rows} AS k JOIN {from} WHERE {wanted} AND {unmasked}
                 GROUP BY t.rowid LIMIT {limit}) AS f JOIN {table} AS t ON t.rowid=f."row""#
        )
    };
    let rows = conn.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    let mut locked: Vec<Masked> = Vec::with_capacity(rows.len());
    let mut seen = HashMap::with_capacity(rows.len());
    for row in &rows {
        let job: i64 = row.try_get("", "job")?;
        let job = usize::try_from(job).unwrap_or(usize::MAX);
        let row_id: (i64, String) = (row.try_get("", "part")?, row.try_get("", "row")?);
        // What several keys find is one row, of the first of their jobs.
        if let Some(place) = seen.get(&row_id) {
            let known: &mut Masked = &mut locked[*place];
            known.job = known.job.min(job);
            continue;
        }
        let mut values = Vec::with_capacity(masks.len());
        for place in 0..masks.len() {
            values.push(row.try_get("", &format!("c{place}"))?);
        }
        seen.insert(row_id.clone(), locked.len());
        locked.push(Masked { job, row: row_id, values });
    }
    Ok(Locked { rows: locked, more: rows.len() as u64 >= limit })
}

/// Writes new values into rows that this transaction has locked.
///
/// # Errors
/// When the database refuses or does not answer, or a row is not there any more.
pub async fn replace(
    conn: &impl ConnectionTrait,
    table: &Ident,
    masks: &[MaskedColumn],
    rows: Vec<Replacing>,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let backend = conn.get_database_backend();
    let wanted = rows.len() as u64;
    let mut values = Vec::new();
    let written = Table::new()
        .int("part", rows.iter().map(|row| row.row.0))
        .text("row", rows.iter().map(|row| row.row.1.clone()))
        .text("doc", rows.into_iter().map(|row| Json::Object(row.columns).to_string()))
        .table(backend, &mut values);
    let set: Vec<String> = masks
        .iter()
        .enumerate()
        .map(|(i, MaskedColumn { column, kind, .. })| {
            if backend == DbBackend::Postgres {
                let (new, old) = (format!("CAST(v.\"doc\" AS jsonb)->>'{i}'"), format!("t.{column}"));
                let (new, old, cast) = match kind {
                    Kind::Text => (new, old, ""),
                    // Of the column itself, `json` or `jsonb`: the one is assigned to the other.
                    Kind::Json => (new, format!("CAST({old} AS text)"), "::json"),
                    _ => ("NULL".to_owned(), old, ""),
                };
                format!(
                    "{column}=(CASE WHEN jsonb_exists(CAST(v.\"doc\" AS jsonb),'{i}') THEN {new} ELSE {old} END){cast}"
                )
            } else {
                format!(
                    "{column}=CASE WHEN json_type(v.\"doc\",'$.\"{i}\"') IS NOT NULL THEN \
                     json_extract(v.\"doc\",'$.\"{i}\"') ELSE t.{column} END"
                )
            }
        })
        .collect();
    let same_row = if backend == DbBackend::Postgres {
        r#"t.ctid=CAST(v."row" AS tid) AND t.tableoid=CAST(v."part" AS oid)"#
    } else {
        r#"t.rowid=CAST(v."row" AS integer)"#
    };
    let sql = format!("UPDATE {table} AS t SET {} FROM {written} AS v WHERE {same_row}", set.join(", "));
    let touched = conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?.rows_affected();
    crate::store::error::exactly("masking locked rows", wanted, touched)
}
