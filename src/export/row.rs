//! A row as it lies in a part, taken apart without changing a digit.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The largest whole number that JavaScript, and every reader that makes floats of numbers, reads exactly.
const EXACT_MAX: u64 = (1 << 53) - 1;
/// Digits of a decimal number that survive such a reader.
const EXACT_DIGITS: usize = 15;

/// One row: its cells by column, in the order of the data map.
#[derive(Debug)]
pub(super) struct Row<'a> {
    cells: Vec<(String, &'a RawValue)>,
}

/// One cell.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cell<'a> {
    Null,
    /// `true`, `false`, or a number that every reader reads exactly; as it stands.
    Plain(&'a str),
    /// A number that readers of floats would alter.
    LongNumber(&'a str),
    Text(String),
    /// A JSON object or array; as it stands.
    Json(&'a str),
}

impl<'a> Row<'a> {
    /// Reads one line of a part; `None` when it is no JSON object.
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        let mut reader = serde_json::Deserializer::from_str(line);
        let cells = reader.deserialize_map(Cells).ok()?;
        reader.end().ok()?;
        Some(Self { cells })
    }

    /// Columns and cells, in the row's order.
    pub(super) fn cells(&self) -> impl Iterator<Item = (&str, Cell<'a>)> {
        self.cells.iter().map(|(column, value)| (column.as_str(), Cell::of(value.get())))
    }

    /// Columns and cells as JSON, in the row's order.
    pub(super) fn raw(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.cells.iter().map(|(column, value)| (column.as_str(), value.get()))
    }
}

impl<'a> Cell<'a> {
    /// The cell of a JSON value.
    pub(super) fn of(json: &'a str) -> Self {
        match json.as_bytes().first() {
            Some(b'"') => serde_json::from_str(json).map_or(Self::Json(json), Self::Text),
            Some(b'{' | b'[') => Self::Json(json),
            Some(b'n') | None => Self::Null,
            Some(b't' | b'f') => Self::Plain(json),
            Some(_) if is_long_number(json) => Self::LongNumber(json),
            Some(_) => Self::Plain(json),
        }
    }
}

/// Whether a JSON value is a number that readers of floats would alter.
pub(super) fn is_long_number(json: &str) -> bool {
    json.starts_with(|first: char| first == '-' || first.is_ascii_digit()) && !is_exact(json)
}

fn is_exact(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return digits.parse().is_ok_and(|number: u64| number <= EXACT_MAX);
    }
    let mantissa = digits.split(['e', 'E']).next().unwrap_or_default();
    let significant = mantissa.trim_start_matches(['0', '.']);
    significant.bytes().filter(u8::is_ascii_digit).count() <= EXACT_DIGITS
}

struct Cells;

impl<'a> Visitor<'a> for Cells {
    type Value = Vec<(String, &'a RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut cells = Vec::new();
        while let Some(cell) = map.next_entry()? {
            cells.push(cell);
        }
        Ok(cells)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_a_float_would_alter_is_told_apart() {
        for exact in ["0", "-7", "9007199254740991", "-9007199254740991", "19.99", "0.000000000000001", "1e300"] {
            assert_eq!(Cell::of(exact), Cell::Plain(exact));
        }
        for long in [
            "9007199254740992",
            "-9007199254740993",
            "18446744073709551616",
            "1234567890123456.7",
            "0.1234567890123456",
        ] {
            assert_eq!(Cell::of(long), Cell::LongNumber(long));
        }
    }

    #[test]
    fn a_row_keeps_its_order_and_its_digits() {
        let row =
            Row::parse(r#"{"z" : 9007199254740993, "a" : "x\"\n\u00e9", "n" : null, "j" : {"id": 1.50}, "b" : true}"#);
        let cells: Vec<_> = row.as_ref().unwrap().cells().collect();
        let expected = [
            ("z", Cell::LongNumber("9007199254740993")),
            ("a", Cell::Text("x\"\né".to_owned())),
            ("n", Cell::Null),
            ("j", Cell::Json(r#"{"id": 1.50}"#)),
            ("b", Cell::Plain("true")),
        ];
        assert_eq!(cells, expected);
        assert!(Row::parse("[1]").is_none() && Row::parse("{} {}").is_none());
    }
}
