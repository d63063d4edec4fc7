//! Speaks SQL: connections, transactions, and one file per table.
//!
//! Nothing above this room writes SQL. Statements that touch the app's own tables live in [`target`], and only
//! `erasure::execute` may call those that delete.

pub mod audit_log;
pub mod audit_tree;
pub mod catalog;
pub mod content_key;
pub mod deadline;
pub mod deletion_receipt;
pub mod error;
pub mod export_package;
pub mod gdpr_job;
pub mod id;
pub mod job_report;
pub mod legal_hold;
pub mod own_rows;
pub mod retention_run;
pub mod rows;
pub mod scheduler_lease;
pub mod suppression;
pub mod target;
pub mod webhook_log;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx;
use sea_orm::{
    AccessMode, ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DatabaseTransaction, DbBackend,
    IsolationLevel, SqliteTransactionMode, TransactionOptions, TransactionTrait as _,
};
use tokio::sync::{Mutex, OwnedMutexGuard};

pub use error::StoreError;

/// How long a statement on SQLite waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a checkpoint on SQLite waits for readers.
const CHECKPOINT_WAIT: Duration = Duration::from_millis(100);

/// How many connections a pool may hold, and how long a caller waits.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// Connections at most.
    pub connections_max: u32,
    /// How long a caller waits for a free connection before it is told that the database is unavailable.
    pub acquire_timeout: Duration,
    /// How long a transaction may sit idle on PostgreSQL before the server ends it and frees its row locks: a
    /// worker that was stopped in the middle of a transaction must not block those who rescue its jobs.
    pub idle_in_transaction_timeout: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            connections_max: 10,
            acquire_timeout: Duration::from_secs(5),
            idle_in_transaction_timeout: Duration::from_mins(1),
        }
    }
}

/// A database that Efface keeps its own tables in, or erases from.
///
/// Cheap to clone. On SQLite, writers of one process queue on a lock instead of polling the file's.
#[derive(Clone, Debug)]
pub struct Store {
    db: DatabaseConnection,
    writers: Option<Arc<Mutex<()>>>,
}

impl Store {
    /// Opens a pool on `sqlite://…` or `postgres://…` and checks that the database answers. A SQLite file that is not there
    /// is made, when the URL says so.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it does not answer, [`StoreError::Url`] for any other scheme.
    pub async fn connect(url: &str, limits: PoolLimits) -> Result<Self, StoreError> {
        Self::open(url, limits, true).await
    }

    /// As [`Self::connect`], but never makes a SQLite file, whatever the URL says.
    ///
    /// # Errors
    /// As [`Self::connect`], also when the file is not there.
    pub async fn connect_existing(url: &str, limits: PoolLimits) -> Result<Self, StoreError> {
        Self::open(url, limits, false).await
    }

    async fn open(url: &str, limits: PoolLimits, make: bool) -> Result<Self, StoreError> {
        let sqlite = url.starts_with("sqlite:");
        if !sqlite && !url.starts_with("postgres:") && !url.starts_with("postgresql:") {
            return Err(StoreError::Url);
        }
        let mut options = ConnectOptions::new(url);
        // No reaping of idle connections. sqlx counts them a moment late: its task that looks for them may read 0 - 1, and then
        // goes round for ever (sqlx 0.9, `PoolInner::release` and `spawn_maintenance_tasks`). A dead one is noticed by its user.
        options.idle_timeout(None).max_lifetime(None);
        options
            .max_connections(limits.connections_max)
            .acquire_timeout(limits.acquire_timeout)
            .connect_timeout(limits.acquire_timeout)
            .sqlx_logging(false)
            .record_stmt_in_spans(false)
            // A dead connection is noticed by the statement that uses it; asking first costs a round trip each time.
            .test_before_acquire(false);
        if sqlite {
            options.map_sqlx_sqlite_opts(move |sqlite| {
                let sqlite = if make { sqlite } else { sqlite.create_if_missing(false) };
                sqlite
                    .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
                    .synchronous(sqlx::sqlite::SqliteSynchronous::Full)
                    .foreign_keys(true)
                    .busy_timeout(BUSY_TIMEOUT)
                    // Deleted content is overwritten with zeros, or it would stay readable in free pages.
                    .pragma("secure_delete", "ON")
            });
        } else {
            let idle_ms = limits.idle_in_transaction_timeout.as_millis().to_string();
            options.set_application_name("efface");
            options.map_sqlx_postgres_opts(move |postgres| {
                postgres.options([
                    ("idle_in_transaction_session_timeout", idle_ms.as_str()),
                    // Our joins are lists of keys against indexed columns. Fed with a whole batch of keys, or with the
                    // statistics of a table that was empty a moment ago, the planner would read tables from end to end
                    // for them, or spend longer on compiling the statement than on running it.
                    ("enable_hashjoin", "off"),
                    ("enable_mergejoin", "off"),
                    ("enable_seqscan", "off"),
                    ("jit", "off"),
                    // Starting two helpers for a batch of keys costs more than looking them up, and takes the app's share.
                    ("max_parallel_workers_per_gather", "0"),
                    // What we VACUUM is large, and the app is there: as slowly as autovacuum does it.
                    ("vacuum_cost_delay", "2"),
                ])
            });
        }
        let db = Database::connect(options).await.map_err(StoreError::from)?;
        Ok(Self { db, writers: sqlite.then(Arc::default) })
    }

