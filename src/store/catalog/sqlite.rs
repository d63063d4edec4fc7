//! SQLite's catalog: its pragmas as tables, and the texts that objects were created with.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement};

use super::super::StoreError;
use super::{
    Catalog, Column, Dialect, Family, ForeignKey, Index, IndexKey, OnDelete, Table, TableKind, Trigger, ddl, quoted,
};

/// Tables counted in one statement: SQLite takes 500 parts of a UNION at most.
const COUNTED_AT_ONCE: usize = 100;

/// Real tables: neither views, nor the work of a module, nor SQLite's own.
const TABLES: &str = "sqlite_master m JOIN pragma_table_list l ON l.name = m.name AND l.schema = 'main' \
                      AND l.type = 'table' AND m.type = 'table' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";

type ByName = BTreeMap<String, Table>;

pub(super) async fn read(conn: &impl ConnectionTrait, own: &[&str]) -> Result<Catalog, StoreError> {
    let mut tables = relations(conn, own).await?;
    columns(conn, &mut tables).await?;
    indexes(conn, &mut tables).await?;
    foreign_keys(conn, &mut tables).await?;
    triggers(conn, &mut tables).await?;
    count(conn, &mut tables).await?;
    Ok(Catalog {
        dialect: Dialect::Sqlite,
        schema: "main".to_owned(),
        tables: tables.into_values().collect(),
        elsewhere: Vec::new(),
    })
}

async fn rows(conn: &impl ConnectionTrait, sql: impl Into<String>) -> Result<Vec<QueryResult>, StoreError> {
    Ok(conn.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql.into())).await?)
}

async fn relations(conn: &impl ConnectionTrait, own: &[&str]) -> Result<ByName, StoreError> {
    let sql = "SELECT l.name AS name, l.type AS kind, l.wr AS wr, COALESCE(m.sql, '') AS text FROM pragma_table_list l \
               JOIN sqlite_master m ON m.name = l.name AND m.type IN ('table', 'view') \
               WHERE l.schema = 'main' AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    let mut tables = ByName::new();
    let mut views = Vec::new();
    for row in rows(conn, sql).await? {
        let (name, kind, text): (String, String, String) =
            (row.try_get("", "name")?, row.try_get("", "kind")?, row.try_get("", "text")?);
        let kind = match kind.as_str() {
            "view" => TableKind::View,
            "virtual" => TableKind::Virtual,
            "shadow" => TableKind::Shadow,
            _ => TableKind::Table,
        };
        if matches!(kind, TableKind::View | TableKind::Virtual) {
            // A full-text index names its table in a literal: content='orders'.
            views.push((name.clone(), ddl::words(&text.replace('\'', "\""))));
        }
        let mut table = Table::new("main", name.clone(), kind, own);
        table.row_ids = row.try_get::<i64>("", "wr")? == 0;
        tables.insert(name, table);
    }
    let names: Vec<String> = tables.keys().cloned().collect();
    for (view, words) in views {
        let reads = names.iter().filter(|name| **name != view && words.contains(*name)).cloned().collect();
        if let Some(table) = tables.get_mut(&view) {
            table.reads = reads;
        }
    }
    Ok(tables)
}

async fn columns(conn: &impl ConnectionTrait, tables: &mut ByName) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT m.name AS t, p.name AS name, p.type AS declared, p.\"notnull\" AS required,
           p.pk AS pk, p.hidden AS hidden FROM {TABLES} JOIN pragma_table_xinfo(m.name) p ORDER BY m.name, p.cid"
    );
    let mut keys: BTreeMap<String, Vec<(i64, String)>> = BTreeMap::new();
    for row in rows(conn, sql).await? {
        let (of, name): (String, String) = (row.try_get("", "t")?, row.try_get("", "name")?);
        let Some(table) = tables.get_mut(&of) else { continue };
        let declared: String = row.try_get("", "declared")?;
        let (pk, required, hidden): (i64, i64, i64) =
            (row.try_get("", "pk")?, row.try_get("", "required")?, row.try_get("", "hidden")?);
        if pk > 0 {
            keys.entry(of).or_default().push((pk, name.clone()));
        }
        table.columns.push(Column {
            name,
            udt: declared.split('(').next().unwrap_or_default().trim().to_ascii_lowercase(),
            family: family(&declared),
            element: None,
            length: length(&declared),
            nullable: required == 0 && pk == 0,
            generated: hidden >= 2,
            identity: false,
            declared,
        });
    }
    for (of, mut key) in keys {
        key.sort();
        if let Some(table) = tables.get_mut(&of) {
            table.primary_key = key.into_iter().map(|(_, name)| name).collect();
        }
    }
    Ok(())
}

