//! Reads as much of a statement's text as the catalog needs: parts of an index, and tables that a trigger writes to.

/// The words of a text: names with their quotes taken off, and every other sign by itself. Comments and literals are
/// left out.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("--") {
            rest = rest.find('\n').map_or("", |at| &rest[at..]);
        } else if rest.starts_with("/*") {
            rest = rest.find("*/").map_or("", |at| &rest[at + 2..]);
        } else if c.is_alphanumeric() || c == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            words.push(rest[..end].to_owned());
            rest = &rest[end..];
        } else if let Some(close) = closing(c) {
            let body = &rest[c.len_utf8()..];
            let end = body.find(close).unwrap_or(body.len());
            if c != '\'' {
                words.push(body[..end].to_owned());
            }
            rest = body.get(end + 1..).unwrap_or_default();
        } else {
            if !c.is_whitespace() {
                words.push(c.to_string());
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    words
}

fn closing(open: char) -> Option<char> {
    match open {
        '"' | '`' | '\'' => Some(open),
        '[' => Some(']'),
        _ => None,
    }
}

/// Whether these words follow each other, with nothing but brackets between them.
pub(super) fn says(text: &str, wanted: &[&str]) -> bool {
    let words: Vec<String> = words(text).into_iter().filter(|word| word != "(").collect();
    words
        .windows(wanted.len())
        .any(|window| window.iter().zip(wanted).all(|(word, wanted)| word.eq_ignore_ascii_case(wanted)))
}

/// The tables that a text inserts into or updates; `?` for one whose name is put together at run time.
pub(super) fn written_tables(text: &str) -> Vec<String> {
    let words = words(text);
    let mut tables = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let next = |n: usize| words.get(at + n).map_or("", String::as_str);
        let table = if word.eq_ignore_ascii_case("into") && at > 0 {
            let before = &words[at - 1];
            // `INSERT OR REPLACE INTO` as well; `SELECT … INTO variable` writes nothing.
            let inserts = ["insert", "replace", "ignore", "merge"].iter().any(|verb| before.eq_ignore_ascii_case(verb));
            inserts.then(|| name(next(1), next(2), next(3)))
        } else if word.eq_ignore_ascii_case("update") {
            let sets = (1..=5).any(|n| next(n).eq_ignore_ascii_case("set"));
            let is_statement = sets && !next(1).eq_ignore_ascii_case("set") && !next(1).eq_ignore_ascii_case("of");
            is_statement.then(|| name(next(1), next(2), next(3)))
        } else if word.eq_ignore_ascii_case("execute") && !["procedure", "function"].contains(&next(1)) {
            Some("?".to_owned())
        } else {
            None
        };
        let is_name = |table: &String| table == "?" || table.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        tables.extend(table.filter(is_name));
    }
    tables.sort();
    tables.dedup();
    tables
}

/// `name`, or the last part of `schema.name`.
fn name(first: &str, dot: &str, second: &str) -> String {
    if dot == "." { second.to_owned() } else { first.to_owned() }
}

/// The parts of `CREATE INDEX … ON t (a, lower(b)) WHERE c`: each part's text, and the condition.
pub(super) fn index_parts(text: &str) -> (Vec<String>, Option<String>) {
    let Some(open) = text.find('(') else { return (Vec::new(), None) };
    let (mut parts, mut part, mut depth, mut quote) = (Vec::new(), String::new(), 0_u32, None);
    for (at, c) in text[open..].char_indices() {
        let mut keep = true;
        match (quote, c) {
            (Some(q), _) if c == q => quote = None,
            (None, '\'' | '"' | '`') => quote = Some(c),
            (None, '(') => {
                keep = depth > 0;
                depth += 1;
            }
            (None, ')') if depth == 1 => {
                parts.push(part.trim().to_owned());
                let rest = text[open + at + 1..].trim();
                let condition = rest.get(..5).filter(|word| word.eq_ignore_ascii_case("where"));
                return (parts, condition.map(|_| rest[5..].trim().to_owned()));
            }
            (None, ')') => depth -= 1,
            (None, ',') if depth == 1 => {
                parts.push(part.trim().to_owned());
                part.clear();
                keep = false;
            }
            _ => {}
        }
        if keep {
            part.push(c);
        }
    }
    (parts, None)
}

/// What sets a SQLite trigger off, and the text of what it does.
pub(super) fn trigger_parts(text: &str) -> (String, &str) {
    let lower = text.to_ascii_lowercase();
    let begin = lower.find("begin").unwrap_or(text.len());
    let head = words(&text[..begin]);
    let is = |word: &str| head.iter().any(|found| found.eq_ignore_ascii_case(word));
    let when = if is("instead") {
        "INSTEAD OF"
    } else if is("after") {
        "AFTER"
    } else {
        "BEFORE"
    };
    let what = ["INSERT", "UPDATE", "DELETE"].into_iter().find(|word| is(word)).unwrap_or("?");
    (format!("{when} {what}"), &text[begin..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_an_index_are_taken_apart_at_their_commas() {
        let text = r#"CREATE INDEX "i" ON "t" ("shopId", lower(trim("email")), coalesce(a, ',')) WHERE "x" IS NULL"#;
        let (parts, condition) = index_parts(text);
        assert_eq!(parts, ["\"shopId\"", "lower(trim(\"email\"))", "coalesce(a, ',')"]);
        assert_eq!(condition.as_deref(), Some("\"x\" IS NULL"));
        assert_eq!(index_parts(""), (Vec::new(), None));
    }

    #[test]
    fn a_trigger_writes_where_it_inserts_or_updates() {
        let body = "BEGIN -- INSERT INTO nowhere
            INSERT INTO audit.\"OrderHistory\" SELECT OLD.*; UPDATE stats SET n = n - 1; SELECT 1 INTO x;
            INSERT OR REPLACE INTO [copy] VALUES ('INSERT INTO text'); END";
        assert_eq!(written_tables(body), ["OrderHistory", "copy", "stats"]);
        assert_eq!(written_tables("EXECUTE format('insert into %I', t)"), ["?"]);
        assert!(written_tables("NEW.updated_at = now(); RETURN NEW;").is_empty());
        assert!(says("BEGIN return null; END", &["RETURN", "NULL"]));
        assert!(says("SELECT RAISE(IGNORE)", &["RAISE", "IGNORE"]));
    }

    #[test]
    fn a_sqlite_triggers_head_tells_its_event() {
        let text = "CREATE TRIGGER keep BEFORE DELETE ON orders FOR EACH ROW BEGIN SELECT RAISE(IGNORE); END";
        let (event, body) = trigger_parts(text);
        assert_eq!(event, "BEFORE DELETE");
        assert!(body.starts_with("BEGIN"));
    }
}
