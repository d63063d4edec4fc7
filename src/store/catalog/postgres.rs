//! PostgreSQL's catalog. Every query gives one kind of fact for all tables at once.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement};

use super::super::StoreError;
use super::{
    Catalog, Column, Dialect, Family, ForeignKey, Index, IndexKey, OnDelete, RowSecurity, Table, TableKind, Trigger,
    ddl,
};

/// The app's relations: no system schemas, and nothing that an extension brought.
const RELATIONS: &str = "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname <> 'information_schema' \
     AND n.nspname NOT LIKE 'pg\\_%' AND c.relkind IN ('r','p','v','m','f') AND NOT EXISTS (SELECT 1 FROM pg_depend x \
     WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e')";

/// Tables by their number in the catalog.
type ByOid = HashMap<i64, Table>;

pub(super) async fn read(conn: &impl ConnectionTrait, own: &[&str]) -> Result<Catalog, StoreError> {
    let (schema, mut tables, elsewhere) = relations(conn, own).await?;
    columns(conn, &mut tables).await?;
    constraints(conn, &mut tables).await?;
    indexes(conn, &mut tables).await?;
    triggers(conn, &mut tables).await?;
    views(conn, &mut tables).await?;
    Ok(Catalog { dialect: Dialect::Postgres, schema, tables: tables.into_values().collect(), elsewhere })
}

async fn rows(conn: &impl ConnectionTrait, sql: String) -> Result<Vec<QueryResult>, StoreError> {
    Ok(conn.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await?)
}

async fn relations(
    conn: &impl ConnectionTrait,
    own: &[&str],
) -> Result<(String, ByOid, Vec<(String, String)>), StoreError> {
    let sql = format!(
        "SELECT c.oid::int8 AS oid, COALESCE(current_schema()::text, '') AS current, n.nspname::text AS schema,
           c.relname::text AS name, c.relkind::text AS kind, c.relispartition AS is_part, c.reltuples::float8 AS rows,
           pg_table_is_visible(c.oid) AS visible, c.relrowsecurity AS secured, row_security_active(c.oid) AS bound,
           has_table_privilege(c.oid, 'SELECT') AS may_select, has_table_privilege(c.oid, 'UPDATE') AS may_update,
           has_table_privilege(c.oid, 'DELETE') AS may_delete,
           ARRAY(SELECT p.relname::text FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
             WHERE i.inhrelid = c.oid ORDER BY 1) AS parents
         FROM {RELATIONS} ORDER BY n.nspname, c.relname"
    );
    let (mut current, mut tables, mut elsewhere) = (String::new(), ByOid::new(), Vec::new());
    for row in rows(conn, sql).await? {
        current = row.try_get("", "current")?;
        let (schema, name): (String, String) = (row.try_get("", "schema")?, row.try_get("", "name")?);
        if !row.try_get::<bool>("", "visible")? {
            elsewhere.push((schema, name));
            continue;
        }
        let kind: String = row.try_get("", "kind")?;
        let kind = match kind.as_str() {
            _ if row.try_get("", "is_part")? => TableKind::Partition,
            "p" => TableKind::Partitioned,
            "v" => TableKind::View,
            "m" => TableKind::MaterializedView,
            "f" => TableKind::Foreign,
            _ => TableKind::Table,
        };
        let mut table = Table::new(&schema, name, kind, own);
        table.parents = row.try_get("", "parents")?;
        table.rows = estimate(row.try_get("", "rows")?);
        table.row_security = match (row.try_get("", "bound")?, row.try_get("", "secured")?) {
            (true, _) => RowSecurity::Binding,
            (false, true) => RowSecurity::ForOthers,
            (false, false) => RowSecurity::Off,
        };
        for (column, right) in [("may_select", "SELECT"), ("may_update", "UPDATE"), ("may_delete", "DELETE")] {
            if !row.try_get::<bool>("", column)? {
                table.denied.push(right);
            }
        }
        tables.insert(row.try_get("", "oid")?, table);
    }
    Ok((current, tables, elsewhere))
}

/// The planner's estimate; below zero: never counted.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate, known not to be negative")]
fn estimate(rows: f64) -> Option<u64> {
    (rows >= 0.0).then_some(rows as u64)
}

