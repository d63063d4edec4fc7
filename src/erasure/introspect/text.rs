//! Writes a proposal as a data map, with every reason beside what it is about.

use std::fmt::Write as _;

use super::dates::{Dates, Representation};
use super::words::{Confidence, Written};
use super::{LeftOut, MatchGuess, Proposal, Remark, ShopGuess, TableGuess, Why};

const HEAD: &str = "\
# A data map proposed by `efface data-map introspect`. Read it line by line before it is used: names and types were
# looked at, and of some rows the form of their values and the keys of their JSON documents, never the values.
# Each guess says how much it is worth: sure, likely, or a guess. Then `efface data-map check` holds it against the schema.
";

/// The whole file.
pub(super) fn write(proposal: &Proposal) -> String {
    let mut text = String::from(HEAD);
    let open = proposal.open();
    if open > 0 {
        let _ = writeln!(text, "# {open} thing(s) wait for a decision: look for `decide`.");
    }
    text.push_str("version = 1\n");
    store(&mut text, proposal);
    for table in &proposal.tables {
        text.push('\n');
        text.push_str(&one(&proposal.store, table));
    }
    if !proposal.undecided.is_empty() {
        text.push_str("\n# Decide these: they are not in the map, and nothing is erased from them.\n");
        for out in &proposal.undecided {
            undecided(&mut text, &proposal.store, out);
        }
    }
    if !proposal.left_out.is_empty() {
        text.push_str("\n# Left out:\n");
        for out in &proposal.left_out {
            let _ = writeln!(text, "# - {}: {}", one_line(&out.table), one_line(&out.because));
        }
    }
    text
}

fn store(text: &mut String, proposal: &Proposal) {
    let other = proposal.store != "default";
    if other {
        let _ = writeln!(text, "\n[stores.{}]", proposal.store);
    }
    let section = if other { format!("stores.{}.shop", proposal.store) } else { "shop".to_owned() };
    match &proposal.shop {
        Some(shop) => shops(text, &section, shop),
        None => text.push_str(
            "
# No table of shops was found: rows are found by the shop's domain that they hold themselves.
",
        ),
    }
}

fn shops(text: &mut String, section: &str, shop: &ShopGuess) {
    let _ = writeln!(text, "\n# {}", why(&shop.why));
    let _ = writeln!(text, "[{section}]");
    let keys = [
        ("table", Some(&shop.table)),
        ("id", Some(&shop.id)),
        ("domain", Some(&shop.domain)),
        ("number", shop.number.as_ref()),
        ("active", shop.active.as_ref()),
        ("installed_at", shop.installed_at.as_ref()),
        ("uninstalled_at", shop.uninstalled_at.as_ref()),
        ("result_key", Some(&shop.result_key)),
    ];
    for (key, value) in keys {
        if let Some(value) = value {
            let _ = writeln!(text, "{key} = {}", quoted(value));
        }
    }
}

/// One `[[table]]`.
fn one(store: &str, table: &TableGuess) -> String {
    let mut text = String::new();
    if let Some(rows) = table.rows {
        let _ = writeln!(text, "# About {rows} row(s).");
    }
    text.push_str("[[table]]\n");
    if store != "default" {
        let _ = writeln!(text, "store = {}", quoted(store));
    }
    let _ = writeln!(text, "name = {}", quoted(&table.name));
    if !table.via.is_empty() {
        text.push_str("# The way to the parents' rows.\nvia = [\n");
        for hop in &table.via {
            let (column, to, key) = (quoted(&hop.column), quoted(&hop.to), quoted(&hop.key));
            let _ = writeln!(text, "    {{ column = {column}, to = {to}, key = {key} }},");
        }
        text.push_str("]\n");
    }
    if let Some(shop) = &table.shop {
        let at = shop.at.as_ref().map_or(String::new(), |at| format!(", at = {}", quoted(at)));
        let _ = writeln!(text, "# {}", why(&shop.why));
        let holds = shop.holds.as_str();
        let _ = writeln!(text, "shop = {{ column = {}, holds = \"{holds}\"{at} }}", quoted(&shop.column));
    }
    if table.matches.is_empty() {
        text.push_str("# Nothing in it leads to a customer: customers/redact does not reach it.\n");
    } else {
        text.push_str("match = [\n");
        for found in &table.matches {
            let _ = writeln!(text, "    # {}\n    {},", why(&found.why), matched(found));
        }
        text.push_str("]\n");
    }
    let _ = writeln!(text, "customers_redact = \"{}\"\nshop_redact = \"delete\"", table.customers_redact());
    let _ = writeln!(text, "result_key = {}", quoted(&table.result_key));
    columns(&mut text, table);
    text
}

