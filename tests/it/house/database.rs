//! A fresh, empty database for one test: a file in a folder of its own, or a database on the server.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use efface::seal::Keyring;
use sea_orm::{ConnectOptions, ConnectionTrait as _, DbErr};

pub struct Database {
    folder: tempfile::TempDir,
    /// The server's address and this database's name on it; none: a SQLite file.
    server: Option<(String, String)>,
}

impl Database {
    pub fn sqlite() -> Self {
        Self::sqlite_in(tempfile::tempdir().unwrap())
    }

    /// Where the machine keeps files in memory, if it does: for tests that commit thousands of times.
    pub fn sqlite_in_memory() -> Self {
        Self::sqlite_in(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap())
    }

    fn sqlite_in(folder: tempfile::TempDir) -> Self {
        let database = Self { folder, server: None };
        Keyring::generate().write_new(database.keys_file().as_ref()).unwrap();
        database
    }

    pub async fn postgres() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = std::env::var("EFFACE_TEST_DATABASE_URL")
            .expect("EFFACE_TEST_DATABASE_URL names no PostgreSQL server: run ./scripts/test");
        let name = format!("efface_it_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        on_server(&server, &format!("CREATE DATABASE {name}")).await.unwrap();
        Self { server: Some((server, name)), ..Self::sqlite() }
    }

    pub fn url(&self) -> String {
        match &self.server {
            None => format!("sqlite://{}?mode=rwc", self.sqlite_file().display()),
            Some((server, name)) => {
                let (address, options) = server.split_once('?').unwrap_or((server, ""));
                let (host, _) = address.rsplit_once('/').expect("the URL ends with a database's name");
                format!("{host}/{name}?{options}")
            }
        }
    }

    pub fn sqlite_file(&self) -> PathBuf {
        self.folder.path().join("efface.db")
    }

    pub fn keys_file(&self) -> String {
        self.folder.path().join("efface.keys").display().to_string()
    }

    /// Takes the database away; a SQLite file goes with its folder.
    pub async fn remove(&self) -> Result<(), DbErr> {
        match &self.server {
            None => Ok(()),
            Some((server, name)) => on_server(server, &format!("DROP DATABASE {name} WITH (FORCE)")).await,
        }
    }
}

async fn on_server(server: &str, sql: &str) -> Result<(), DbErr> {
    let mut options = ConnectOptions::new(server);
    options.max_connections(1).sqlx_logging(false);
    let db = sea_orm::Database::connect(options).await?;
    db.execute_unprepared(sql).await?;
    db.close().await
}
