//! What the tables hold: every row of the app byte for byte, and everything there is, for a search.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait as _, Statement};
use sha2::{Digest as _, Sha256};

use super::{House, TABLES};

/// Which row of the reference app.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub table: &'static str,
    /// The shop's domain.
    pub shop: String,
    /// Empty in tables without orders.
    pub order: String,
    pub id: String,
}

/// All rows of the reference app with their contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents(BTreeMap<Row, String>);

impl Contents {
    /// The rows that are gone in `after`. No row may have come or changed meanwhile.
    pub fn gone_in(&self, after: &Self) -> BTreeSet<Row> {
        for (row, content) in &after.0 {
            assert_eq!(self.0.get(row), Some(content), "{row:?} has come or changed");
        }
        self.0.keys().filter(|row| !after.0.contains_key(row)).cloned().collect()
    }

    pub fn rows_where(&self, which: impl Fn(&Row) -> bool) -> BTreeSet<Row> {
        self.0.keys().filter(|row| which(row)).cloned().collect()
    }

    /// One digest per table and shop.
    pub fn digests(&self) -> BTreeMap<(&'static str, String), String> {
        let mut hashers: BTreeMap<(&'static str, String), Sha256> = BTreeMap::new();
        for (row, content) in &self.0 {
            let hasher = hashers.entry((row.table, row.shop.clone())).or_default();
            hasher.update(content.as_bytes());
            hasher.update([0]);
        }
        hashers.into_iter().map(|(of, hasher)| (of, hex::encode(hasher.finalize()))).collect()
    }
}

impl House {
    pub async fn contents(&self) -> Contents {
        let mut contents = BTreeMap::new();
        for table in TABLES {
            let shop = if table == "Shop" { r#"t."id""# } else { r#"t."shopId""# };
            let order = if matches!(table, "Shop" | "ReconciliationReport") { "''" } else { r#"t."orderId""# };
            let row = self.row_as_text(table).await;
            let sql = format!(
                r#"SELECT t."id" AS "id", {shop} AS "shop", {order} AS "of", {row} AS "row" FROM "{table}" AS t"#
            );
            for row in
                self.store().db().query_all_raw(Statement::from_string(self.store().backend(), sql)).await.unwrap()
            {
                let shop: String = row.try_get("", "shop").unwrap();
                let key = Row {
                    table,
                    shop: shop.strip_prefix("id of ").unwrap_or(&shop).to_owned(),
                    order: row.try_get("", "of").unwrap(),
                    id: row.try_get("", "id").unwrap(),
                };
                contents.insert(key, row.try_get("", "row").unwrap());
            }
        }
        Contents(contents)
    }

    /// An expression of a whole row as text, under the alias `t`.
    pub async fn row_as_text(&self, table: &str) -> String {
        if !self.is_sqlite() {
            return "row_to_json(t)::text".to_owned();
        }
        let sql = format!("SELECT name FROM pragma_table_info('{table}')");
        let columns =
            self.store().db().query_all_raw(Statement::from_string(self.store().backend(), sql)).await.unwrap();
        let quoted = columns.iter().map(|row| format!(r#"quote(t."{}")"#, row.try_get::<String>("", "name").unwrap()));
        quoted.collect::<Vec<_>>().join(" || ',' || ")
    }

    /// Every row of every table that Efface keeps, as text; bytes stand in hex.
    pub async fn own_rows(&self) -> String {
        let mut all = String::new();
        for table in migration::OWN_TABLES {
            let row = self.row_as_text(table).await;
            let sql = format!(r#"SELECT {row} AS "row" FROM "{table}" AS t"#);
            for row in
                self.store().db().query_all_raw(Statement::from_string(self.store().backend(), sql)).await.unwrap()
            {
                all.push_str(&row.try_get::<String>("", "row").unwrap());
                all.push('\n');
            }
        }
        all
    }

    /// Asserts that Efface keeps a text nowhere, neither as it stands nor as bytes.
    pub async fn assert_not_kept(&self, text: &str) {
        let rows = self.own_rows().await;
        let hex = hex::encode(text);
        let found: Vec<&str> =
            rows.lines().filter(|row| row.contains(text) || row.to_lowercase().contains(&hex)).collect();
        assert!(found.is_empty(), "{text:?} is in: {found:#?}");
    }

    /// Whether these bytes stand in a file of the SQLite database, the write-ahead log included.
    pub fn is_on_disk(&self, wanted: &[u8]) -> bool {
        let file = self.database.sqlite_file();
        let endings = if self.is_sqlite() { &["db", "db-wal", "db-journal"][..] } else { &[] };
        let files = endings.iter().filter_map(|ending| std::fs::read(file.with_extension(ending)).ok());
        files.into_iter().any(|bytes| bytes.windows(wanted.len()).any(|window| window == wanted))
    }

    /// Asserts that a text is in no file of the SQLite database, the write-ahead log included.
    pub fn assert_not_on_disk(&self, text: &str) {
        if !self.is_sqlite() {
            return;
        }
        let file = self.database.sqlite_file();
        for ending in ["db", "db-wal", "db-journal"] {
            let Ok(bytes) = std::fs::read(file.with_extension(ending)) else { continue };
            let copies = bytes.windows(text.len()).filter(|window| *window == text.as_bytes()).count();
            assert_eq!(copies, 0, "copies of {text:?} in the file *.{ending}");
        }
    }
}