fn columns(text: &mut String, table: &TableGuess) {
    if !table.export.is_empty() {
        text.push_str("# What a customer is told on request.\n");
        let names: Vec<String> = table.export.iter().map(|name| quoted(name)).collect();
        let _ = writeln!(text, "export = [\n    {},\n]", names.join(",\n    "));
    }
    if !table.personal.is_empty() {
        text.push_str("# Likely personal, to be masked if rows must stay (customers_redact = \"mask\"):\n");
        for Remark { column, remark } in &table.personal {
            let _ = writeln!(text, "#   {}: {}", one_line(column), one_line(remark));
        }
    }
    let plain = |remark: &&Remark| crate::store::target::Ident::parse(&remark.column).is_some();
    if table.exclude.iter().any(|remark| plain(&remark)) || !table.decide.is_empty() && table.matches.is_empty() {
        text.push_str("exclude = [\n");
        for remark in table.exclude.iter().filter(plain) {
            let _ = writeln!(text, "    {},", excluded(remark));
        }
        if table.matches.is_empty() {
            for remark in &table.decide {
                let _ = writeln!(text, "    # decide: {},", excluded(remark));
            }
        }
        text.push_str("]\n");
    }
    if !table.matches.is_empty() {
        for Remark { column, remark } in &table.decide {
            let _ = writeln!(text, "# decide: {} {}", one_line(column), one_line(remark));
        }
    }
    dates(text, &table.dates);
}

fn excluded(remark: &Remark) -> String {
    format!("{{ column = {}, because = {} }}", quoted(&remark.column), quoted(&remark.remark))
}

/// What was seen of dates, where the database's own types do not tell.
fn dates(text: &mut String, dates: &[Dates]) {
    let told = [
        (Representation::UnixMs, "milliseconds since 1970"),
        (Representation::UnixSeconds, "seconds since 1970"),
        (Representation::IsoText, "ISO text"),
        (Representation::SqlText, "text with a space between date and time"),
        (Representation::Unknown, "not known: no row tells"),
    ];
    for (representation, words) in told {
        let found = dates.iter().filter(|dates| dates.representation == representation);
        let columns: Vec<String> = found.map(|dates| one_line(&dates.column)).collect();
        if !columns.is_empty() {
            let _ = writeln!(text, "# Dates as {words}: {}", columns.join(", "));
        }
    }
}

fn matched(found: &MatchGuess) -> String {
    let mut line = format!("{{ column = {}", quoted(&found.column));
    if let Some(json) = &found.json {
        let _ = write!(line, ", json = {}", quoted(json));
    }
    if found.array {
        line.push_str(", array = true");
    }
    let _ = write!(line, ", by = \"{}\"", found.by.as_str());
    if found.written == Written::Sha256 {
        line.push_str(", as = \"sha256\"");
    }
    if let Some(at) = &found.at {
        let _ = write!(line, ", at = {}", quoted(at));
    }
    line.push_str(" }");
    line
}

/// A table that waits for a decision: the reason, and what a map could say of it, as comments.
fn undecided(text: &mut String, store: &str, out: &LeftOut) {
    let _ = writeln!(text, "#\n# decide: {}: {}", one_line(&out.table), one_line(&out.because));
    let (name, because) = (quoted(&out.table), quoted("…"));
    let _ = writeln!(
        text,
        "#     [[left_out]]   # if it holds nothing of a customer\n#     name = {name}\n#     because = {because}"
    );
    if let Some(sketch) = &out.sketch {
        for line in one(store, sketch).lines() {
            let _ = writeln!(text, "#     {line}");
        }
        text.push_str("#     # missing: shop = { column = \"…\", holds = \"…\" }\n");
    }
}

fn why(why: &Why) -> String {
    let confidence = match why.confidence {
        Confidence::Sure => "Sure",
        Confidence::Likely => "Likely",
        Confidence::Guess => "A guess",
    };
    format!("{confidence}: {}.", one_line(&why.reason))
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A name in a comment must not end it.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
