//! When a row was made, whatever the column's type: as microseconds since 1970, so that all forms compare alike.

use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

use super::{Column, Reach, Rows};
use crate::store::StoreError;

/// How a column holds instants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Held {
    /// SQLite: each value says by its own type.
    #[default]
    Each,
    /// PostgreSQL's `timestamptz`.
    Zoned,
    /// PostgreSQL's `timestamp`, which is UTC.
    Unzoned,
    /// Milliseconds or seconds since 1970.
    Number,
    /// ISO 8601, with a zone or in UTC; or a number as text.
    Text,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Milliseconds,
    Seconds,
}

/// The column that says when a row was made.
#[derive(Clone, Debug)]
pub struct Made {
    pub column: Column,
    pub held: Held,
    /// What numbers count, when the map says so; otherwise their size tells.
    pub unit: Option<Unit>,
}

impl Made {
    /// The instant in microseconds since 1970, or null when the value does not read as one. A date without a time does not.
    pub(super) fn micros(&self, backend: DbBackend) -> String {
        let value = self.column.sql();
        if backend != DbBackend::Postgres {
            return self.micros_sqlite(&value);
        }
        let of_instant = |instant: &str| format!("CAST(extract(epoch FROM {instant})*1000000 AS bigint)");
        match self.held {
            Held::Zoned | Held::Unzoned => of_instant(&value),
            Held::Number => self.of_number(&format!("CAST({value} AS numeric)")),
            Held::Each | Held::Text => {
                let text = format!("CAST({value} AS text)");
                let number = self.of_number(&format!("CAST({text} AS numeric)"));
                // The session's zone is UTC: what names no zone gets that.
                let instant = of_instant(&format!("CAST({text} AS timestamptz)"));
                format!(
                    "CASE WHEN {text} ~ '^[0-9]{{9,14}}$' THEN {number} WHEN {text} ~ \
                     '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}([.][0-9]+)?)? ?(Z|[+-][0-9]{{2}}(:?[0-9]{{2}})?)?$' \
                     THEN {instant} END"
                )
            }
        }
    }

    fn micros_sqlite(&self, value: &str) -> String {
        let number = self.of_number(&format!("CAST({value} AS integer)"));
        format!(
            "CASE typeof({value}) WHEN 'integer' THEN {number} WHEN 'real' THEN {number} WHEN 'text' THEN CASE \
             WHEN {value} NOT GLOB '*[^0-9]*' AND length({value}) BETWEEN 9 AND 14 THEN {number} \
             WHEN {value} GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][T ][0-9][0-9]:[0-9][0-9]*' THEN \
             (CAST(strftime('%s',{value}) AS integer)*1000+CAST(substr(strftime('%f',{value}),4,3) AS integer))*1000 END END"
        )
    }

    fn of_number(&self, number: &str) -> String {
        // Seconds reach this in the year 5138, milliseconds passed it in 1973.
        let factor = match self.unit {
            Some(Unit::Milliseconds) => "1000".to_owned(),
            Some(Unit::Seconds) => "1000000".to_owned(),
            None => format!("CASE WHEN {number}>=100000000000 THEN 1000 ELSE 1000000 END"),
        };
        format!("CAST({number}*{factor} AS bigint)")
    }
}

/// An instant as rows are compared with it. SQLite tells milliseconds.
pub fn micros_of(backend: DbBackend, at: chrono::DateTime<chrono::Utc>) -> i64 {
    if backend == DbBackend::Postgres { at.timestamp_micros() } else { at.timestamp_millis() * 1_000 }
}

/// Whether a shop has a row in this table that does not say when it was made, itself or by the parent that should say so.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn has_undated(conn: &impl ConnectionTrait, reach: &Reach, shop: &str) -> Result<bool, StoreError> {
    let backend = conn.get_database_backend();
    let Some(made) = &reach.made else { return Ok(false) };
    let (from, of_shop) = (reach.joined_or_not(made.column.at), reach.of_shop(backend, "$1"));
    let sql = format!(r#"SELECT 1 AS "is" FROM {from} WHERE {of_shop} AND {} IS NULL LIMIT 1"#, made.micros(backend));
    let statement = Statement::from_sql_and_values(backend, sql, [Value::from(shop)]);
    Ok(conn.query_one_raw(statement).await?.is_some())
}

impl Reach {
    /// The condition that goes with `which`, with `AND` in front: rows that were made at the instant `micros` or before.
    /// Where nothing says when a row was made, none was.
    pub(super) fn in_time(&self, backend: DbBackend, which: Rows<'_>, micros: &str) -> String {
        match (which, &self.made) {
            (Rows::MadeUpTo, Some(made)) => format!(" AND {}<=CAST({micros} AS bigint)", made.micros(backend)),
            (Rows::MadeUpTo, None) => " AND 1=0".to_owned(),
            _ => String::new(),
        }
    }

    /// The condition that a row is one that `which` means, for the key whose shop and value are these expressions.
    pub(super) fn wanted(&self, backend: DbBackend, which: Rows<'_>, shop: &str, value: &str) -> String {
        let of_shop = self.of_shop(backend, shop);
        match which {
            Rows::Matching(way) => format!("{of_shop} AND {}", way.matches(backend, value)),
            Rows::WholeShop | Rows::MadeUpTo => format!("{of_shop}{}", self.in_time(backend, which, value)),
        }
    }
}
