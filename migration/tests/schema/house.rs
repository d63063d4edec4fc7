//! A fresh, empty database for one test, and as many connections to it as the test wants.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sea_orm_migration::sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection};

/// A database of its own; gone with [`House::close`], or with the folder it lies in.
pub enum House {
    Sqlite { folder: tempfile::TempDir },
    Postgres { server: String, name: String },
}

impl House {
    pub fn sqlite() -> Self {
        Self::Sqlite { folder: tempfile::tempdir().unwrap() }
    }

    pub async fn postgres() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = std::env::var("EFFACE_TEST_DATABASE_URL")
            .expect("EFFACE_TEST_DATABASE_URL names no PostgreSQL server: run ./scripts/test");
        let name = format!("efface_schema_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let house = Self::Postgres { server, name };
        house.on_server(&format!("CREATE DATABASE {}", house.name())).await;
        house
    }

    /// A pool of one connection, as a process of its own would have.
    ///
    /// On SQLite it never waits in the driver for another writer, so that our own waiting is what is tested.
    pub async fn connect(&self) -> DatabaseConnection {
        let url = match self {
            Self::Sqlite { folder } => format!("sqlite://{}?mode=rwc", folder.path().join("efface.db").display()),
            Self::Postgres { server, name } => {
                let (address, options) = server.split_once('?').unwrap_or((server, ""));
                let (host, _) = address.rsplit_once('/').expect("the URL ends with a database's name");
                format!("{host}/{name}?{options}")
            }
        };
        let mut options = ConnectOptions::new(url);
        options.max_connections(1).sqlx_logging(false);
        options.map_sqlx_sqlite_opts(|sqlite| sqlite.busy_timeout(Duration::ZERO));
        Database::connect(options).await.unwrap()
    }

    pub async fn close(self) {
        if matches!(self, Self::Postgres { .. }) {
            self.on_server(&format!("DROP DATABASE {} WITH (FORCE)", self.name())).await;
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Sqlite { .. } => "main",
            Self::Postgres { name, .. } => name,
        }
    }

    async fn on_server(&self, sql: &str) {
        if let Self::Postgres { server, .. } = self {
            let mut options = ConnectOptions::new(server.clone());
            options.max_connections(1).sqlx_logging(false);
            let db = Database::connect(options).await.unwrap();
            db.execute_unprepared(sql).await.unwrap();
            db.close().await.unwrap();
        }
    }
}