async fn columns(conn: &impl ConnectionTrait, tables: &mut ByOid) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT c.oid::int8 AS oid, a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS declared,
           b.typname::text AS udt, b.typcategory::text AS category, e.typname::text AS element,
           e.typcategory::text AS element_category, NOT (a.attnotnull OR t.typnotnull) AS nullable,
           a.attgenerated <> '' AS generated, a.attidentity <> '' AS ident,
           CASE WHEN b.typname IN ('varchar', 'bpchar') AND a.atttypmod > 4 THEN a.atttypmod - 4 END AS length
         FROM {RELATIONS}
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         JOIN pg_type t ON t.oid = a.atttypid
         JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
         LEFT JOIN pg_type e ON e.oid = b.typelem AND b.typcategory = 'A'
         WHERE pg_table_is_visible(c.oid) ORDER BY c.oid, a.attnum"
    );
    for row in rows(conn, sql).await? {
        let Some(table) = tables.get_mut(&row.try_get("", "oid")?) else { continue };
        let (udt, category): (String, String) = (row.try_get("", "udt")?, row.try_get("", "category")?);
        let element: Option<String> = row.try_get("", "element")?;
        let element_category: Option<String> = row.try_get("", "element_category")?;
        let family = match (&element, &element_category) {
            (Some(element), Some(category)) => family(element, category),
            _ => family(&udt, &category),
        };
        let length: Option<i32> = row.try_get("", "length")?;
        table.columns.push(Column {
            name: row.try_get("", "name")?,
            declared: row.try_get("", "declared")?,
            udt,
            family,
            element,
            length: length.and_then(|length| u32::try_from(length).ok()),
            nullable: row.try_get("", "nullable")?,
            generated: row.try_get("", "generated")?,
            identity: row.try_get("", "ident")?,
        });
    }
    Ok(())
}

/// By the type's name where it matters, else by the category that PostgreSQL puts it in.
fn family(udt: &str, category: &str) -> Family {
    match (udt, category) {
        ("uuid", _) => Family::Uuid,
        ("json" | "jsonb", _) => Family::Json,
        ("bytea", _) => Family::Bytes,
        ("int2" | "int4" | "int8", _) => Family::Integer,
        ("float4" | "float8", _) => Family::Real,
        ("inet" | "cidr" | "macaddr" | "macaddr8", _) => Family::Network,
        (_, "S") => Family::Text,
        (_, "D") => Family::Instant,
        (_, "B") => Family::Boolean,
        (_, "E") => Family::Enumeration,
        (_, "N" | "R" | "T" | "V") => Family::Numeric,
        _ => Family::Other,
    }
}

async fn constraints(conn: &impl ConnectionTrait, tables: &mut ByOid) -> Result<(), StoreError> {
    let names = |numbers: &str, of: &str| {
        format!(
            "ARRAY(SELECT a.attname::text FROM unnest({numbers}) WITH ORDINALITY u(n, o) JOIN pg_attribute a
               ON a.attrelid = {of} AND a.attnum = u.n ORDER BY u.o)"
        )
    };
    let (columns, to) = (names("k.conkey", "k.conrelid"), names("k.confkey", "k.confrelid"));
    let sql = format!(
        "SELECT c.oid::int8 AS oid, k.conname::text AS name, k.contype::text AS kind, {columns} AS columns, {to} AS refs,
           f.relname::text AS parent, k.confdeltype::text AS on_delete
         FROM {RELATIONS} JOIN pg_constraint k ON k.conrelid = c.oid LEFT JOIN pg_class f ON f.oid = k.confrelid
         WHERE pg_table_is_visible(c.oid) AND (k.contype IN ('p', 'u') OR k.contype = 'f' AND k.conparentid = 0)
         ORDER BY c.oid, k.conname"
    );
    for row in rows(conn, sql).await? {
        let Some(table) = tables.get_mut(&row.try_get("", "oid")?) else { continue };
        let (kind, columns): (String, Vec<String>) = (row.try_get("", "kind")?, row.try_get("", "columns")?);
        match kind.as_str() {
            "p" => table.primary_key = columns,
            "u" => table.uniques.push(columns),
            _ => {
                let on_delete: String = row.try_get("", "on_delete")?;
                table.foreign_keys.push(ForeignKey {
                    name: row.try_get("", "name")?,
                    columns,
                    table: row.try_get::<Option<String>>("", "parent")?.unwrap_or_default(),
                    to: row.try_get("", "refs")?,
                    on_delete: match on_delete.as_str() {
                        "c" => OnDelete::Cascade,
                        "n" => OnDelete::SetNull,
                        "d" => OnDelete::SetDefault,
                        _ => OnDelete::Refuse,
                    },
                });
            }
        }
    }
    Ok(())
}