    /// The pool, for statements outside a transaction.
    pub fn db(&self) -> &DatabaseConnection {
        &self.db
    }

    /// Which database this is.
    pub fn backend(&self) -> DbBackend {
        self.db.get_database_backend()
    }

    /// Begins a transaction that will write: `IMMEDIATE` on SQLite, so that it cannot fail half-way for the lock.
    ///
    /// # Errors
    /// When no connection can be had.
    pub async fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        let turn = match &self.writers {
            Some(writers) => Some(Arc::clone(writers).lock_owned().await),
            None => None,
        };
        let options = TransactionOptions {
            sqlite_transaction_mode: turn.is_some().then_some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let (inner, turn) = self.begin(options, turn).await?;
        Ok(WriteTransaction { inner, turn })
    }

    /// Begins in a task of its own, with the turn: a caller that goes away in the middle of it would leave a connection in
    /// the pool that is inside a transaction, and the next to get it would never commit.
    async fn begin<T: Send + 'static>(
        &self,
        options: TransactionOptions,
        turn: T,
    ) -> Result<(DatabaseTransaction, T), StoreError> {
        let db = self.db.clone();
        let begun = tokio::spawn(async move { db.begin_with_options(options).await.map(|begun| (begun, turn)) });
        match begun.await {
            Ok(begun) => Ok(begun?),
            Err(_) => Err(StoreError::Unavailable("the program ends".to_owned())),
        }
    }

    /// Begins a read-only transaction that sees one unchanging snapshot.
    ///
    /// # Errors
    /// When no connection can be had.
    pub async fn begin_snapshot(&self) -> Result<DatabaseTransaction, StoreError> {
        let options = if self.writers.is_some() {
            TransactionOptions::default()
        } else {
            TransactionOptions {
                isolation_level: Some(IsolationLevel::RepeatableRead),
                access_mode: Some(AccessMode::ReadOnly),
                sqlite_transaction_mode: None,
            }
        };
        Ok(self.begin(options, ()).await?.0)
    }

    /// Asks the database for one row.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it does not answer.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.db.execute_unprepared("SELECT 1").await?;
        Ok(())
    }

    /// Cuts SQLite's write-ahead log to nothing, so that no copy of a deleted row stays in it. A no-op elsewhere.
    ///
    /// Readers in the middle of a snapshot can keep the log alive; then the next call takes it away.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn truncate_wal(&self) -> Result<(), StoreError> {
        if let Some(writers) = &self.writers {
            let _turn = writers.lock().await;
            // A checkpoint keeps writers out while it waits for readers, and a reader may be waiting to write.
            let sql = format!(
                "PRAGMA busy_timeout = {}; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA busy_timeout = {}",
                CHECKPOINT_WAIT.as_millis(),
                BUSY_TIMEOUT.as_millis()
            );
            self.db.execute_unprepared(&sql).await?;
        }
        Ok(())
    }

    /// Closes the pool after its connections are back.
    pub async fn close(&self) {
        let _ = self.db.clone().close().await;
    }
}

/// A transaction that writes; dropped without [`WriteTransaction::commit`], it rolls back.
#[derive(Debug)]
pub struct WriteTransaction {
    inner: DatabaseTransaction,
    turn: Option<OwnedMutexGuard<()>>,
}

impl WriteTransaction {
    /// Makes everything durable.
    ///
    /// # Errors
    /// When the outcome is unknown or the database refused: the caller must treat it as not done.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.inner.commit().await?;
        drop(self.turn);
        Ok(())
    }

    /// Undoes everything and gives the connection back.
    ///
    /// # Errors
    /// When the connection is gone, in which case the database has rolled back by itself.
    pub async fn rollback(self) -> Result<(), StoreError> {
        self.inner.rollback().await?;
        drop(self.turn);
        Ok(())
    }
}

impl Deref for WriteTransaction {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.inner
    }
}
