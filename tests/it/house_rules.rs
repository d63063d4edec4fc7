//! The rules of the house that the compiler does not keep: who may use whom, and where SQL, time and retries live.
//!
//! Comments, tests and test-only files are left out: rules are about what ships.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Sockets in the wall: everybody may use them, and they use nobody.
const SOCKETS: [&str; 4] = ["clock", "retry", "shutdown", "telemetry"];
/// Doors know a protocol, and neither SQL nor each other.
const DOORS: [&str; 3] = ["broker", "http", "scheduler"];

/// One line of code that ships.
#[derive(Debug)]
struct Line {
    file: String,
    number: usize,
    /// Without comments.
    code: String,
}

impl Line {
    /// The module of `src` that the line stands in: `job` for `src/job/run.rs`.
    fn room(&self) -> &str {
        let path = self.file.strip_prefix("src/").unwrap();
        path.split(['/', '.']).next().unwrap()
    }
}

fn files_under(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files_under(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// Everything that ships. What follows the first `#[cfg(test)]` of a file is tests, by the house's own habit.
fn lines() -> Vec<Line> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    files_under(&root.join("src"), &mut files);
    assert!(files.len() > 50, "the sources were not found");
    let mut lines = Vec::new();
    for path in files {
        let file = path.strip_prefix(root).unwrap().display().to_string();
        if path.ends_with("tests.rs") || file.contains("/tests/") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for (number, code) in text.lines().enumerate() {
            if code.trim() == "#[cfg(test)]" {
                break;
            }
            let code = without_comment(code);
            lines.push(Line { file: file.clone(), number: number + 1, code: code.to_owned() });
        }
    }
    lines
}

/// A `//` within a text, as in an address, begins no comment.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with("//") {
        return "";
    }
    line.find(" // ").map_or(line, |at| &line[..at])
}

/// The rooms in the order of `src/lib.rs`, from the cellar to the street.
fn rooms() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("src/lib.rs")).unwrap();
    let modules = text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    modules.filter(|name| !SOCKETS.contains(name)).map(str::to_owned).collect()
}

/// The rooms that a line of code names: `use crate::{clock::Clock, store}` and `crate::store::x` alike.
fn rooms_named(code: &str) -> Vec<String> {
    let name_of = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    let mut named = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut begins = true;
            for (i, c) in list.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => begins = true,
                    c if begins && !c.is_whitespace() => {
                        named.push(name_of(&list[i..]));
                        begins = false;
                    }
                    _ => {}
                }
            }
        } else {
            named.push(name_of(rest));
        }
    }
    named.retain(|name| !name.is_empty());
    named
}

/// Fails with every line that breaks a rule.
fn assert_kept(rule: &str, broken: impl IntoIterator<Item = (Line, String)>) {
    let mut told = String::new();
    for (line, why) in broken {
        let _ = write!(told, "\n  {}:{}: {why}\n      {}", line.file, line.number, line.code.trim());
    }
    assert!(told.is_empty(), "{rule}{told}");
}

#[test]
fn a_room_uses_only_rooms_that_stand_before_it() {
    let rooms = rooms();
    let place = |name: &str| rooms.iter().position(|room| room == name);
    let mut imports = 0;
    let broken: Vec<(Line, String)> = lines()
        .into_iter()
        .filter(|line| !["src/lib.rs", "src/main.rs"].contains(&line.file.as_str()))
        .filter_map(|line| {
            let named = rooms_named(&line.code);
            imports += named.len();
            let own = line.room().to_owned();
            let wrong = named.into_iter().find(|name| {
                if SOCKETS.contains(&name.as_str()) || *name == own {
                    return false;
                }
                match (place(&own), place(name)) {
                    (Some(own), Some(other)) => other > own,
                    // A socket that uses a room, or a module that is in no list.
                    _ => true,
                }
            })?;
            let why = if SOCKETS.contains(&own.as_str()) {
                format!("`{own}` is a socket and imports no room, yet it uses `{wrong}`")
            } else {
                format!("`{own}` may not use `{wrong}`, which stands after it in src/lib.rs")
            };
            Some((line, why))
        })
        .collect();
    assert!(imports > 150, "only {imports} imports were found: does this test still read them?");
    assert_kept("a room uses only rooms that stand before it in src/lib.rs", broken);
}

#[test]
fn the_order_of_rooms_is_that_of_the_design() {
    // Rooms of the design that are not built yet are simply missing; the order of those that are is fixed.
    let design = "store seal redaction webhook audit hold erasure export evidence suppression retention job intake \
                  broker acceptance http scheduler config app cli";
    let rooms = rooms();
    let mut built: Vec<&str> = design.split_whitespace().filter(|room| rooms.iter().any(|r| r == room)).collect();
    assert_eq!(rooms, built);
    built.dedup();
    assert!(built.len() > 12);
}

#[test]
fn only_app_and_cli_read_the_configuration() {
    let broken = lines().into_iter().filter_map(|line| {
        let reads = rooms_named(&line.code).iter().any(|name| name == "config");
        let may = ["app", "cli", "config"].contains(&line.room());
        (reads && !may).then(|| (line, "a room takes plain parameters".to_owned()))
    });
    assert_kept("config is used by app and cli only", broken);
}

#[test]
fn doors_import_neither_each_other_nor_sql() {
    let broken = lines().into_iter().filter_map(|line| {
        let own = line.room().to_owned();
        if !DOORS.contains(&own.as_str()) {
            return None;
        }
        let other = rooms_named(&line.code).into_iter().find(|name| *name != own && DOORS.contains(&name.as_str()));
        if let Some(other) = other {
            return Some((line, format!("the door `{own}` imports the door `{other}`")));
        }
        let sql = ["sea_orm", "sqlx"].into_iter().find(|name| line.code.contains(&format!("{name}::")))?;
        Some((line, format!("the door `{own}` speaks to the database through {sql}")))
    });
    assert_kept("a door knows one protocol", broken);
}

