//! `index.html`: what the package is, for the shop's owner. It needs nothing from outside, runs no script, and every value
//! in it is escaped.

use std::fmt;
use std::io::{self, Write};

use super::archive::Facts;
use super::contents::TableContents;
use super::row::{Cell, Row};
use crate::clock::rfc3339;

/// Rows of a table that the page shows; it says so where there are more, and all of them are in the other files.
pub(super) const ROWS_SHOWN: u64 = 1_000;

const HEAD: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>What is stored about one customer</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1a1a1a; background: #fff; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
table { border-collapse: collapse; font-size: .875rem; }
th, td { border: 1px solid #ccc; padding: .3rem .6rem; text-align: left; vertical-align: top; }
th { background: #f3f3f3; } td { white-space: pre-wrap; overflow-wrap: anywhere; min-width: 4rem; max-width: 30rem; }
.rows { overflow-x: auto; } .none { color: #767676; } .note { background: #fff7df; padding: .5rem .8rem; }
</style>
</head>
<body>
"#;

/// A text with everything escaped that HTML reads as its own.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'', '\0']) {
            f.write_str(&rest[..at])?;
            f.write_str(match rest.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                b'\'' => "&#39;",
                _ => "\u{fffd}",
            })?;
            rest = &rest[at + 1..];
        }
        f.write_str(rest)
    }
}

/// Writes everything above the rows: what this is, and which table holds how much.
pub(super) fn head(out: &mut dyn Write, facts: &Facts, names: &[String]) -> io::Result<()> {
    let (contents, shop) = (&facts.contents, Escaped(&facts.shop_domain));
    out.write_all(HEAD.as_bytes())?;
    writeln!(out, "<h1>What is stored about one customer of {shop}</h1>")?;
    writeln!(
        out,
        "<p>A customer asked which data is stored about them. This package is the answer: all that was found about that \
         customer when the app's tables were searched on {}. Please look through it and pass on what the customer is \
         entitled to. It is personal data: keep it safe, and delete it when it has served.</p>",
        facts.ready_at.format("%-d %B %Y, %H:%M UTC")
    )?;
    writeln!(out, "<table>")?;
    let request = contents.data_request_id.as_deref().unwrap_or("without a number");
    let received = facts.received_at.map_or_else(|| "unknown".to_owned(), rfc3339);
    for (name, value) in [
        ("Shop", facts.shop_domain.as_str()),
        ("Data request", request),
        ("Received", &received),
        ("Collected", &rfc3339(facts.ready_at)),
        ("Job", &facts.job_id),
    ] {
        writeln!(out, "<tr><th>{name}</th><td>{}</td></tr>", Escaped(value))?;
    }
    writeln!(out, "</table>\n<h2>Contents</h2>")?;
    if contents.rows() == 0 {
        writeln!(out, "<p><strong>Nothing is stored about this customer.</strong></p>")?;
    }
    writeln!(out, "<table>\n<tr><th>Table</th><th>Rows</th><th>Files</th></tr>")?;
    for (table, name) in contents.tables.iter().zip(names) {
        let (label, rows) = (Escaped(&table.name), table.rows);
        writeln!(out, "<tr><td>{label}</td><td>{rows}</td><td>{name}.csv, {name}.json</td></tr>")?;
    }
    writeln!(out, "</table>")?;
    writeln!(
        out,
        "<p>Open the <em>.csv</em> files with a spreadsheet program; the <em>.json</em> files hold the same rows for \
         programs, with every value exactly as stored. In the .csv files, a text that a spreadsheet could mistake for a \
         formula has an apostrophe in front. <em>manifest.json</em> lists all files with their checksums.</p>"
    )?;
    list(
        out,
        "Searched, and nothing was found",
        contents.tables.iter().filter(|t| t.rows == 0).map(|t| t.name.as_str()),
    )?;
    let rest = "Not part of this answer, because the app says that they hold nothing to be handed out";
    list(out, rest, contents.not_exported.iter().map(String::as_str))
}

fn list<'a>(out: &mut dyn Write, what: &str, mut names: impl Iterator<Item = &'a str>) -> io::Result<()> {
    let Some(first) = names.next() else { return Ok(()) };
    write!(out, "<p>{what}: {}", Escaped(first))?;
    for name in names {
        write!(out, ", {}", Escaped(name))?;
    }
    writeln!(out, ".</p>")
}

/// Writes what stands above a table's rows.
pub(super) fn table_head(out: &mut dyn Write, table: &TableContents, name: &str) -> io::Result<()> {
    writeln!(out, "<h2>{}</h2>", Escaped(&table.name))?;
    if table.rows > ROWS_SHOWN {
        writeln!(
            out,
            "<p class=\"note\">This page shows the first {ROWS_SHOWN} of {} rows. All of them are in {name}.csv and \
             {name}.json.</p>",
            table.rows
        )?;
    }
    write!(out, "<div class=\"rows\"><table>\n<tr>")?;
    for column in &table.columns {
        write!(out, "<th>{}</th>", Escaped(column))?;
    }
    writeln!(out, "</tr>")
}

/// Writes one row.
pub(super) fn row(out: &mut dyn Write, row: &Row<'_>) -> io::Result<()> {
    write!(out, "<tr>")?;
    for (_, cell) in row.cells() {
        match cell {
            Cell::Null => write!(out, "<td class=\"none\">none</td>")?,
            Cell::Plain(text) | Cell::LongNumber(text) | Cell::Json(text) => {
                write!(out, "<td dir=\"auto\">{}</td>", Escaped(text))?;
            }
            Cell::Text(text) => write!(out, "<td dir=\"auto\">{}</td>", Escaped(&text))?,
        }
    }
    writeln!(out, "</tr>")
}

/// Writes what stands below a table's rows.
pub(super) fn table_foot(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "</table></div>")
}

/// Writes what stands below everything.
pub(super) fn foot(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"</body>\n</html>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_read_as_html() {
        let mut out = Vec::new();
        let json =
            r#"{"a":"<script>alert(1)</script>","b":"\" onload='x' &amp;","c":null,"d":{"e":"<b>"},"f":"\u0000"}"#;
        row(&mut out, &Row::parse(json).unwrap()).unwrap();
        let html = String::from_utf8(out).unwrap();
        let inside = html.replace("<td dir=\"auto\">", "").replace("<td class=\"none\">", "");
        let inside = inside.replace("</td>", "").replace("<tr>", "").replace("</tr>", "");
        assert!(!inside.contains(['<', '>', '"', '\'', '\0']), "{html}");
        assert!(html.contains("&quot; onload=&#39;x&#39; &amp;amp;"), "{html}");
    }
}