/// What the declared type asks for: SQLite's own rules of affinity, and the words that Prisma, Rails and Laravel use.
fn family(declared: &str) -> Family {
    let declared = declared.to_ascii_uppercase();
    let says = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    if says(&["JSON"]) {
        Family::Json
    } else if says(&["BOOL", "TINYINT(1)"]) {
        Family::Boolean
    } else if says(&["DATE", "TIME"]) {
        Family::Instant
    } else if says(&["UUID"]) {
        Family::Uuid
    } else if says(&["INT"]) {
        Family::Integer
    } else if says(&["CHAR", "CLOB", "TEXT", "STRING"]) {
        Family::Text
    } else if says(&["BLOB", "BINARY"]) {
        Family::Bytes
    } else if says(&["REAL", "FLOA", "DOUB"]) {
        Family::Real
    } else if says(&["DEC", "NUM", "MONEY"]) {
        Family::Numeric
    } else {
        Family::Other
    }
}

/// The number in `VARCHAR(255)`. SQLite does not enforce it; the app may.
fn length(declared: &str) -> Option<u32> {
    let upper = declared.to_ascii_uppercase();
    let (word, rest) = upper.split_once('(')?;
    if word.contains("CHAR") { rest.trim_end_matches(')').trim().parse().ok() } else { None }
}

/// An index as its rows in the pragmas add up to.
struct Parts {
    unique: bool,
    /// Whether a constraint made it, and no statement of its own.
    constraint: bool,
    text: String,
    /// None: an expression.
    columns: Vec<Option<String>>,
}

async fn indexes(conn: &impl ConnectionTrait, tables: &mut ByName) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT m.name AS t, i.name AS name, i.\"unique\" AS is_unique, i.origin AS origin, x.name AS part,
           COALESCE(s.sql, '') AS text FROM {TABLES} JOIN pragma_index_list(m.name) i
         JOIN pragma_index_xinfo(i.name) x ON x.key = 1 LEFT JOIN sqlite_master s ON s.type = 'index' AND s.name = i.name
         ORDER BY m.name, i.name, x.seqno"
    );
    let mut parts: BTreeMap<(String, String), Parts> = BTreeMap::new();
    for row in rows(conn, sql).await? {
        let (of, name, origin): (String, String, String) =
            (row.try_get("", "t")?, row.try_get("", "name")?, row.try_get("", "origin")?);
        let (is_unique, text): (i64, String) = (row.try_get("", "is_unique")?, row.try_get("", "text")?);
        let entry = parts.entry((of, name)).or_insert_with(|| Parts {
            unique: is_unique != 0,
            constraint: origin != "c",
            text,
            columns: Vec::new(),
        });
        entry.columns.push(row.try_get("", "part")?);
    }
    for ((of, name), Parts { unique, constraint, text, columns }) in parts {
        let Some(table) = tables.get_mut(&of) else { continue };
        let (written, predicate) = ddl::index_parts(&text);
        let keys: Vec<IndexKey> = columns
            .into_iter()
            .enumerate()
            .map(|(place, column)| match column {
                Some(column) => IndexKey::Column(column),
                None => IndexKey::Expression(written.get(place).cloned().unwrap_or_default()),
            })
            .collect();
        if unique && constraint {
            table.uniques.push(keys.iter().filter_map(column_of).collect());
        }
        table.indexes.push(Index { name, method: "btree".to_owned(), keys, unique, predicate, valid: true });
    }
    rowid_keys(tables);
    Ok(())
}

fn column_of(key: &IndexKey) -> Option<String> {
    match key {
        IndexKey::Column(column) => Some(column.clone()),
        IndexKey::Expression(_) => None,
    }
}