#[test]
fn the_time_is_asked_for_in_one_place() {
    let asks = ["Utc::now", "Local::now", "SystemTime::now"];
    let broken = lines().into_iter().filter_map(|line| {
        let asked = asks.into_iter().find(|call| line.code.contains(call))?;
        (line.file != "src/clock.rs").then(|| (line, format!("{asked}: take a `Clock`")))
    });
    assert_kept("\"now\" has one home, src/clock.rs", broken);
}

#[test]
fn the_backoff_crate_is_known_in_one_place() {
    let broken = lines().into_iter().filter_map(|line| {
        let names_it = line.code.contains("backoff::") && !line.code.contains("Backoff::");
        (names_it && line.file != "src/retry.rs").then(|| (line, "use `crate::retry`".to_owned()))
    });
    assert_kept("the crate `backoff` has one home, src/retry.rs", broken);
}

/// The table that follows a deleting or changing keyword: a literal name, or none when it is put in at run time.
fn written_tables(code: &str) -> Vec<Option<String>> {
    let mut found = Vec::new();
    for keyword in ["DELETE FROM ", "UPDATE ", "TRUNCATE "] {
        for (at, _) in code.match_indices(keyword) {
            let before = code[..at].trim_end();
            let rest = &code[at + keyword.len()..];
            // `FOR UPDATE OF s`, `DO UPDATE SET`, and words within longer ones change nothing by themselves.
            let is_lock = before.ends_with("FOR") || before.ends_with("KEY") || before.ends_with("DO");
            let within = code[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
            if is_lock || within {
                continue;
            }
            let rest = rest.trim_start_matches(['\\', '"']);
            let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            found.push((!name.is_empty()).then_some(name));
        }
    }
    found
}

#[test]
fn statements_that_change_the_apps_tables_stand_in_one_place() {
    let mut own_statements = 0;
    let broken: Vec<(Line, String)> = lines()
        .into_iter()
        .filter(|line| !line.file.starts_with("src/store/target"))
        .filter_map(|line| {
            let tables = written_tables(&line.code);
            let own =
                |table: &Option<String>| table.as_deref().is_some_and(|table| migration::OWN_TABLES.contains(&table));
            own_statements += tables.iter().filter(|table| own(table)).count();
            let wrong = tables.iter().find(|table| !own(table))?.clone();
            let table = wrong.map_or("a table named at run time".to_owned(), |table| format!("\"{table}\""));
            Some((line, format!("changes {table}")))
        })
        .collect();
    assert!(own_statements > 3, "only {own_statements} statements were found: does this test still read them?");
    assert_kept("DELETE and UPDATE on the app's tables stand in src/store/target", broken);
}

#[test]
fn one_pair_of_hands_deletes() {
    let broken = lines().into_iter().filter_map(|line| {
        let deletes = line.code.contains("target::delete_") || line.code.contains("target::mark_");
        let may = line.file == "src/erasure/execute.rs" || line.file.starts_with("src/erasure/execute/");
        (deletes && !may).then(|| (line, "deletes or changes application rows".to_owned()))
    });
    assert_kept("only src/erasure/execute calls what deletes or changes application rows", broken);
}

#[test]
fn statements_stand_in_the_store() {
    let verbs = ["SELECT ", "INSERT INTO ", "DELETE FROM ", "CREATE TABLE "];
    let broken = lines().into_iter().filter_map(|line| {
        // The demo fills the app's tables as an app would: it plays the app.
        let elsewhere = line.room() != "store" && !line.file.starts_with("src/cli/demo");
        let verb = verbs.into_iter().find(|verb| line.code.contains(verb))?;
        elsewhere.then(|| (line, format!("{}…", verb.trim_end())))
    });
    assert_kept("SQL has one home, src/store", broken);
}

#[test]
fn these_tests_would_see_a_broken_rule() {
    assert_eq!(rooms_named("use crate::store::{Store, StoreError};"), ["store"]);
    assert_eq!(rooms_named("let x = crate::clock::rfc3339(at); crate::http::serve()"), ["clock", "http"]);
    assert_eq!(rooms_named("use crate::{clock::{Clock, x}, store, seal::Pii};"), ["clock", "store", "seal"]);
    assert!(rooms_named("my_crate::store").is_empty());
    let table = |name: &str| Some(name.to_owned());
    assert_eq!(written_tables(r#"r#"UPDATE "GDPRJob" AS j SET"#), [table("GDPRJob")]);
    assert_eq!(written_tables(r#"DELETE FROM "Shop" WHERE"#), [table("Shop")]);
    assert_eq!(written_tables("DELETE FROM {table} AS t"), [None]);
    assert!(written_tables("FOR UPDATE OF s").is_empty());
    assert!(written_tables("FOR UPDATE SKIP LOCKED").is_empty());
    assert!(written_tables("ON CONFLICT DO UPDATE SET").is_empty());
    assert_eq!(without_comment("x(); // DELETE FROM y"), "x();");
    assert_eq!(without_comment(r#"let url = "amqp://host";"#), r#"let url = "amqp://host";"#);
}

#[test]
fn a_data_map_may_touch_none_of_effaces_own_tables() {
    for own in migration::OWN_TABLES {
        let map = efface::erasure::data_map::REFERENCE.replace("\"SurveyResponse\"", &format!("\"{own}\""));
        let problems = efface::erasure::data_map::DataMap::parse(&map).expect_err(own).to_string();
        assert!(problems.contains("Efface's own tables"), "{own}: {problems}");
    }
}
