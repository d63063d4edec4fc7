//! Writes a live schema as SQL text that people can read, and compares it with the pinned one.

use std::fmt::Write as _;
use std::path::Path;

use sea_orm_migration::sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};

/// The whole schema, tables by name.
pub async fn of(db: &DatabaseConnection) -> String {
    if db.get_database_backend() == DbBackend::Sqlite { of_sqlite(db).await } else { of_postgres(db).await }
}

/// Compares with `tests/snapshots/<name>`, or writes it when asked to.
pub fn assert_pinned(name: &str, schema: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if std::env::var_os("EFFACE_REGENERATE").is_some() {
        std::fs::write(&path, schema).unwrap();
    }
    let pinned = std::fs::read_to_string(&path).unwrap();
    assert!(pinned == schema, "the schema is not the one pinned in tests/snapshots/{name}; it is now:\n{schema}");
}

async fn of_sqlite(db: &DatabaseConnection) -> String {
    let sql = "SELECT sql AS line FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' \
               ORDER BY tbl_name, type = 'index', name";
    let mut text = String::new();
    for statement in lines(db, sql).await {
        if statement.starts_with("CREATE TABLE") {
            let broken = statement.replace("( \"", "(\n    \"").replace(", \"", ",\n    \"").replace(" )", "\n)");
            let broken = broken.replace(", CONSTRAINT", ",\n    CONSTRAINT").replace(", FOREIGN", ",\n    FOREIGN");
            write!(text, "\n{broken};\n").unwrap();
        } else {
            writeln!(text, "{statement};").unwrap();
        }
    }
    text.trim_start().to_owned()
}

async fn of_postgres(db: &DatabaseConnection) -> String {
    let tables = "SELECT relname::text AS line FROM pg_class WHERE relnamespace = 'public'::regnamespace \
                  AND relkind = 'r' ORDER BY relname COLLATE \"C\"";
    let mut text = String::new();
    for table in lines(db, tables).await {
        let class = format!("'public.\"{table}\"'::regclass");
        let columns = format!(
            "SELECT quote_ident(attname) || ' ' || format_type(atttypid, atttypmod) \
             || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END \
             || coalesce(' DEFAULT ' || pg_get_expr(adbin, adrelid), '') \
             || CASE WHEN attstorage = typstorage THEN '' WHEN attstorage = 'e' THEN ' STORAGE EXTERNAL' \
                ELSE ' STORAGE ' || attstorage::text END AS line \
             FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum \
             WHERE attrelid = {class} AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        );
        let constraints = format!(
            "SELECT 'CONSTRAINT ' || quote_ident(conname) || ' ' || pg_get_constraintdef(oid) AS line \
             FROM pg_constraint WHERE conrelid = {class} AND contype IN ('p', 'u', 'f', 'c') \
             ORDER BY conname COLLATE \"C\""
        );
        let indexes = format!(
            "SELECT pg_get_indexdef(indexrelid) AS line FROM pg_index WHERE indrelid = {class} AND NOT indisprimary \
             ORDER BY (indexrelid::regclass)::text COLLATE \"C\""
        );
        let options = format!(
            "SELECT ' WITH (' || array_to_string(reloptions, ', ') || ')' AS line FROM pg_class \
             WHERE oid = {class} AND reloptions IS NOT NULL"
        );
        let options = lines(db, &options).await.concat();
        let mut inside = lines(db, &columns).await;
        inside.extend(lines(db, &constraints).await);
        write!(text, "\nCREATE TABLE \"{table}\" (\n    {}\n){options};\n", inside.join(",\n    ")).unwrap();
        for index in lines(db, &indexes).await {
            writeln!(text, "{index};").unwrap();
        }
    }
    text.trim_start().to_owned()
}

async fn lines(db: &DatabaseConnection, sql: &str) -> Vec<String> {
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
    rows.into_iter().map(|row| row.try_get("", "line").unwrap()).collect()
}
