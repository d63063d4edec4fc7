//! How a database writes its dates: Prisma on SQLite writes milliseconds, Rails and Laravel write texts.

use serde::Serialize;

use super::words;
use crate::store::catalog::sample::{Form, Samples};
use crate::store::catalog::{Column, Dialect, Family, Table};

/// How a column's dates are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Representation {
    /// A type of the database's own.
    Native,
    UnixMs,
    UnixSeconds,
    /// `2026-11-21T09:30:00.000Z`
    IsoText,
    /// `2026-11-21 09:30:00`
    SqlText,
    /// No row tells.
    Unknown,
}

/// A column with dates.
#[derive(Clone, Debug, Serialize)]
pub struct Dates {
    pub column: String,
    pub representation: Representation,
}

/// The table's columns with dates, by type, by name, and by the form of some of their values.
pub(super) fn find(dialect: Dialect, table: &Table, samples: &Samples) -> Vec<Dates> {
    let found = table.columns.iter().filter_map(|column| {
        let representation = representation(dialect, table, column, samples)?;
        Some(Dates { column: column.name.clone(), representation })
    });
    found.collect()
}

fn representation(dialect: Dialect, table: &Table, column: &Column, samples: &Samples) -> Option<Representation> {
    if dialect == Dialect::Postgres && column.family == Family::Instant {
        return Some(Representation::Native);
    }
    let named = words::words(&column.name)
        .last()
        .is_some_and(|last| matches!(last.as_str(), "at" | "on" | "date" | "time" | "timestamp" | "expires" | "until"));
    let may = column.family == Family::Instant || named && matches!(column.family, Family::Integer | Family::Text);
    if !may {
        return None;
    }
    let forms = [
        (Form::UnixMilliseconds, Representation::UnixMs),
        (Form::UnixSeconds, Representation::UnixSeconds),
        (Form::IsoInstant, Representation::IsoText),
        (Form::SqlInstant, Representation::SqlText),
    ];
    let seen = forms.into_iter().find(|(form, _)| samples.is_mostly(&table.name, &column.name, *form));
    match seen {
        Some((_, representation)) => Some(representation),
        None => (column.family == Family::Instant).then_some(Representation::Unknown),
    }
}
