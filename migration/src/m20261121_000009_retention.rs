//! Who keeps the clock among many processes, and what a retention run has to tell.

use sea_orm_migration::prelude::*;

use crate::columns::{Columns, index, null, or, table};

#[derive(DeriveMigrationName)]
pub struct Migration;

fn new_columns(c: Columns) -> Vec<ColumnDef> {
    vec![
        null(c.text("sweepId")),
        or(c.text("store"), "default"),
        or(c.bigint("rowsDue"), 0),
        null(c.text("because")),
        or(c.bigint("longestMs"), 0),
        or(c.boolean("vacuumed"), false),
        null(c.text("resume")),
    ]
}

const NAMES: [&str; 7] = ["sweepId", "store", "rowsDue", "because", "longestMs", "vacuumed", "resume"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(manager);
        let columns = [
            c.text("name").primary_key().take(),
            c.text("owner"),
            c.bigint("fence"),
            c.instant("leaseUntil"),
            null(c.instant("slotAt")),
        ];
        manager.create_table(table("SchedulerLease", columns)).await?;
        for column in new_columns(c) {
            manager.alter_table(Table::alter().table("RetentionRun").add_column(column).take()).await?;
        }
        manager.create_index(index("RetentionRun", &["policy", "id"])).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let policy = Index::drop().name("RetentionRun_policy_id_idx").table("RetentionRun").to_owned();
        manager.drop_index(policy).await?;
        for name in NAMES {
            manager.alter_table(Table::alter().table("RetentionRun").drop_column(name).take()).await?;
        }
        manager.drop_table(Table::drop().table("SchedulerLease").take()).await
    }
}
