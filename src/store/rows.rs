//! Passes many rows to one statement, the same way on both databases.
//!
//! A set-based statement joins its keys from parameters: arrays and `unnest` on PostgreSQL, one JSON document and
//! `json_each` on SQLite. [`Rows`] hides the difference, so that a statement is written once.

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};
use sea_orm::sea_query::ArrayType;
use sea_orm::{DbBackend, Value};

#[derive(Debug)]
enum Cells {
    Text(Vec<String>),
    TextOrNull(Vec<Option<String>>),
    Int(Vec<i64>),
    Bytes(Vec<Vec<u8>>),
    Instant(Vec<DateTime<Utc>>),
}

/// Columns of equal length that become a table expression of a statement.
#[derive(Debug, Default)]
pub struct Rows {
    columns: Vec<(&'static str, Cells)>,
}

impl Rows {
    /// No columns yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text column.
    #[must_use]
    pub fn text<S: Into<String>>(mut self, name: &'static str, cells: impl IntoIterator<Item = S>) -> Self {
        self.columns.push((name, Cells::Text(cells.into_iter().map(Into::into).collect())));
        self
    }

    /// Adds a text column with nulls. An empty text reads as null.
    #[must_use]
    pub fn text_or_null(mut self, name: &'static str, cells: impl IntoIterator<Item = Option<String>>) -> Self {
        self.columns.push((name, Cells::TextOrNull(cells.into_iter().collect())));
        self
    }

    /// Adds a column of 64-bit integers.
    #[must_use]
    pub fn int(mut self, name: &'static str, cells: impl IntoIterator<Item = i64>) -> Self {
        self.columns.push((name, Cells::Int(cells.into_iter().collect())));
        self
    }

    /// Adds a column of bytes.
    #[must_use]
    pub fn bytes(mut self, name: &'static str, cells: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.columns.push((name, Cells::Bytes(cells.into_iter().collect())));
        self
    }

    /// Adds a column of instants.
    #[must_use]
    pub fn instant(mut self, name: &'static str, cells: impl IntoIterator<Item = DateTime<Utc>>) -> Self {
        self.columns.push((name, Cells::Instant(cells.into_iter().collect())));
        self
    }

    /// The table expression, to be given an alias by the statement, whose parameters start at `$first`; pushes its
    /// parameters to `values`.
    pub fn table(self, backend: DbBackend, values: &mut Vec<Value>) -> String {
        if backend == DbBackend::Postgres { self.unnest(values) } else { self.json_each(values) }
    }

    fn unnest(self, values: &mut Vec<Value>) -> String {
        let (mut selected, mut arrays, mut names) = (String::new(), String::new(), String::new());
        for (i, (name, cells)) in self.columns.into_iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            let nullable = matches!(cells, Cells::TextOrNull(_));
            let (kind, array_type, cells): (_, _, Vec<Value>) = match cells {
                Cells::Text(v) => ("text", ArrayType::String, v.into_iter().map(Value::from).collect()),
                Cells::TextOrNull(v) => {
                    ("text", ArrayType::String, v.into_iter().map(|v| Value::from(v.unwrap_or_default())).collect())
                }
                Cells::Int(v) => ("int8", ArrayType::BigInt, v.into_iter().map(Value::from).collect()),
                Cells::Bytes(v) => ("bytea", ArrayType::Bytes, v.into_iter().map(Value::from).collect()),
                Cells::Instant(v) => {
                    ("timestamptz", ArrayType::ChronoDateTimeUtc, v.into_iter().map(Value::from).collect())
                }
            };
            values.push(Value::Array(array_type, Some(Box::new(cells))));
            let _ = write!(arrays, "{comma}${}::{kind}[]", values.len());
            let _ = write!(names, "{comma}c{i}");
            if nullable {
                let _ = write!(selected, "{comma}NULLIF(c{i}, '') AS \"{name}\"");
            } else {
                let _ = write!(selected, "{comma}c{i} AS \"{name}\"");
            }
        }
        format!("(SELECT {selected} FROM unnest({arrays}) AS u({names}))")
    }

    fn json_each(self, values: &mut Vec<Value>) -> String {
        let length = self.columns.first().map_or(0, |(_, cells)| cells.len());
        let mut json = vec![Vec::with_capacity(self.columns.len()); length];
        let mut selected = String::new();
        for (i, (name, cells)) in self.columns.into_iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            let cell = format!("value->>'$[{i}]'");
            let cell = if matches!(cells, Cells::Bytes(_)) { format!("unhex({cell})") } else { cell };
            let _ = write!(selected, "{comma}{cell} AS \"{name}\"");
            for (row, cell) in json.iter_mut().zip(cells.into_json()) {
                row.push(cell);
            }
        }
        values.push(Value::from(serde_json::Value::from(json).to_string()));
        format!("(SELECT {selected} FROM json_each(${}))", values.len())
    }
}

impl Cells {
    fn len(&self) -> usize {
        match self {
            Self::Text(v) => v.len(),
            Self::TextOrNull(v) => v.len(),
            Self::Int(v) => v.len(),
            Self::Bytes(v) => v.len(),
            Self::Instant(v) => v.len(),
        }
    }

    fn into_json(self) -> Vec<serde_json::Value> {
        match self {
            Self::Text(v) => v.into_iter().map(Into::into).collect(),
            Self::TextOrNull(v) => v.into_iter().map(Into::into).collect(),
            Self::Int(v) => v.into_iter().map(Into::into).collect(),
            Self::Bytes(v) => v.into_iter().map(|bytes| hex::encode(bytes).into()).collect(),
            Self::Instant(v) => v.into_iter().map(|at| instant_text(at).into()).collect(),
        }
    }
}

/// An instant as sqlx writes it to SQLite, so that texts compare as times do; PostgreSQL reads it as well.
pub fn instant_text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, false)
}
