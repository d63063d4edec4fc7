//! PostgreSQL as a test sees it, beside the program.

use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbBackend, QueryResult, Statement, TryGetable,
};

/// A pool on one database.
#[derive(Clone)]
pub struct Db {
    pub connection: DatabaseConnection,
}

impl Db {
    pub async fn open(url: &str) -> Self {
        let mut options = ConnectOptions::new(url);
        options.max_connections(4).sqlx_logging(false);
        options.set_application_name("efface-test");
        Self { connection: Database::connect(options).await.expect("PostgreSQL does not answer") }
    }

    pub async fn run(&self, sql: &str) {
        self.connection.execute_unprepared(sql).await.unwrap();
    }

    pub async fn rows(&self, sql: &str) -> Vec<QueryResult> {
        self.connection.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap()
    }

    /// The single value of a query.
    pub async fn value<T: TryGetable>(&self, sql: &str) -> T {
        let rows = self.rows(sql).await;
        assert_eq!(rows.len(), 1, "{sql}");
        rows[0].try_get_by_index(0).unwrap()
    }

    /// A digest of everything that a query returns.
    pub async fn digest(&self, of: &str) -> String {
        self.value(&format!("SELECT coalesce(md5(string_agg(md5(x::text),'' ORDER BY md5(x::text))),'') FROM ({of}) x"))
            .await
    }
}

/// A database of a test's own on the server that `scripts/test` provides; dropped with this value.
pub struct OwnDatabase {
    pub url: String,
    server: String,
    name: String,
}

impl OwnDatabase {
    pub async fn create() -> Self {
        let server = std::env::var("EFFACE_TEST_DATABASE_URL")
            .expect("EFFACE_TEST_DATABASE_URL is not set: run ./scripts/test, which starts a PostgreSQL for the tests");
        let name = format!("efface_test_{:016x}", rand::random::<u64>());
        let admin = Db::open(&server).await;
        admin.run(&format!("CREATE DATABASE {name}")).await;
        let (before, _) = server.rsplit_once('/').unwrap();
        Self { url: format!("{before}/{name}"), server: server.clone(), name }
    }
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // A thread of its own: a runtime cannot be blocked on from within itself.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                Db::open(&server).await.run(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
            });
        });
        let _ = dropping.join();
    }
}
