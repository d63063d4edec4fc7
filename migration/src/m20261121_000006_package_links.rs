//! What a package holds, table by table, and the link by which its merchant fetches it.

use sea_orm_migration::prelude::*;

use crate::columns::{Columns, null, or};

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLE: &str = "ExportPackage";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(manager);
        let columns = [
            null(c.json("contents")),
            null(c.instant("receivedAt")),
            null(c.bytes("linkDigest")),
            null(c.instant("linkExpiresAt")),
            null(c.text("linkRecipient")),
            or(c.integer("linkTries"), 0),
            null(c.instant("linkUsedAt")),
        ];
        // SQLite adds one column at a time.
        for mut column in columns {
            manager.alter_table(Table::alter().table(TABLE).add_column(&mut column).take()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let names =
            ["linkUsedAt", "linkTries", "linkRecipient", "linkExpiresAt", "linkDigest", "receivedAt", "contents"];
        for name in names {
            manager.alter_table(Table::alter().table(TABLE).drop_column(name).take()).await?;
        }
        Ok(())
    }
}
