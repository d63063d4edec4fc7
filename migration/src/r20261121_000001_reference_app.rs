//! The reference app's six tables, as Prisma would write them.
//!
//! A real app's tables may be here already: each table that exists is left exactly as it is, and is not dropped on the
//! way down either. What this step made is known by its index names, which begin with `efface_`.
//! The columns are lenient: what an insert leaves out is null or gets a sensible value, but for ids and keys.

use sea_orm_migration::prelude::*;

use crate::columns::{Columns, named_index, null, or, table};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(manager);
        for made in [
            shop(c),
            conversion_log(c),
            conversion_job(c),
            pixel_event_receipt(c),
            survey_response(c),
            reconciliation_report(c),
        ] {
            made.create(manager).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(manager);
        for made in [
            reconciliation_report(c),
            survey_response(c),
            pixel_event_receipt(c),
            conversion_job(c),
            conversion_log(c),
            shop(c),
        ] {
            made.drop(manager).await?;
        }
        Ok(())
    }
}

/// A table of the reference app and its indexes: `plain` ones and `unique` ones, by their columns.
struct AppTable {
    name: &'static str,
    columns: Vec<ColumnDef>,
    of_shop: bool,
    unique: &'static [&'static str],
    plain: &'static [&'static [&'static str]],
}

impl AppTable {
    /// The name of the index that tells that this step made the table.
    fn mark(&self) -> String {
        if self.unique.is_empty() { self.plain_name(self.plain[0]) } else { self.unique_name() }
    }

    /// Not named by its columns: four of them would pass PostgreSQL's 63 bytes.
    fn unique_name(&self) -> String {
        format!("efface_{}_key", self.name)
    }

    fn plain_name(&self, columns: &[&str]) -> String {
        format!("efface_{}_{}_idx", self.name, columns.join("_"))
    }

    async fn create(mut self, manager: &SchemaManager<'_>) -> Result<(), DbErr> {
        if manager.has_table(self.name).await? {
            return Ok(());
        }
        let mut create = table(self.name, std::mem::take(&mut self.columns));
        if self.of_shop {
            create.foreign_key(
                ForeignKey::create()
                    .name(format!("{}_shopId_fkey", self.name))
                    .from(self.name, "shopId")
                    .to("Shop", "id")
                    .on_delete(ForeignKeyAction::Cascade)
                    .on_update(ForeignKeyAction::Cascade),
            );
        }
        manager.create_table(create).await?;
        if !self.unique.is_empty() {
            manager.create_index(named_index(self.unique_name(), self.name, self.unique).unique().take()).await?;
        }
        for columns in self.plain {
            manager.create_index(named_index(self.plain_name(columns), self.name, columns)).await?;
        }
        Ok(())
    }

    async fn drop(self, manager: &SchemaManager<'_>) -> Result<(), DbErr> {
        if manager.has_table(self.name).await? && manager.has_index(self.name, self.mark()).await? {
            manager.drop_table(Table::drop().table(self.name).take()).await?;
        }
        Ok(())
    }
}

const BY_DATE_AND_ORDER: &[&[&str]] = &[&["shopId", "createdAt"], &["shopId", "orderId"]];

fn shop(c: Columns) -> AppTable {
    let columns = vec![
        c.id(),
        c.text("shopDomain"),
        null(c.text("email")),
        null(c.text("name")),
        null(c.text("plan")),
        null(c.prisma_now("installedAt")),
        c.prisma_instant("uninstalledAt"),
        or(c.boolean("isActive"), true),
        or(c.integer("dataRetentionDays"), 90),
        c.prisma_now("createdAt"),
        c.prisma_now("updatedAt"),
    ];
    AppTable { name: "Shop", columns, of_shop: false, unique: &["shopDomain"], plain: &[] }
}

fn conversion_log(c: Columns) -> AppTable {
    let columns = vec![
        c.id(),
        c.text("shopId"),
        c.text("orderId"),
        null(c.text("orderNumber")),
        money("orderValue"),
        or(c.text("currency"), "USD"),
        null(c.text("eventId")),
        or(c.text("platform"), "meta"),
        or(c.text("eventType"), "purchase"),
        or(c.text("status"), "pending"),
        or(c.integer("attempts"), 0),
        null(c.text("errorMessage")),
        null(c.json("platformResponse")),
        c.prisma_now("createdAt"),
        c.prisma_instant("sentAt"),
    ];
    AppTable {
        name: "ConversionLog",
        columns,
        of_shop: true,
        unique: &["shopId", "orderId", "platform", "eventType"],
        plain: BY_DATE_AND_ORDER,
    }
}

fn conversion_job(c: Columns) -> AppTable {
    let columns = vec![
        c.id(),
        c.text("shopId"),
        c.text("orderId"),
        null(c.text("orderNumber")),
        money("orderValue"),
        or(c.text("currency"), "USD"),
        null(c.json("capiInput")),
        or(c.text("status"), "queued"),
        or(c.integer("attempts"), 0),
        null(c.text("errorMessage")),
        c.prisma_now("createdAt"),
        c.prisma_instant("processedAt"),
        c.prisma_instant("completedAt"),
    ];
    // The unique index is the one on ("shopId", "orderId") as well.
    let plain: &[&[&str]] = &[&["shopId", "createdAt"]];
    AppTable { name: "ConversionJob", columns, of_shop: true, unique: &["shopId", "orderId"], plain }
}

fn pixel_event_receipt(c: Columns) -> AppTable {
    let columns = vec![
        c.id(),
        c.text("shopId"),
        c.text("orderId"),
        or(c.text("eventType"), "purchase"),
        null(c.text("eventId")),
        null(c.text("checkoutToken")),
        c.prisma_instant("pixelTimestamp"),
        null(c.json("consentState")),
        null(c.text("trustLevel")),
        null(c.text("originHost")),
        null(c.json("metadata")),
        c.prisma_now("createdAt"),
    ];
    AppTable {
        name: "PixelEventReceipt",
        columns,
        of_shop: true,
        unique: &["shopId", "orderId", "eventType"],
        plain: BY_DATE_AND_ORDER,
    }
}

fn survey_response(c: Columns) -> AppTable {
    let columns = vec![
        c.id(),
        c.text("shopId"),
        c.text("orderId"),
        null(c.text("orderNumber")),
        null(c.integer("rating")),
        null(c.text("feedback")),
        null(c.text("source")),
        null(c.json("customAnswers")),
        c.prisma_now("createdAt"),
    ];
    AppTable { name: "SurveyResponse", columns, of_shop: true, unique: &[], plain: BY_DATE_AND_ORDER }
}

fn reconciliation_report(c: Columns) -> AppTable {
    let columns = vec![
        c.id(),
        c.text("shopId"),
        or(c.text("platform"), "meta"),
        ColumnDef::new("reportDate").date().not_null().take(),
        or(c.integer("shopifyOrders"), 0),
        or(money("shopifyRevenue"), 0).not_null().take(),
        or(c.integer("platformConversions"), 0),
        or(money("platformRevenue"), 0).not_null().take(),
        ColumnDef::new("orderDiscrepancy").double().not_null().default(0).take(),
        ColumnDef::new("revenueDiscrepancy").double().not_null().default(0).take(),
        or(c.text("status"), "pending"),
        c.prisma_now("createdAt"),
    ];
    let plain: &[&[&str]] = &[&["shopId", "createdAt"]];
    AppTable {
        name: "ReconciliationReport",
        columns,
        of_shop: true,
        unique: &["shopId", "platform", "reportDate"],
        plain,
    }
}

fn money(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).decimal_len(10, 2).take()
}
