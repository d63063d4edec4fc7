//! A case's tables as SQL: made, filled, read, dropped.

use std::fmt::Write as _;

use super::schema::{Case, Column, Dialect, Table, Value};

/// The test's own column: it tells rows apart, whatever their keys.
pub const ROW_NO: &str = "row_no";

/// A table's name in one run of a case. On a server no two runs share names, or prepared statements would meet other
/// tables than they were made for; keywords stay keywords there by changing their letters' case instead.
pub fn table_name(case: &Case, place: usize, run: u32) -> String {
    let table = &case.tables[place];
    if case.stores[table.store].dialect == Dialect::Sqlite {
        return table.name.clone();
    }
    let keyword = table.name.bytes().all(|b| b.is_ascii_lowercase()) && run >> table.name.len() == 0;
    if !keyword {
        return format!("{}_{run}", table.name);
    }
    let spelled = table.name.chars().enumerate();
    spelled.map(|(place, c)| if run >> place & 1 == 1 { c.to_ascii_uppercase() } else { c }).collect()
}

/// Columns that are still there, with their places.
pub fn columns(table: &Table) -> impl Iterator<Item = (usize, &Column)> {
    table.columns.iter().enumerate().filter(|(_, column)| !column.gone)
}

fn tables_of(case: &Case, store: usize) -> impl DoubleEndedIterator<Item = (usize, &Table)> {
    case.tables.iter().enumerate().filter(move |(_, table)| table.store == store && !table.gone)
}

/// Makes a store's tables and fills them.
pub fn create(case: &Case, store: usize, run: u32) -> String {
    let dialect = case.stores[store].dialect;
    let mut sql = String::new();
    for (place, table) in tables_of(case, store) {
        let name = table_name(case, place, run);
        let mut parts = vec![format!("\"{ROW_NO}\" bigint NOT NULL")];
        for (place, column) in columns(table) {
            let not_null = if column.not_null { " NOT NULL" } else { "" };
            let unique = if table.unique == Some(place) && table.key != [place] { " UNIQUE" } else { "" };
            parts.push(format!("\"{}\" {}{not_null}{unique}", column.name, column.declared));
        }
        let quoted = |places: &[usize]| {
            places.iter().map(|c| format!("\"{}\"", table.columns[*c].name)).collect::<Vec<_>>().join(", ")
        };
        if !table.key.is_empty() {
            parts.push(format!("PRIMARY KEY ({})", quoted(&table.key)));
        }
        for foreign in &table.foreign {
            let to = &case.tables[foreign.to];
            parts.push(format!(
                "FOREIGN KEY (\"{}\") REFERENCES \"{}\" (\"{}\") ON DELETE {}",
                table.columns[foreign.column].name,
                table_name(case, foreign.to, run),
                to.columns[foreign.key].name,
                foreign.on_delete,
            ));
        }
        let by_hash =
            if table.partitioned { format!(" PARTITION BY HASH ({})", quoted(&table.key)) } else { String::new() };
        let _ = writeln!(sql, "CREATE TABLE \"{name}\" ({}){by_hash};", parts.join(", "));
        if table.partitioned {
            for part in 0..2 {
                let _ = writeln!(
                    sql,
                    "CREATE TABLE \"{name}_p{part}\" PARTITION OF \"{name}\" FOR VALUES WITH (MODULUS 2, REMAINDER {part});"
                );
            }
        }
        if !table.rows.is_empty() {
            let rows: Vec<String> = table
                .rows
                .iter()
                .map(|row| {
                    let cells = columns(table).map(|(place, column)| literal(dialect, column, &row.cells[place]));
                    format!("({})", std::iter::once(row.no.to_string()).chain(cells).collect::<Vec<_>>().join(", "))
                })
                .collect();
            let _ = writeln!(sql, "INSERT INTO \"{name}\" VALUES\n  {};", rows.join(",\n  "));
        }
    }
    sql
}

/// Drops a store's tables, children first.
pub fn drop(case: &Case, store: usize, run: u32) -> String {
    let drop = |(place, _)| format!("DROP TABLE \"{}\";\n", table_name(case, place, run));
    tables_of(case, store).rev().map(drop).collect()
}

/// Reads every row of every table of a store: the table's place, the row's number, its columns as a JSON list of texts.
pub fn read(case: &Case, store: usize, run: u32) -> String {
    let sqlite = case.stores[store].dialect == Dialect::Sqlite;
    let select = |(place, table): (usize, &Table)| {
        let cells = columns(table).map(|(_, column)| {
            if sqlite { format!("quote(\"{}\")", column.name) } else { format!("\"{}\"::text", column.name) }
        });
        let cells = cells.collect::<Vec<_>>().join(", ");
        let list = if sqlite { format!("json_array({cells})") } else { format!("json_build_array({cells})::text") };
        let place = if sqlite { place.to_string() } else { format!("{place}::bigint") };
        format!(
            "SELECT {place} AS place, \"{ROW_NO}\" AS no, {list} AS cells FROM \"{}\"",
            table_name(case, tables_place(case, table), run)
        )
    };
    tables_of(case, store).map(select).collect::<Vec<_>>().join(" UNION ALL ")
}

fn tables_place(case: &Case, table: &Table) -> usize {
    case.tables.iter().position(|other| std::ptr::eq(other, table)).unwrap()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn literal(dialect: Dialect, column: &Column, value: &Value) -> String {
    match (dialect, value) {
        (_, Value::Null) => "NULL".to_owned(),
        (_, Value::Int(i64::MIN)) => "(-9223372036854775807 - 1)".to_owned(),
        (_, Value::Int(number)) => number.to_string(),
        (_, Value::Text(text)) => quoted(text),
        (_, Value::Json(document)) => quoted(&document.to_string()),
        (Dialect::Sqlite, Value::Bytes(bytes)) => format!("x'{}'", hex::encode(bytes)),
        (Dialect::Postgres, Value::Bytes(bytes)) => format!("'\\x{}'", hex::encode(bytes)),
        (_, Value::Bool(truth)) => truth.to_string(),
        (_, Value::Ints(list)) => {
            let list: Vec<String> = list.iter().map(|n| n.map_or("NULL".to_owned(), |n| n.to_string())).collect();
            format!("ARRAY[{}]::{}", list.join(","), column.declared)
        }
        (_, Value::Texts(list)) => {
            let list: Vec<String> = list.iter().map(|t| t.as_deref().map_or("NULL".to_owned(), quoted)).collect();
            format!("ARRAY[{}]::{}", list.join(","), column.declared)
        }
        (_, Value::Masked(_)) => unreachable!("no row is masked before the first job"),
    }
}

/// The text that a cell was read as, without SQLite's quotes.
pub fn plain(dialect: Dialect, read: &str) -> String {
    let unquoted = read.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    match (dialect, unquoted) {
        (Dialect::Sqlite, Some(inner)) => inner.replace("''", "'"),
        _ => read.to_owned(),
    }
}

/// Whether a cell was read as null.
pub fn is_null(dialect: Dialect, read: Option<&str>) -> bool {
    read.is_none() || (dialect == Dialect::Sqlite && read == Some("NULL"))
}
