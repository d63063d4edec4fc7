//! Applies, reverts and lists the steps of both migrators.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{DatabaseConnection, DatabaseTransaction, DbBackend, Statement};
use sea_orm_migration::{Migration, MigrationStatus};

use crate::lock::begin_alone;
use crate::{Migrator, OWN_STEPS, REFERENCE_STEPS, ReferenceMigrator};

/// Why the schema could not be changed or read.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// Another process kept the SQLite file locked.
    #[error("the database file stayed locked by another process; try again when it is done")]
    Busy,
    /// The list of applied steps is there, and the role may not read it.
    #[error("this database role may not read the list of applied migrations: it lacks SELECT on {0}")]
    Unreadable(&'static str),
    /// The database refused, or its list of applied steps names one that this program does not know (it is older).
    #[error("the schema could not be brought in step")]
    Database(#[from] DbErr),
}

/// The names of the steps that a call applied or reverted, in the order in which it did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Efface's own, then the reference app's on the way up; the other way round on the way down.
    pub steps: Vec<String>,
}

impl Applied {
    /// Whether there was nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// One step and whether it is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationState {
    /// The step's name.
    pub name: String,
    /// Whether it belongs to the reference app's tables.
    pub reference: bool,
    /// Whether it is applied.
    pub applied: bool,
}

/// Applies every pending step, all in one transaction, and the reference app's too when `reference` asks for them.
///
/// Safe to call from many processes at once: all return `Ok`, and each step is named by exactly one of them. On
/// PostgreSQL the planner's statistics are gathered afterwards: plans made on tables that were never analysed are slow.
///
/// # Errors
/// See [`MigrationError`]. Nothing was changed.
pub async fn up(db: &DatabaseConnection, reference: bool) -> Result<Applied, MigrationError> {
    let transaction = begin_alone(db).await?;
    let mut applied = Applied::default();
    apply::<Migrator>(&transaction, &mut applied).await?;
    if reference {
        apply::<ReferenceMigrator>(&transaction, &mut applied).await?;
    }
    transaction.commit().await?;
    if !applied.is_empty() {
        analyze(db, reference).await?;
    }
    Ok(applied)
}

/// Reverts the latest `steps` of Efface's own (all of them when `None`), after all of the reference app's when
/// `reference` asks for it. Tables that the app had before are left alone. **The rows of reverted tables are lost.**
///
/// # Errors
/// See [`MigrationError`]. Nothing was changed.
pub async fn down(db: &DatabaseConnection, reference: bool, steps: Option<u32>) -> Result<Applied, MigrationError> {
    let transaction = begin_alone(db).await?;
    let mut reverted = Applied::default();
    if reference {
        revert::<ReferenceMigrator>(&transaction, None, &mut reverted).await?;
    }
    revert::<Migrator>(&transaction, steps, &mut reverted).await?;
    transaction.commit().await?;
    Ok(reverted)
}

/// Lists every step in order, and whether it is applied. Reads only: neither locks nor creates anything.
///
/// # Errors
/// [`MigrationError::Unreadable`] or [`MigrationError::Database`].
pub async fn status(db: &DatabaseConnection, reference: bool) -> Result<Vec<MigrationState>, MigrationError> {
    require_readable(db, OWN_STEPS).await?;
    if reference {
        require_readable(db, REFERENCE_STEPS).await?;
    }
    let mut states = states(Migrator::get_migration_with_status_read_only(db).await?, false);
    if reference {
        states.extend(self::states(ReferenceMigrator::get_migration_with_status_read_only(db).await?, true));
    }
    Ok(states)
}

/// A list that may not be read looks as if it were not there, and every step pending.
async fn require_readable(db: &DatabaseConnection, table: &'static str) -> Result<(), MigrationError> {
    let backend = db.get_database_backend();
    if backend != DbBackend::Postgres {
        return Ok(());
    }
    let sql = r#"SELECT coalesce(has_table_privilege(to_regclass($1), 'SELECT'), true) AS "may""#;
    let row = db.query_one_raw(Statement::from_sql_and_values(backend, sql, [table.into()])).await?;
    let may = row.map_or(Ok(true), |row| row.try_get("", "may"))?;
    if may { Ok(()) } else { Err(MigrationError::Unreadable(table)) }
}

fn states(migrations: Vec<Migration>, reference: bool) -> Vec<MigrationState> {
    migrations
        .into_iter()
        .map(|step| MigrationState {
            name: step.name().to_owned(),
            reference,
            applied: step.status() == MigrationStatus::Applied,
        })
        .collect()
}

async fn apply<M: MigratorTrait>(
    transaction: &DatabaseTransaction,
    applied: &mut Applied,
) -> Result<(), MigrationError> {
    let pending = M::get_pending_migrations(transaction).await?;
    M::up(transaction, None).await?;
    applied.steps.extend(pending.iter().map(|step| step.name().to_owned()));
    Ok(())
}

async fn revert<M: MigratorTrait>(
    transaction: &DatabaseTransaction,
    steps: Option<u32>,
    reverted: &mut Applied,
) -> Result<(), MigrationError> {
    let before = M::get_applied_migrations(transaction).await?;
    M::down(transaction, steps).await?;
    let limit = steps.map_or(usize::MAX, |steps| usize::try_from(steps).unwrap_or(usize::MAX));
    reverted.steps.extend(before.iter().rev().take(limit).map(|step| step.name().to_owned()));
    Ok(())
}

/// Gathers statistics on our own tables, and on the reference app's when they were asked for.
async fn analyze(db: &DatabaseConnection, reference: bool) -> Result<(), MigrationError> {
    if db.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    let app: &[&str] = if reference { REFERENCE_TABLES } else { &[] };
    for table in OWN_TABLES.iter().chain(app) {
        db.execute_unprepared(&format!("ANALYZE \"{table}\"")).await?;
    }
    Ok(())
}

/// Efface's own tables: the data map must never name them.
pub const OWN_TABLES: &[&str] = &[
    "GDPRJob",
    "WebhookLog",
    "AuditLog",
    "AuditSpan",
    "AuditTree",
    "AuditTile",
    "AuditCheckpoint",
    "DeletionReceipt",
    "RetentionRun",
    "SchedulerLease",
    "LegalHold",
    "Suppression",
    "SuppressionKey",
    "SuppressionDigest",
    "ExportPackage",
    "ExportPart",
    "SealingKey",
];

/// The reference app's tables, the parent first.
pub const REFERENCE_TABLES: &[&str] =
    &["Shop", "ConversionLog", "ConversionJob", "PixelEventReceipt", "SurveyResponse", "ReconciliationReport"];