async fn indexes(conn: &impl ConnectionTrait, tables: &mut ByOid) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT c.oid::int8 AS oid, x.relname::text AS name, m.amname::text AS method, i.indisunique AS is_unique,
           i.indisvalid AS valid, pg_get_expr(i.indpred, i.indrelid) AS predicate,
           ARRAY(SELECT COALESCE((SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = i.indrelid
             AND a.attnum = i.indkey[k - 1] AND a.attnum <> 0), pg_get_indexdef(i.indexrelid, k, true))
             FROM generate_series(1, i.indnkeyatts::int4) k ORDER BY k) AS keys,
           ARRAY(SELECT i.indkey[k - 1] <> 0 FROM generate_series(1, i.indnkeyatts::int4) k ORDER BY k) AS plain
         FROM {RELATIONS} JOIN pg_index i ON i.indrelid = c.oid JOIN pg_class x ON x.oid = i.indexrelid
         JOIN pg_am m ON m.oid = x.relam WHERE pg_table_is_visible(c.oid) ORDER BY c.oid, x.relname"
    );
    for row in rows(conn, sql).await? {
        let Some(table) = tables.get_mut(&row.try_get("", "oid")?) else { continue };
        let (keys, plain): (Vec<String>, Vec<bool>) = (row.try_get("", "keys")?, row.try_get("", "plain")?);
        let keys = keys.into_iter().zip(plain);
        table.indexes.push(Index {
            name: row.try_get("", "name")?,
            method: row.try_get("", "method")?,
            keys: keys
                .map(|(key, plain)| if plain { IndexKey::Column(key) } else { IndexKey::Expression(key) })
                .collect(),
            unique: row.try_get("", "is_unique")?,
            predicate: row.try_get("", "predicate")?,
            valid: row.try_get("", "valid")?,
        });
    }
    Ok(())
}

async fn triggers(conn: &impl ConnectionTrait, tables: &mut ByOid) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT c.oid::int8 AS oid, t.tgname::text AS name, t.tgtype::int4 AS flags, p.prosrc AS body
         FROM {RELATIONS} JOIN pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D'
         JOIN pg_proc p ON p.oid = t.tgfoid WHERE pg_table_is_visible(c.oid) ORDER BY c.oid, t.tgname"
    );
    for row in rows(conn, sql).await? {
        let Some(table) = tables.get_mut(&row.try_get("", "oid")?) else { continue };
        let (flags, body): (i32, String) = (row.try_get("", "flags")?, row.try_get("", "body")?);
        let is = |bit: i32| flags & bit != 0;
        let before = is(2) || is(64);
        let when = if is(64) {
            "INSTEAD OF"
        } else if is(2) {
            "BEFORE"
        } else {
            "AFTER"
        };
        let what = [(4, "INSERT"), (16, "UPDATE"), (8, "DELETE"), (32, "TRUNCATE")];
        let what: Vec<&str> = what.into_iter().filter(|(bit, _)| is(*bit)).map(|(_, word)| word).collect();
        table.triggers.push(Trigger {
            name: row.try_get("", "name")?,
            event: format!("{when} {}", what.join(" OR ")),
            writes: ddl::written_tables(&body),
            // A row trigger that returns null before a delete makes the row stay.
            can_keep_rows: before && is(8) && is(1) && ddl::says(&body, &["RETURN", "NULL"]),
        });
    }
    Ok(())
}

async fn views(conn: &impl ConnectionTrait, tables: &mut ByOid) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT DISTINCT c.oid::int8 AS oid, f.relname::text AS reads
         FROM {RELATIONS} JOIN pg_rewrite r ON r.ev_class = c.oid
         JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
           AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> c.oid
         JOIN pg_class f ON f.oid = d.refobjid WHERE c.relkind IN ('v', 'm') ORDER BY 2"
    );
    for row in rows(conn, sql).await? {
        if let Some(table) = tables.get_mut(&row.try_get("", "oid")?) {
            table.reads.push(row.try_get("", "reads")?);
        }
    }
    Ok(())
}
