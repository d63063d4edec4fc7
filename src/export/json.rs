//! `TABLE.json`: an array with one row a line.
//!
//! An array, because the file is then JSON for every reader, and a person may open it in a browser; one row a line,
//! because a program can then read a large one line by line all the same. Numbers that a reader of floats would alter
//! (whole ones beyond 2^53 − 1, decimals of more than 15 digits) are texts; everything else stands as the database
//! wrote it.

use std::io::{self, Write};

use super::row::{Row, is_long_number};

/// Writes rows as the elements of one array.
pub(super) struct Array<'w> {
    out: &'w mut dyn Write,
    rows: u64,
}

impl<'w> Array<'w> {
    pub(super) fn new(out: &'w mut dyn Write) -> Self {
        Self { out, rows: 0 }
    }

    pub(super) fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        self.out.write_all(if self.rows == 0 { b"[\n{" } else { b",\n{" })?;
        self.rows += 1;
        for (place, (column, json)) in row.raw().enumerate() {
            if place > 0 {
                self.out.write_all(b",")?;
            }
            serde_json::to_writer(&mut *self.out, column)?;
            if is_long_number(json) {
                write!(self.out, ":\"{json}\"")?;
            } else {
                write!(self.out, ":{json}")?;
            }
        }
        self.out.write_all(b"}")
    }

    pub(super) fn end(self) -> io::Result<()> {
        self.out.write_all(if self.rows == 0 { b"[]\n" } else { b"\n]\n" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(lines: &[&str]) -> String {
        let mut out = Vec::new();
        let mut array = Array::new(&mut out);
        for line in lines {
            array.row(&Row::parse(line).unwrap()).unwrap();
        }
        array.end().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rows_are_lines_of_an_array_and_long_numbers_are_texts() {
        assert_eq!(written(&[]), "[]\n");
        assert_eq!(
            written(&[r#"{"id" : 9007199254740993, "v" : 19.99}"#, r#"{"id" : 1, "v" : null}"#]),
            "[\n{\"id\":\"9007199254740993\",\"v\":19.99},\n{\"id\":1,\"v\":null}\n]\n"
        );
    }
}
