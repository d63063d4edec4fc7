//! What can go wrong in the database, told without a single value from a row.
//!
//! PostgreSQL's messages and details quote the values that offended it, so they are dropped here and only codes and
//! names of constraints, tables and columns go on.

use std::fmt::Write as _;

use sea_orm::sqlx;
use sea_orm::{DbErr, RuntimeErr};

/// An error of the database or of what was read from it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database does not answer, or ended the connection. Waiting cures it.
    #[error("the database is unavailable ({0})")]
    Unavailable(String),
    /// Two transactions stood in each other's way; the database chose this one to give in. Waiting cures it.
    #[error("the database rolled back a conflicting transaction ({0})")]
    Conflict(String),
    /// The database refused the statement.
    #[error("the database refused a statement ({0})")]
    Refused(String),
    /// Rows of another table refer to what was to be deleted. They may have come a moment ago: then looking again finds
    /// them.
    #[error("the database refused a statement ({0})")]
    Referenced(String),
    /// A trigger of the app changed rows that the same statement was about to delete. In statements of their own they go.
    #[error("the database refused a statement ({0})")]
    Entangled(String),
    /// What was deleted or masked is there again, as often as it is done.
    #[error("rows {0}come back as fast as they are erased: a trigger puts them back, or the app writes on")]
    ComeBack(String),
    /// A row that makes no sense.
    #[error("row {id} of \"{table}\" does not read back: {reason} in \"{column}\"")]
    Row {
        /// The table's name.
        table: &'static str,
        /// The column's name.
        column: &'static str,
        /// The row's id.
        id: String,
        /// What is wrong, without the value.
        reason: &'static str,
    },
    /// A row of which the driver says no more than a column's name.
    #[error("{0}")]
    Unreadable(String),
    /// The number of rows that a statement touched is not what it must be.
    #[error("{what}: expected {expected} rows, touched {touched}")]
    Count {
        /// Which statement.
        what: &'static str,
        /// Rows that it had to touch.
        expected: u64,
        /// Rows that it touched.
        touched: u64,
    },
    /// A table that is not one whose rows can be purged.
    #[error("rows of \"{table}\" cannot be purged: {why}")]
    Unpurgeable {
        /// The table's name.
        table: String,
        /// What stands against it.
        why: String,
    },
    /// A store other than Efface's own: what is wrong there is no outage of the worker's database.
    #[error("store \"{store}\": {error}")]
    Elsewhere {
        /// The store's name in the data map.
        store: String,
        error: Box<StoreError>,
    },
    /// The address of a database starts with neither `sqlite:` nor `postgres:`.
    #[error("a database address starts with sqlite:// or postgres://")]
    Url,
}

impl StoreError {
    /// Says which store the error is about. The default store's errors stay as they are.
    #[must_use]
    pub fn of_store(self, store: &str) -> Self {
        match self {
            Self::Elsewhere { .. } => self,
            error if store == "default" => error,
            error => Self::Elsewhere { store: store.to_owned(), error: Box::new(error) },
        }
    }

    /// Says in which table the database refused, or did not do, what it was told.
    #[must_use]
    pub fn of_table(self, table: &impl std::fmt::Display) -> Self {
        match self {
            Self::Refused(why) => Self::Refused(format!("{why}, in table {table}")),
            Self::Referenced(why) => Self::Referenced(format!("{why}, in table {table}")),
            Self::ComeBack(_) => Self::ComeBack(format!("of table {table} ")),
            Self::Count { .. } => Self::Refused(format!("{self}, in table {table}")),
            error => error,
        }
    }

    /// Says of which row it is that a column does not read back.
    #[must_use]
    pub fn of_row(self, table: &str, id: &str) -> Self {
        match self {
            Self::Refused(why) => Self::Unreadable(format!("row {id} of \"{table}\" does not read back: {why}")),
            error => error,
        }
    }

    /// Whether two transactions stood in each other's way, so that the same work may simply be begun again.
    pub fn is_contention(&self) -> bool {
        match self {
            Self::Conflict(_) => true,
            Self::Elsewhere { error, .. } => error.is_contention(),
            _ => false,
        }
    }

    /// Whether rows that refer to deleted ones were in the way.
    pub fn is_referenced(&self) -> bool {
        match self {
            Self::Referenced(_) => true,
            Self::Elsewhere { error, .. } => error.is_referenced(),
            _ => false,
        }
    }

    /// The error of a statement that deletes from several tables, where a refusal may be a trigger's doing.
    #[must_use]
    pub(super) fn of_several_tables(self) -> Self {
        match self {
            // PostgreSQL's triggered_data_change_violation.
            Self::Refused(why) if why.starts_with("code 27000") => Self::Entangled(why),
            error => error,
        }
    }

