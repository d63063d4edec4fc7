//! The order in which the database took in the entries of the audit log. The clocks of two hosts may differ, and with them
//! the ids that they make; the entries of one job follow each other because each waits for the job's row, and so do numbers
//! that the database gives.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// An identity column needs no grant of its own. Rows of before keep 0; none is written anew.
const POSTGRES: [&str; 5] = [
    r#"ALTER TABLE "AuditLog" ADD COLUMN "ordinal" bigint NOT NULL DEFAULT 0"#,
    r#"ALTER TABLE "AuditLog" ALTER COLUMN "ordinal" DROP DEFAULT"#,
    r#"ALTER TABLE "AuditLog" ALTER COLUMN "ordinal" ADD GENERATED ALWAYS AS IDENTITY"#,
    r#"DROP INDEX "AuditLog_unplaced_idx""#,
    r#"CREATE INDEX "AuditLog_unplaced_idx" ON "AuditLog" ("ordinal", "id") WHERE "leafIndex" IS NULL"#,
];

/// SQLite numbers its rows already; an index of what is null everywhere is in the order of those numbers.
const SQLITE: [&str; 2] = [
    r#"DROP INDEX "AuditLog_unplaced_idx""#,
    r#"CREATE INDEX "AuditLog_unplaced_idx" ON "AuditLog" ("leafIndex") WHERE "leafIndex" IS NULL"#,
];

/// The index of before, and no number.
const DOWN: [&str; 3] = [
    r#"DROP INDEX "AuditLog_unplaced_idx""#,
    r#"CREATE INDEX "AuditLog_unplaced_idx" ON "AuditLog" ("id") WHERE "leafIndex" IS NULL"#,
    r#"ALTER TABLE "AuditLog" DROP COLUMN "ordinal""#,
];

async fn execute(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for statement in statements {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        execute(manager, if is_postgres { &POSTGRES } else { &SQLITE }).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        execute(manager, if is_postgres { &DOWN } else { &DOWN[..2] }).await
    }
}
