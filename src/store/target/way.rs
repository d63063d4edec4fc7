//! How a table's rows are matched with a subject: which column, where in it, and in which form.

use std::fmt::Write as _;

use sea_orm::DbBackend;

use super::{Column, JsonPath, Kind};

/// Where in a column the value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is the column's value.
    Whole,
    /// At a path of the column's JSON.
    Json(JsonPath),
    /// Any element of the column's array (PostgreSQL).
    Element,
}

/// How a stored value is compared with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// As it stands.
    Exact,
    /// In the normal form of `webhook::normal_form::email`.
    Email,
    /// By its digits, as in `webhook::normal_form::phone`; keys come with and without the `00` in front.
    Phone,
}

/// One way from a table's rows to a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    pub column: Column,
    pub place: Place,
    pub comparison: Comparison,
}

impl Comparison {
    pub(in crate::store) fn of(self, backend: DbBackend, value: &str) -> String {
        match (self, backend) {
            (Self::Exact, _) => value.to_owned(),
            (Self::Email, DbBackend::Postgres) => format!("lower(btrim({value}) COLLATE \"C\")"),
            (Self::Email, _) => format!("lower(trim({value}))"),
            (Self::Phone, DbBackend::Postgres) => format!("regexp_replace({value}, '[^0-9]', '', 'g')"),
            (Self::Phone, _) => phone_digits(value),
        }
    }
}

/// SQLite has no regular expressions: the digits are picked out one by one. A text longer than any that a webhook gives
/// is no phone number.
fn phone_digits(value: &str) -> String {
    format!(
        "(WITH RECURSIVE digits(v,i,o) AS (SELECT CAST({value} AS text),1,'' WHERE length({value})<=1024 UNION ALL \
         SELECT v,i+1,o||CASE WHEN substr(v,i,1) BETWEEN '0' AND '9' THEN substr(v,i,1) ELSE '' END FROM digits \
         WHERE i<=length(v)) SELECT o FROM digits WHERE i>length(v))"
    )
}

impl Way {
    /// The condition that a row of the reach matches the key whose value is the expression `key`.
    pub(super) fn matches(&self, backend: DbBackend, key: &str) -> String {
        let column = self.column.sql();
        match &self.place {
            Place::Whole => {
                let text = if backend == DbBackend::Postgres && self.comparison != Comparison::Exact {
                    format!("CAST({column} AS text)")
                } else {
                    column
                };
                let key =
                    if self.comparison == Comparison::Exact { self.column.kind.cast(backend, key) } else { key.into() };
                format!("{}={key}", self.comparison.of(backend, &text))
            }
            Place::Element if self.comparison == Comparison::Exact => {
                let element = match self.column.kind {
                    Kind::Integer => format!("CAST({key} AS bigint)"),
                    Kind::Numeric => format!("CAST({key} AS numeric)"),
                    Kind::Uuid => format!("CAST({key} AS uuid)"),
                    _ => format!("CAST({key} AS text)"),
                };
                format!("{element}=ANY({column})")
            }
            Place::Element => {
                let value = self.comparison.of(backend, "CAST(e.v AS text)");
                format!("EXISTS (SELECT 1 FROM unnest({column}) AS e(v) WHERE {value}={key})")
            }
            Place::Json(path) => {
                let (from, value) = json_values(backend, &column, path);
                let text = self.comparison.of(backend, &text_of_json(backend, &value));
                format!("EXISTS (SELECT 1 FROM {from} WHERE {text}={key})")
            }
        }
    }
}

/// A `FROM` list that gives one row per value at a path of a JSON column, and the value's expression in it.
pub(super) fn json_values(backend: DbBackend, column: &str, path: &JsonPath) -> (String, String) {
    if backend == DbBackend::Postgres {
        return jsonb_values(column, path);
    }
    let document = format!("CASE WHEN json_valid({column}) THEN {column} ELSE '{{}}' END");
    let (walks, last) = path.walks();
    let mut from = format!("(SELECT {document} AS j) AS d");
    let (mut holder, mut looks_in, mut kind) = ("d.j".to_owned(), "1".to_owned(), String::new());
    for (place, walk) in walks.iter().enumerate() {
        // What a walk meets that is no array has no elements, and a text is a text, even one that reads as JSON.
        let _ = write!(
            from,
            " JOIN json_each(CASE WHEN {looks_in} THEN CASE json_type({holder},'{walk}') WHEN 'array' \
             THEN json_extract({holder},'{walk}') ELSE '[]' END ELSE '[]' END) AS e{place}"
        );
        holder = format!("e{place}.value");
        kind = format!("e{place}.type");
        looks_in = format!("{kind} IN ('object','array')");
    }
    // SQLite reads true as 1, which may be an id.
    let value = |kind: &str, value: &str| {
        format!("CASE {kind} WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE {value} END")
    };
    let value = if last == "$" && !walks.is_empty() {
        value(&kind, &holder)
    } else {
        let value = value(&format!("json_type({holder},'{last}')"), &format!("json_extract({holder},'{last}')"));
        format!("CASE WHEN {looks_in} THEN {value} END")
    };
    (from, value)
}

/// As SQLite's: a name looks into objects alone, a walk into arrays alone. Paths of SQL/JSON take liberties with arrays.
fn jsonb_values(column: &str, path: &JsonPath) -> (String, String) {
    let mut from = format!("(SELECT CAST({column} AS jsonb) AS j) AS d");
    let mut holder = "d.j".to_owned();
    for (place, step) in path.steps().into_iter().enumerate() {
        if let Some(name) = step {
            holder = format!("({holder}->'{name}')");
            continue;
        }
        let _ = write!(
            from,
            " CROSS JOIN LATERAL jsonb_array_elements(CASE jsonb_typeof({holder}) WHEN 'array' THEN {holder} \
             ELSE '[]' END) AS e{place}(v)"
        );
        holder = format!("e{place}.v");
    }
    (from, holder)
}

/// A JSON value's text: what a scalar says, without quotes.
pub(super) fn text_of_json(backend: DbBackend, value: &str) -> String {
    if backend == DbBackend::Postgres { format!("({value} #>> '{{}}')") } else { format!("CAST({value} AS TEXT)") }
}
