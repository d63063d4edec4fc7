//! Legal holds of a person know several identifiers, and the question before every step has an index.

use sea_orm_migration::prelude::*;

use crate::columns::{Columns, index, null};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(manager);
        // Nothing wrote the old column: no hold could be placed before this step.
        manager.alter_table(Table::alter().table("LegalHold").drop_column("subjectHash").take()).await?;
        manager.alter_table(Table::alter().table("LegalHold").add_column(null(c.json("subject"))).take()).await?;
        let in_force = Expr::col("releasedAt").is_null();
        manager.create_index(index("LegalHold", &["shopDomain"]).and_where(in_force).take()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(manager);
        manager.drop_index(Index::drop().name("LegalHold_shopDomain_idx").table("LegalHold").to_owned()).await?;
        manager.alter_table(Table::alter().table("LegalHold").drop_column("subject").take()).await?;
        manager.alter_table(Table::alter().table("LegalHold").add_column(null(c.text("subjectHash"))).take()).await
    }
}
