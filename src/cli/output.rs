//! Prints: data to stdout as a table or JSON, talk to stderr.

use std::io::{self, Write as _};

use comfy_table::{Table, TableStyle};
use serde::Serialize;

/// Prints data as indented JSON.
///
/// # Errors
/// When stdout is gone.
pub fn json(value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    raw(&text)
}

/// Prints data as aligned columns without lines, fit for `grep` and `awk`.
///
/// # Errors
/// When stdout is gone.
pub fn table<const N: usize>(headers: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_header(headers).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for line in table.lines() {
        raw(&format!("{}\n", line.trim_end()))?;
    }
    Ok(())
}

/// Prints text as it is.
///
/// # Errors
/// When stdout is gone.
pub fn raw(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Says a line to the person at the terminal. Nobody listening is no error.
pub fn talk(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