    /// Whether the database role lacks the right.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Refused(why) if why.starts_with("code 42501"))
    }

    /// Whether a trigger was in the way of a statement that deletes from several tables.
    pub fn is_entangled(&self) -> bool {
        match self {
            Self::Entangled(_) => true,
            Self::Elsewhere { error, .. } => error.is_entangled(),
            _ => false,
        }
    }

    /// Whether the database is away, as opposed to unwilling.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// Asserts how many rows a statement touched.
///
/// # Errors
/// [`StoreError::Count`] when it differs.
pub fn exactly(what: &'static str, expected: u64, touched: u64) -> Result<(), StoreError> {
    if expected == touched { Ok(()) } else { Err(StoreError::Count { what, expected, touched }) }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match &error {
            DbErr::ConnectionAcquire(_) => Self::Unavailable("no connection in time".into()),
            DbErr::Conn(RuntimeErr::SqlxError(e)) => Self::Unavailable(no_connection(e)),
            DbErr::Conn(_) => Self::Unavailable("no connection".into()),
            DbErr::Exec(RuntimeErr::SqlxError(e)) | DbErr::Query(RuntimeErr::SqlxError(e)) => from_sqlx(e),
            DbErr::Type(_) | DbErr::Json(_) => Self::Refused("a column has an unexpected type".into()),
            other => Self::Refused(kind(other).into()),
        }
    }
}

/// Why a database does not let us in, where it says so by a code.
fn no_connection(error: &sqlx::Error) -> String {
    let e = match error {
        sqlx::Error::Database(e) => e,
        sqlx::Error::Io(e) => return format!("no connection: {}", e.kind()),
        // What refuses connections is tried again until the time is over: it may be starting.
        sqlx::Error::PoolTimedOut => return "no connection in time: does it run at that address?".to_owned(),
        _ => return "no connection".to_owned(),
    };
    let code = e.code().unwrap_or_default();
    let why = match code.as_ref() {
        "28P01" | "28000" => "it refuses this user or password",
        "3D000" => "it has no database of that name",
        // SQLite: cannot open, not a database.
        "14" => {
            "the file is not there or cannot be opened; with `?mode=rwc` in its URL, `efface serve` and \
             `efface migrate up` make a new one, in a folder that is there"
        }
        "26" => "the file is no SQLite database",
        _ => return format!("no connection, code {code}"),
    };
    format!("no connection: {why}")
}

fn from_sqlx(error: &sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(e) => {
            let code = e.code().unwrap_or_default();
            let mut about = format!("code {code}");
            for (what, name) in [("table", e.table()), ("constraint", e.constraint())] {
                if let Some(name) = name {
                    let _ = write!(about, ", {what} {name}");
                }
            }
            if code == "42P01" || e.message().starts_with("no such table") {
                about += ": a table is missing; `efface migrate up` makes those of Efface";
            }
            match code.as_ref() {
                // PostgreSQL: deadlock, serialization failure, lock not available. SQLite: busy, locked and kin.
                "40P01" | "40001" | "55P03" | "5" | "6" | "261" | "517" => StoreError::Conflict(about),
                // PostgreSQL alone: on SQLite nobody else writes meanwhile.
                "23503" => StoreError::Referenced(about),
                // PostgreSQL: shutting down, starting up, connection class, too many connections, idle in transaction.
                "57P01" | "57P02" | "57P03" | "53300" | "25P03" => StoreError::Unavailable(about),
                c if c.starts_with("08") => StoreError::Unavailable(about),
                _ => StoreError::Refused(about),
            }
        }
        sqlx::Error::Io(e) => StoreError::Unavailable(format!("{:?}", e.kind())),
        sqlx::Error::Tls(_) => StoreError::Unavailable("TLS".into()),
        sqlx::Error::PoolTimedOut => StoreError::Unavailable("no connection in time".into()),
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => StoreError::Unavailable("pool closed".into()),
        sqlx::Error::Protocol(_) => StoreError::Unavailable("protocol".into()),
        sqlx::Error::ColumnDecode { index, .. } => {
            StoreError::Refused(format!("column {index} has an unexpected type"))
        }
        sqlx::Error::ColumnNotFound(name) => StoreError::Refused(format!("no column {name}")),
        _ => StoreError::Refused("driver".into()),
    }
}

fn kind(error: &DbErr) -> &'static str {
    match error {
        DbErr::RecordNotFound(_) => "no such row",
        DbErr::RecordNotInserted => "row not inserted",
        DbErr::RecordNotUpdated => "row not updated",
        _ => "statement",
    }
}
