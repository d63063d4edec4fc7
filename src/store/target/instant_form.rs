//! How a column writes its instants.

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::purge::InstantForm;
use super::{Catalog, Ident};
use crate::store::StoreError;

/// Rows that are looked at.
const SAMPLE: usize = 200;
/// In milliseconds the year 1973, in seconds the year 5138.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// Finds out by type, and where the type does not tell, by some rows; none: in no form that is known, or in several.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn instant_form(
    conn: &impl ConnectionTrait,
    catalog: &Catalog,
    table: &Ident,
    column: &Ident,
) -> Result<Option<InstantForm>, StoreError> {
    let backend = conn.get_database_backend();
    let mut integers = false;
    if backend == DbBackend::Postgres {
        let tables = catalog.by_table();
        let column = tables.get(table.as_str()).and_then(|columns| columns.get(column.as_str()));
        match column.map(|column| column.data_type.as_str()) {
            Some("timestamptz" | "timestamp") => return Ok(Some(InstantForm::Timestamp)),
            Some("int8" | "int4" | "numeric") => integers = true,
            Some("text" | "varchar" | "bpchar") => {}
            _ => return Ok(None),
        }
    }
    let kind = match (backend, integers) {
        (DbBackend::Postgres, true) => "'integer'".to_owned(),
        (DbBackend::Postgres, false) => "'text'".to_owned(),
        _ => format!("typeof({column})"),
    };
    let sql = format!(
        r#"SELECT {kind} AS "kind", CASE WHEN {kind}='integer' THEN CAST({column} AS text) END AS "value"
           FROM {table} WHERE {column} IS NOT NULL LIMIT {SAMPLE}"#
    );
    let rows = conn.query_all_raw(Statement::from_string(backend, sql)).await?;
    let mut found = Vec::new();
    for row in &rows {
        let (kind, value): (String, Option<String>) = (row.try_get("", "kind")?, row.try_get("", "value")?);
        let form = match (kind.as_str(), value.and_then(|value| value.parse::<i64>().ok())) {
            ("text", _) => InstantForm::IsoText,
            (_, Some(number)) if number.abs() >= MILLISECONDS_FROM => InstantForm::UnixMillis,
            (_, Some(_)) => InstantForm::UnixSeconds,
            _ => return Ok(None),
        };
        if !found.contains(&form) {
            found.push(form);
        }
    }
    Ok(match found.as_slice() {
        // Without rows nothing is due, whatever the form; but PostgreSQL compares no number with a text.
        [] if integers => Some(InstantForm::UnixMillis),
        [] => Some(InstantForm::IsoText),
        [form] => Some(*form),
        _ => None,
    })
}
