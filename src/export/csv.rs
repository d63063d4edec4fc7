//! `TABLE.csv`: for spreadsheets, so UTF-8 with a byte order mark, lines that end in CR LF (RFC 4180), a head line.
//!
//! Texts are quoted, numbers and truth values are not, a null is an empty cell without quotes. A text that a spreadsheet
//! could take for a formula (it begins with `=`, `+`, `-`, `@`, a tab or a carriage return, or their full-width forms)
//! gets an apostrophe in front; numbers, which cannot be formulas, stay as they are. The exact value is in `TABLE.json`.

use std::io::{self, Write};

use super::row::{Cell, Row};

/// What a formula may begin with; spreadsheets of East Asian locales read the full-width forms alike.
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

/// Writes the mark and the head line.
pub(super) fn head(out: &mut dyn Write, columns: &[String]) -> io::Result<()> {
    out.write_all("\u{feff}".as_bytes())?;
    line(out, columns.iter(), |out, column| text(out, column))
}

/// Writes one row.
pub(super) fn row(out: &mut dyn Write, row: &Row<'_>) -> io::Result<()> {
    line(out, row.cells(), |out, (_, cell)| match cell {
        Cell::Null => Ok(()),
        Cell::Plain(plain) | Cell::LongNumber(plain) => out.write_all(plain.as_bytes()),
        Cell::Text(value) => text(out, &value),
        Cell::Json(json) => text(out, json),
    })
}

fn line<T>(
    out: &mut dyn Write,
    cells: impl Iterator<Item = T>,
    write: impl Fn(&mut dyn Write, T) -> io::Result<()>,
) -> io::Result<()> {
    for (place, cell) in cells.enumerate() {
        if place > 0 {
            out.write_all(b",")?;
        }
        write(out, cell)?;
    }
    out.write_all(b"\r\n")
}

fn text(out: &mut dyn Write, value: &str) -> io::Result<()> {
    let mark = if value.starts_with(FORMULA) { "'" } else { "" };
    write!(out, "\"{mark}{}\"", value.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(json: &str) -> String {
        let mut out = Vec::new();
        row(&mut out, &Row::parse(json).unwrap()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_could_be_a_formula_gets_an_apostrophe_and_numbers_stay() {
        for start in ["=", "+", "-", "@", "\\t", "\\r", "＝"] {
            let line = written(&format!(r#"{{"a":"{start}1+1"}}"#));
            assert!(line.starts_with("\"'"), "{line}");
        }
        assert_eq!(written(r#"{"a":-5,"b":"'x","c":" =1"}"#), "-5,\"'x\",\" =1\"\r\n");
    }

    #[test]
    fn quotes_are_doubled_and_null_differs_from_an_empty_text() {
        assert_eq!(written(r#"{"a":null,"b":"","c":"say \"hi\"\n, you"}"#), ",\"\",\"say \"\"hi\"\"\n, you\"\r\n");
        assert_eq!(
            written(r#"{"a":{"b": "c"},"d":9007199254740993}"#),
            "\"{\"\"b\"\": \"\"c\"\"}\",9007199254740993\r\n"
        );
    }
}
