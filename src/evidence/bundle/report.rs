//! The page for people: self-contained, without scripts, every text escaped. It proves nothing; the other files do.

use std::fmt::Write as _;

use serde_json::Value;

use super::event::Event;
use super::manifest::{Head, Scope};
use super::told::Told;
use crate::evidence::leaf::METADATA;

const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;margin:2rem;color:#1a1a1a}table{border-collapse:collapse;\
width:100%;font-size:12px}th,td{border:1px solid #bbb;padding:.3rem .5rem;text-align:left;vertical-align:top;\
overflow-wrap:anywhere}th{background:#eee}dt{font-weight:600}dd{margin:0 0 .5rem}i{color:#666}\
@media print{body{margin:0}tr{break-inside:avoid}thead{display:table-header-group}}";

/// Ends a cell and begins another.
const NEXT: &str = "</td><td>";

/// The fields of a row, each with what stands before it.
const CELLS: [(&str, &str); 6] = [
    (NEXT, "createdAt"),
    (NEXT, "actorType"),
    (" ", "actorId"),
    (NEXT, "action"),
    (NEXT, "resourceType"),
    (" ", "resourceId"),
];

/// A job of the bundle and what its receipt says.
pub(super) struct Line {
    pub job_id: String,
    pub outcome: String,
    pub ended_at: String,
}

/// Writes the page.
pub(super) fn write(scope: &Scope, head: &Head, events: &Told, jobs: &[Line]) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Evidence bundle</title>\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <style>{STYLE}</style></head>\n<body>\n<h1>Evidence bundle</h1>\n<dl>\n"
    );
    let what = match (&scope.job, &scope.shop) {
        (Some(job), _) => format!("job {job}"),
        (None, shop) => {
            let bound = |at: &Option<String>| at.clone().unwrap_or_else(|| "any time".to_owned());
            format!("shop {}, from {} to {}", shop.as_deref().unwrap_or_default(), bound(&scope.from), bound(&scope.to))
        }
    };
    for (name, value) in [
        ("Scope", what),
        ("Entries", events.indices().len().to_string()),
        ("Log", head.origin.clone()),
        ("Entries of the whole log", head.size.to_string()),
        ("Root", head.root.clone()),
    ] {
        let _ = writeln!(page, "<dt>{name}</dt><dd>{}</dd>", escaped(&value));
    }
    page.push_str("</dl>\n<p>This page is for reading. Whether it is true, <code>efface verify FILE.zip --key KEY</code> tells.</p>\n");
    if !jobs.is_empty() {
        page.push_str(
            "<h2>Receipts</h2>\n<table><thead><tr><th>Job</th><th>Outcome</th><th>Ended</th></tr></thead><tbody>\n",
        );
        for job in jobs {
            let cells = [&job.job_id, &job.outcome, &job.ended_at].map(|cell| format!("<td>{}</td>", escaped(cell)));
            let _ = writeln!(page, "<tr>{}</tr>", cells.concat());
        }
        page.push_str("</tbody></table>\n");
    }
    page.push_str(
        "<h2>Entries</h2>\n<table><thead><tr><th>Place</th><th>When</th><th>Who</th><th>Did</th><th>To</th><th>Facts</th></tr></thead><tbody>\n",
    );
    page.push_str(&events.rows);
    page.push_str("</tbody></table>\n</body>\n</html>\n");
    page
}

/// Writes the row of an entry.
pub(super) fn write_row(event: &Event, page: &mut String) {
    let _ = write!(page, "<tr><td>{}", event.index);
    for (before, name) in CELLS {
        page.push_str(before);
        show(page, event, name);
    }
    page.push_str(NEXT);
    let facts = event.fields.keys().filter_map(|name| Some((name, name.strip_prefix(METADATA)?)));
    for (at, (name, fact)) in facts.enumerate() {
        page.push_str(if at > 0 { "<br>" } else { "" });
        escape(page, fact);
        page.push_str(": ");
        show(page, event, name);
    }
    page.push_str("</td></tr>\n");
}

fn show(page: &mut String, event: &Event, name: &str) {
    match event.value(name) {
        Some(Value::String(text)) => escape(page, text),
        Some(Value::Null) => page.push('-'),
        Some(value) => escape(page, &value.to_string()),
        None => page.push_str("<i>withheld</i>"),
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    escape(&mut escaped, text);
    escaped
}

fn escape(page: &mut String, text: &str) {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'&' | b'<' | b'>' | b'"' | b'\'')) {
        page.push_str(text);
        return;
    }
    for c in text.chars() {
        match c {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            c if c.is_control() => page.push(char::REPLACEMENT_CHARACTER),
            c => page.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_of_a_text_becomes_markup() {
        assert_eq!(super::escaped("<a href='x'>\"&\u{7}"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;\u{fffd}");
    }
}
