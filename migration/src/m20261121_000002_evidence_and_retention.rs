//! Receipts, retention runs, legal holds and tombstones.

use sea_orm_migration::prelude::*;

use crate::columns::{Columns, index, null, or, table, unique};

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
            c.text("jobType"),
            c.text("outcome"),
            c.bytes("envelope"),
            c.text("keyId"),
            c.instant("createdAt"),
            c.instant("expiresAt"),
        ];
        manager.create_table(table("DeletionReceipt", columns)).await?;
        manager.create_index(unique("DeletionReceipt", &["jobId"])).await?;

        let columns = [
            c.id(),
            c.text("trigger"),
            c.text("policy"),
            c.text("tableName"),
            null(c.instant("cutoff")),
            or(c.bigint("rowsPurged"), 0),
            or(c.bigint("rowsHeld"), 0),
            or(c.integer("batches"), 0),
            null(c.text("strategy")),
            or(c.boolean("dryRun"), false),
            or(c.boolean("limitReached"), false),
            null(c.text("error")),
            c.instant("startedAt"),
            null(c.instant("finishedAt")),
        ];
        manager.create_table(table("RetentionRun", columns)).await?;

        let columns = [
            c.id(),
            c.text("scope"),
            null(c.text("shopDomain")),
            null(c.text("subjectHash")),
            null(c.text("tableName")),
            c.text("reason"),
            c.text("placedBy"),
            c.instant("placedAt"),
            null(c.instant("reviewAt")),
            null(c.instant("releasedAt")),
            null(c.text("releasedBy")),
        ];
        manager.create_table(table("LegalHold", columns)).await?;

        let columns = [
            c.id(),
            c.text("shopDomain"),
            c.text("subjectHash"),
            c.text("purpose"),
            c.text("jobId"),
            c.instant("createdAt"),
            c.instant("expiresAt"),
            or(c.integer("sweepsDone"), 0),
            null(c.instant("nextSweepAt")),
        ];
        manager.create_table(table("Suppression", columns)).await?;
        manager.create_index(unique("Suppression", &["shopDomain", "subjectHash", "purpose"])).await?;
        let due = Expr::col("nextSweepAt").is_not_null();
        manager.create_index(index("Suppression", &["nextSweepAt"]).and_where(due).take()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["Suppression", "LegalHold", "RetentionRun", "DeletionReceipt"] {
            manager.drop_table(Table::drop().table(name).take()).await?;
        }
        Ok(())
    }
}
