//! How PostgreSQL keeps rows that are written often or are wide. SQLite has nothing like it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::columns::execute;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// A receipt is signed base64: trying to compress it costs more than writing it, and a second table for every row more still.
/// A job's row is written four times in its short life: with room on its page it stays there, and most indexes are left alone.
const UP: [&str; 3] = [
    r#"ALTER TABLE "DeletionReceipt" ALTER COLUMN "envelope" SET STORAGE EXTERNAL"#,
    r#"ALTER TABLE "DeletionReceipt" SET (toast_tuple_target = 8160)"#,
    r#"ALTER TABLE "GDPRJob" SET (fillfactor = 50)"#,
];

const DOWN: [&str; 3] = [
    r#"ALTER TABLE "GDPRJob" RESET (fillfactor)"#,
    r#"ALTER TABLE "DeletionReceipt" RESET (toast_tuple_target)"#,
    r#"ALTER TABLE "DeletionReceipt" ALTER COLUMN "envelope" SET STORAGE EXTENDED"#,
];

async fn on_postgres(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    if manager.get_database_backend() == DbBackend::Postgres { execute(manager, statements).await } else { Ok(()) }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        on_postgres(manager, &UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        on_postgres(manager, &DOWN).await
    }
}
