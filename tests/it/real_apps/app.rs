//! The database of a real app: its fixture, the maps for it, and a house beside it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use efface::app::data_map::read_catalog;
use efface::erasure::check::{Finding, Severity, findings};
use efface::erasure::data_map::DataMap;
use efface::erasure::introspect::{Proposal, propose};
use efface::store::catalog::sample::{self, Samples};
use efface::store::catalog::{Catalog, open_read_only};
use efface::store::target;
use sea_orm::{ConnectionTrait as _, Statement};

use crate::docs::text;
use crate::house::{Database, House};

/// A row: its table and its key.
pub type Place = (String, String);
/// All rows of an app, each with everything in it.
pub type Contents = BTreeMap<Place, String>;

/// A map, and the file that it is in.
pub struct Map {
    pub reads: DataMap,
    file: PathBuf,
    folder: tempfile::TempDir,
}

impl Map {
    pub fn new(toml: &str) -> Self {
        let map = DataMap::parse(toml).unwrap_or_else(|problems| panic!("{toml}\n{problems}"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data-map.toml");
        std::fs::write(&file, toml).unwrap();
        Self { reads: map, file, folder }
    }

    /// A table's counter in a result.
    pub fn key(&self, table: &str) -> &str {
        let mut tables = self.reads.default_store().tables.iter();
        &tables.find(|mapped| mapped.name.as_str() == table).unwrap_or_else(|| panic!("no {table}")).result_key
    }
}

pub struct App {
    database: Database,
    sqlite: bool,
}

impl App {
    pub async fn sqlite(name: &str) -> Self {
        Self { database: Database::sqlite(), sqlite: true }.furnished(name).await
    }

    pub async fn postgres(name: &str) -> Self {
        Self { database: Database::postgres().await, sqlite: false }.furnished(name).await
    }

    /// An empty database.
    pub async fn empty(sqlite: bool) -> Self {
        let database = if sqlite { Database::sqlite() } else { Database::postgres().await };
        Self { database, sqlite }
    }

    /// What a map's check finds in this database that stops `serve`.
    pub async fn errors(&self, map: &Map) -> Vec<Finding> {
        let found = findings(map.reads.default_store(), &self.catalog().await);
        found.into_iter().filter(|finding| finding.severity == Severity::Error).collect()
    }

    /// Closes the book on a test that made no house.
    pub async fn end(self) {
        self.database.remove().await.unwrap();
    }

    /// An app's tables and sample rows, together with Shopify's own table of sessions.
    async fn furnished(self, name: &str) -> Self {
        for file in ["session.sql", &format!("{name}.sql"), &format!("{name}.rows.sql")] {
            self.run(&text::read(&format!("tests/fixtures/schemas/apps/{file}"))).await;
        }
        self
    }

    pub async fn run(&self, sql: &str) {
        let db = sea_orm::Database::connect(self.database.url()).await.unwrap();
        let sql = rendered(sql, self.sqlite);
        db.execute_unprepared(&sql).await.unwrap_or_else(|error| panic!("{sql}\n{error}"));
        db.close().await.unwrap();
    }

    async fn catalog(&self) -> Catalog {
        let conn = open_read_only(&self.database.url()).await.unwrap();
        let catalog = read_catalog(&conn).await.unwrap();
        conn.close().await.unwrap();
        catalog
    }

    /// What introspection makes of names, types and rows.
    pub async fn proposal(&self) -> Proposal {
        let catalog = self.catalog().await;
        let conn = open_read_only(&self.database.url()).await.unwrap();
        let samples = sample::read(&conn, &catalog).await.unwrap();
        conn.close().await.unwrap();
        propose("default", &catalog, &samples)
    }

    /// What it makes of names and types alone.
    pub async fn blind_proposal(&self) -> Proposal {
        propose("default", &self.catalog().await, &Samples::default())
    }

    /// The proposal as a map: it parses, and fits the live schema.
    pub async fn proposed(&self) -> Map {
        let map = Map::new(&self.proposal().await.to_toml());
        let conn = open_read_only(&self.database.url()).await.unwrap();
        let catalog = target::catalog(&conn).await.unwrap();
        conn.close().await.unwrap();
        map.reads.default_store().bind(&catalog).unwrap_or_else(|problems| panic!("{problems}"));
        map
    }

    pub fn reviewed(name: &str) -> Map {
        Map::new(&text::read(&format!("tests/fixtures/schemas/apps/{name}.toml")))
    }

    /// The app's tables, each with its key.
    pub async fn tables(&self) -> Vec<(String, String)> {
        let catalog = self.catalog().await;
        catalog.app_tables().map(|table| (table.name.clone(), table.primary_key[0].clone())).collect()
    }

    /// Efface beside the app, under a map.
    pub async fn house(self, map: &Map) -> House {
        House::beside(self.database, &[("data_map.file", map.file.to_str().unwrap())]).await
    }

    /// The reviewed map has no error and covers every table; a text column that comes later is one, in the exit code too.
    pub async fn check(self, name: &str) {
        let map = Self::reviewed(name);
        let errors = self.errors(&map).await;
        assert!(errors.is_empty(), "{errors:#?}");
        let proposal = self.proposal().await;
        for table in proposal.tables.iter().map(|table| table.name.as_str()) {
            assert!(!map.key(table).is_empty());
        }
        assert_eq!(self.program(&map), (Some(0), String::new()));
        self.run(r#"ALTER TABLE "Session" ADD COLUMN "nickname" TEXT"#).await;
        let (code, shown) = self.program(&map);
        assert_eq!(code, Some(1));
        assert!(shown.contains("uncovered_column") && shown.contains("nickname"), "{shown}");
        self.database.remove().await.unwrap();
    }

    /// `efface data-map check`: exit code, and the lines that tell of errors.
    fn program(&self, map: &Map) -> (Option<i32>, String) {
        let url = self.database.url();
        let args = ["--database-url", &url, "data-map", "check", "--map", "data-map.toml"];
        let mut command = Command::new(env!("CARGO_BIN_EXE_efface"));
        let output = command.args(args).current_dir(map.folder.path()).env_clear().output().unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        let errors: Vec<&str> = shown.lines().filter(|line| line.trim_start().starts_with("error ")).collect();
        (output.status.code(), errors.join("\n"))
    }
}

/// SQL in which `{…}` stands for what differs between databases. Prisma writes dates as milliseconds on SQLite, and has no
/// enums there.
fn rendered(sql: &str, sqlite: bool) -> String {
    let words = [
        ("{serial}", "INTEGER PRIMARY KEY", "BIGSERIAL PRIMARY KEY"),
        ("{instant}", "DATETIME", "TIMESTAMP(3)"),
        ("{json}", "JSONB", "JSONB"),
        ("{uuid}", "TEXT", "UUID"),
        ("{texts}", "TEXT", "TEXT[]"),
        ("{real}", "REAL", "DOUBLE PRECISION"),
        ("{now}", "1792000000000", "'2026-10-14 18:26:40'"),
    ];
    let here = |sql: String, (word, on_sqlite, on_postgres): (&str, &str, &str)| {
        sql.replace(word, if sqlite { on_sqlite } else { on_postgres })
    };
    let sql = words.into_iter().fold(sql.to_owned(), here);
    let lines = sql.lines().filter(|line| !sqlite || !line.starts_with("CREATE TYPE"));
    let enums =
        lines.map(|line| match line.split_once("{enum ").map(|(before, rest)| (before, rest.split_once('}'))) {
            Some((before, Some((_, after)))) if sqlite => format!("{before}TEXT{after}"),
            Some((before, Some((name, after)))) => format!("{before}\"{name}\"{after}"),
            _ => line.to_owned(),
        });
    enums.collect::<Vec<_>>().join("\n")
}

/// Every row of the app's tables.
pub async fn contents(house: &House, tables: &[(String, String)]) -> Contents {
    let mut contents = Contents::new();
    for (table, key) in tables {
        let row = house.row_as_text(table).await;
        let sql = format!(r#"SELECT CAST(t."{key}" AS text) AS "id", {row} AS "row" FROM "{table}" AS t"#);
        for row in house.store().db().query_all_raw(Statement::from_string(house.store().backend(), sql)).await.unwrap()
        {
            contents.insert((table.clone(), row.try_get("", "id").unwrap()), row.try_get("", "row").unwrap());
        }
    }
    contents
}
