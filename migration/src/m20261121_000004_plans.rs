//! The plan that a job waits to have approved, and the one that was.

use sea_orm_migration::prelude::*;

use crate::columns::{Columns, null};

#[derive(DeriveMigrationName)]
pub struct Migration;

const COLUMNS: [&str; 2] = ["planHash", "approvedPlan"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(manager);
        for name in COLUMNS {
            let column = null(c.text(name));
            manager.alter_table(Table::alter().table("GDPRJob").add_column(column).take()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in COLUMNS {
            manager.alter_table(Table::alter().table("GDPRJob").drop_column(name).take()).await?;
        }
        Ok(())
    }
}
