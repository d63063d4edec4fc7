//! Holds what the databases hold after a job against what the model says.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::oracle::{self, Expected, RowName};
use super::schema::{Case, Dialect, Value, With};
use super::sql;

/// Every row with its cells as the database writes them, columns that are gone left out.
pub type Snapshot = BTreeMap<RowName, Vec<Option<String>>>;

/// Everything that is not as it must be.
pub fn differences(case: &Case, before: &Snapshot, after: &Snapshot, expected: &Expected) -> Vec<String> {
    let mut found = Vec::new();
    let name = |row: &RowName| format!("row {} of table \"{}\"", row.1, case.tables[row.0].name);
    for row in after.keys().filter(|row| !before.contains_key(row)) {
        found.push(format!("{} has come from nowhere", name(row)));
    }
    for (row, cells) in before {
        match (after.get(row), expected.deleted.contains(row)) {
            (Some(_), true) => found.push(format!("{} is still there, and must be deleted", name(row))),
            (None, false) => found.push(format!("{} is gone, and must stay", name(row))),
            (None, true) => {}
            (Some(now), false) => {
                let masked = expected.masked.get(row);
                let table = &case.tables[row.0];
                let dialect = case.stores[table.store].dialect;
                for ((place, column), (was, is)) in sql::columns(table).zip(cells.iter().zip(now)) {
                    let right = match masked.and_then(|columns| columns.get(&place)) {
                        Some(wanted) => is_masked(dialect, wanted, is.as_deref()),
                        None => was == is,
                    };
                    if !right {
                        let wanted = masked.and_then(|columns| columns.get(&place));
                        found.push(format!(
                            "{}: \"{}\" was {was:?} and is {is:?}, must be {wanted:?} (None: as it was)",
                            name(row),
                            column.name
                        ));
                    }
                }
            }
        }
    }
    found
}

fn is_masked(dialect: Dialect, wanted: &Value, is: Option<&str>) -> bool {
    let text = is.map(|is| sql::plain(dialect, is));
    match (wanted, text) {
        (Value::Null, _) => sql::is_null(dialect, is),
        (Value::Masked(with), Some(text)) => text.starts_with(oracle::mark(*with)),
        (Value::Text(wanted), Some(text)) => text == *wanted,
        (Value::Json(wanted), Some(text)) => {
            serde_json::from_str(&text).is_ok_and(|document: Json| is_same_document(wanted, &document))
        }
        _ => false,
    }
}

/// Whether two documents are the same but for what stands behind the mark of a mask.
fn is_same_document(wanted: &Json, is: &Json) -> bool {
    match (wanted, is) {
        (Json::Object(wanted), Json::Object(is)) => {
            wanted.len() == is.len()
                && wanted.iter().all(|(field, value)| is.get(field).is_some_and(|is| is_same_document(value, is)))
        }
        (Json::Array(wanted), Json::Array(is)) => {
            wanted.len() == is.len() && wanted.iter().zip(is).all(|(wanted, is)| is_same_document(wanted, is))
        }
        (Json::String(mark), Json::String(is))
            if [With::Hash, With::Encrypt].map(oracle::mark).contains(&mark.as_str()) =>
        {
            is.starts_with(mark) && is.len() > mark.len()
        }
        (wanted, is) => wanted == is,
    }
}

/// Every figure of the result that is not the model's. Figures that are absent are zero.
pub fn wrong_figures(expected: &Expected, result: &Json) -> Vec<String> {
    let figures = result.as_object().into_iter().flatten().filter(|(key, _)| key.as_str() != "completedAt");
    let figures: BTreeMap<String, u64> = figures.filter_map(|(key, n)| Some((key.clone(), n.as_u64()?))).collect();
    let keys = figures.keys().chain(expected.figures.keys()).collect::<std::collections::BTreeSet<_>>();
    let of = |figures: &BTreeMap<String, u64>, key: &String| figures.get(key).copied().unwrap_or_default();
    let wrong = keys.into_iter().filter(|key| of(&figures, key) != of(&expected.figures, key));
    wrong.map(|key| format!("{key} is {}, must be {}", of(&figures, key), of(&expected.figures, key))).collect()
}
