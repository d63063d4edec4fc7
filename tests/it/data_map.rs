//! From a live schema to a data map that fits it: what the catalog says, what is proposed, and what is found.

mod catalog;
mod command;
mod introspect;
mod planted;
mod serve;

use std::collections::BTreeSet;

use efface::app::data_map::read_catalog;
use efface::erasure::check::{Finding, Id, Severity, findings};
use efface::erasure::data_map::DataMap;
use efface::erasure::introspect::{Proposal, propose};
use efface::store::catalog::sample::{self, Samples};
use efface::store::catalog::{Catalog, open_read_only};
use sea_orm::{ConnectionTrait as _, DatabaseConnection};

use crate::docs::text;
use crate::house::Database;

/// A database of an app that has never heard of Efface.
pub struct AppDatabase {
    database: Database,
    db: DatabaseConnection,
    sqlite: bool,
}

impl AppDatabase {
    pub async fn sqlite() -> Self {
        Self::over(Database::sqlite(), true).await
    }

    pub async fn postgres() -> Self {
        Self::over(Database::postgres().await, false).await
    }

    async fn over(database: Database, sqlite: bool) -> Self {
        let db = sea_orm::Database::connect(database.url()).await.unwrap();
        Self { database, db, sqlite }
    }

    pub async fn end(self) {
        self.db.close().await.unwrap();
        self.database.remove().await.unwrap();
    }

    /// Runs statements in which `{…}` stands for what differs between databases.
    pub async fn run(&self, sql: &str) {
        let here = if self.sqlite {
            [
                ("{serial}", "INTEGER PRIMARY KEY"),
                ("{instant}", "DATETIME"),
                ("{json}", "JSONB"),
                ("{email}", "lower(trim(\"email\"))"),
            ]
        } else {
            [
                ("{serial}", "BIGSERIAL PRIMARY KEY"),
                ("{instant}", "TIMESTAMP(3)"),
                ("{json}", "JSONB"),
                ("{email}", "lower(btrim(\"email\") COLLATE \"C\")"),
            ]
        };
        let sql = here.iter().fold(sql.to_owned(), |sql, (word, meaning)| sql.replace(word, meaning));
        self.db.execute_unprepared(&sql).await.unwrap_or_else(|error| panic!("{sql}\n{error}"));
    }

    /// The tables of a fixture.
    pub async fn fixture(&self, name: &str) {
        self.run(&text::read(&format!("tests/fixtures/schemas/{name}.sql"))).await;
    }

    pub async fn catalog(&self) -> Catalog {
        let conn = open_read_only(&self.database.url()).await.unwrap();
        let catalog = read_catalog(&conn).await.unwrap();
        conn.close().await.unwrap();
        catalog
    }

    /// A proposal from names, types and rows.
    pub async fn proposal(&self) -> Proposal {
        let catalog = self.catalog().await;
        let conn = open_read_only(&self.database.url()).await.unwrap();
        let samples = sample::read(&conn, &catalog).await.unwrap();
        conn.close().await.unwrap();
        propose("default", &catalog, &samples)
    }

    /// A proposal from names and types alone.
    pub async fn blind_proposal(&self) -> Proposal {
        propose("default", &self.catalog().await, &Samples::default())
    }

    pub async fn check(&self, map: &str) -> Vec<Finding> {
        let map = DataMap::parse(map).unwrap_or_else(|problems| panic!("{map}\n{problems}"));
        findings(map.default_store(), &self.catalog().await)
    }
}

/// Findings in short: kind, table and column.
pub fn short(found: &[Finding]) -> BTreeSet<String> {
    let short =
        |finding: &Finding| format!("{} {}.{}", finding.id, finding.table, finding.column.as_deref().unwrap_or("*"));
    found.iter().map(short).collect()
}

/// Those of one weight.
pub fn of(found: &[Finding], severity: Severity) -> Vec<Finding> {
    found.iter().filter(|finding| finding.severity == severity).cloned().collect()
}

/// Those of one kind.
pub fn of_id(found: &[Finding], id: Id) -> Vec<&Finding> {
    found.iter().filter(|finding| finding.id == id).collect()
}

/// Compiles each test twice, over an app's database on SQLite and on PostgreSQL.
macro_rules! both_apps {
    ($($(#[doc = $doc:literal])* async fn $name:ident($app:ident: &AppDatabase) $body:block)+) => {
        $($(#[doc = $doc])* async fn $name($app: &$crate::data_map::AppDatabase) $body)+

        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                let app = $crate::data_map::AppDatabase::sqlite().await;
                super::$name(&app).await;
                app.end().await;
            })+
        }

        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                let app = $crate::data_map::AppDatabase::postgres().await;
                super::$name(&app).await;
                app.end().await;
            })+
        }
    };
}
use both_apps;