/// An `INTEGER PRIMARY KEY` is the row's own number: found as fast as by an index, yet listed as none.
fn rowid_keys(tables: &mut ByName) {
    for table in tables.values_mut() {
        let [key] = table.primary_key.as_slice() else { continue };
        let listed = table.indexes.iter().any(|index| index.keys == [IndexKey::Column(key.clone())]);
        let is_rowid = table.column(key).is_some_and(|column| column.declared.eq_ignore_ascii_case("integer"));
        if is_rowid && !listed {
            table.indexes.push(Index {
                name: "rowid".to_owned(),
                method: "btree".to_owned(),
                keys: vec![IndexKey::Column(key.clone())],
                unique: true,
                predicate: None,
                valid: true,
            });
        }
    }
}

async fn foreign_keys(conn: &impl ConnectionTrait, tables: &mut ByName) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT m.name AS t, f.id AS id, f.\"table\" AS parent, f.\"from\" AS source, f.\"to\" AS target,
           f.on_delete AS on_delete FROM {TABLES} JOIN pragma_foreign_key_list(m.name) f ORDER BY m.name, f.id, f.seq"
    );
    let mut keys: BTreeMap<(String, i64), ForeignKey> = BTreeMap::new();
    for row in rows(conn, sql).await? {
        let (of, id): (String, i64) = (row.try_get("", "t")?, row.try_get("", "id")?);
        let on_delete: String = row.try_get("", "on_delete")?;
        let parent: String = row.try_get("", "parent")?;
        let key = keys.entry((of.clone(), id)).or_insert_with(|| ForeignKey {
            name: format!("{of}_{id}"),
            columns: Vec::new(),
            table: parent,
            to: Vec::new(),
            on_delete: match on_delete.as_str() {
                "CASCADE" => OnDelete::Cascade,
                "SET NULL" => OnDelete::SetNull,
                "SET DEFAULT" => OnDelete::SetDefault,
                _ => OnDelete::Refuse,
            },
        });
        key.columns.push(row.try_get("", "source")?);
        key.to.extend(row.try_get::<Option<String>>("", "target")?);
    }
    for ((of, _), mut key) in keys {
        // SQLite compares names without regard to case, and lets the parent's key be left out.
        if let Some(parent) = tables.values().find(|table| table.name.eq_ignore_ascii_case(&key.table)) {
            key.table.clone_from(&parent.name);
            if key.to.is_empty() {
                key.to.clone_from(&parent.primary_key);
            }
        }
        if let Some(table) = tables.get_mut(&of) {
            table.foreign_keys.push(key);
        }
    }
    Ok(())
}

async fn triggers(conn: &impl ConnectionTrait, tables: &mut ByName) -> Result<(), StoreError> {
    let sql = "SELECT name AS name, tbl_name AS t, COALESCE(sql, '') AS text FROM sqlite_master WHERE type = 'trigger' \
               ORDER BY name";
    for row in rows(conn, sql).await? {
        let (name, of, text): (String, String, String) =
            (row.try_get("", "name")?, row.try_get("", "t")?, row.try_get("", "text")?);
        let Some(table) = tables.get_mut(&of) else { continue };
        let (event, body) = ddl::trigger_parts(&text);
        let can_keep_rows =
            event.contains("DELETE") && !event.starts_with("AFTER") && ddl::says(body, &["RAISE", "IGNORE"]);
        table.triggers.push(Trigger { name, event, writes: ddl::written_tables(body), can_keep_rows });
    }
    Ok(())
}

/// The highest row number of each table stands for the number of its rows: one probe each, and never too low for long.
async fn count(conn: &impl ConnectionTrait, tables: &mut ByName) -> Result<(), StoreError> {
    let sql = format!("SELECT m.name AS name FROM {TABLES} AND l.wr = 0");
    let names: Vec<String> =
        rows(conn, sql).await?.iter().map(|row| row.try_get("", "name")).collect::<Result<_, _>>()?;
    for some in names.chunks(COUNTED_AT_ONCE) {
        let each: Vec<String> = some
            .iter()
            .map(|name| {
                let text = name.replace('\'', "''");
                format!("SELECT '{text}' AS t, CAST(max(rowid) AS INTEGER) AS n FROM {}", quoted(name))
            })
            .collect();
        for row in rows(conn, each.join(" UNION ALL ")).await? {
            let highest: Option<i64> = row.try_get("", "n")?;
            if let Some(table) = tables.get_mut(&row.try_get::<String>("", "t")?) {
                table.rows = Some(u64::try_from(highest.unwrap_or(0)).unwrap_or(0));
            }
        }
    }
    Ok(())
}
