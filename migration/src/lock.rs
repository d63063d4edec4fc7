//! Lets one process change the schema at a time.

use std::time::Duration;

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbBackend, RuntimeErr, SqliteTransactionMode, TransactionOptions,
    TransactionTrait as _,
};

use crate::run::MigrationError;

/// Names the lock among all advisory locks of a PostgreSQL database: the bytes of `effaceDB`.
const ADVISORY_LOCK: i64 = i64::from_be_bytes(*b"effaceDB");

/// Tries to begin on SQLite, beyond the driver's own busy timeout at each.
const BUSY_TRIES: u32 = 60;

/// Pause between two of them.
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// Begins the transaction in which the schema changes, alone: the next one waits until this one has ended.
///
/// PostgreSQL: a transaction that holds an advisory lock, with no limit on waiting for it. SQLite: `BEGIN IMMEDIATE`,
/// tried again while another process writes.
///
/// # Errors
/// [`MigrationError::Busy`] when SQLite stays locked; else what the database says.
pub(crate) async fn begin_alone(db: &DatabaseConnection) -> Result<DatabaseTransaction, MigrationError> {
    if db.get_database_backend() == DbBackend::Sqlite {
        return begin_immediate(db).await;
    }
    let transaction = db.begin().await?;
    transaction.execute_unprepared("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0").await?;
    transaction.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")).await?;
    Ok(transaction)
}

async fn begin_immediate(db: &DatabaseConnection) -> Result<DatabaseTransaction, MigrationError> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    for _ in 0..BUSY_TRIES {
        match db.begin_with_options(options).await {
            Ok(transaction) => return Ok(transaction),
            Err(error) if is_busy(&error) => tokio::time::sleep(BUSY_PAUSE).await,
            Err(error) => return Err(error.into()),
        }
    }
    Err(MigrationError::Busy)
}

/// Whether SQLite said `SQLITE_BUSY` or `SQLITE_LOCKED`, in any of their extended forms.
fn is_busy(error: &DbErr) -> bool {
    let (DbErr::Conn(RuntimeErr::SqlxError(cause))
    | DbErr::Exec(RuntimeErr::SqlxError(cause))
    | DbErr::Query(RuntimeErr::SqlxError(cause))) = error
    else {
        return false;
    };
    let code = cause.as_database_error().and_then(|cause| cause.code()?.parse::<u32>().ok());
    matches!(code.map(|code| code & 0xff), Some(5 | 6))
}
