//! Packages that answer `customers/data_request`, and the wrapped keys that seal what is kept.

use sea_orm_migration::prelude::*;

use crate::columns::{Columns, null, or, table, unique};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(manager);

        let columns = [
            c.id(),
            c.text("jobId"),
            c.text("shopDomain"),
            c.text("status"),
            or(c.bigint("rowsTotal"), 0),
            c.json("counts"),
            c.instant("createdAt"),
            null(c.instant("readyAt")),
            c.instant("expiresAt"),
            null(c.instant("removedAt")),
        ];
        manager.create_table(table("ExportPackage", columns)).await?;
        manager.create_index(unique("ExportPackage", &["jobId"])).await?;

        let columns = [
            c.id(),
            c.text("packageId"),
            c.integer("sequence"),
            c.text("tableName"),
            c.integer("rows"),
            c.bytes("sealed"),
        ];
        manager.create_table(table("ExportPart", columns)).await?;
        manager.create_index(unique("ExportPart", &["packageId", "sequence"])).await?;

        let columns = [
            c.id(),
            c.text("purpose"),
            null(c.bytes("wrappedKey")),
            c.text("kekId"),
            c.instant("createdAt"),
            null(c.instant("destroyedAt")),
        ];
        manager.create_table(table("SealingKey", columns)).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["SealingKey", "ExportPart", "ExportPackage"] {
            manager.drop_table(Table::drop().table(name).take()).await?;
        }
        Ok(())
    }
}
