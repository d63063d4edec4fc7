//! The duties, the webhooks that brought them, and the audit log.

use sea_orm_migration::prelude::*;

use crate::columns::{Columns, index, null, or, table, unique};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(manager);
        gdpr_job(manager, c).await?;
        webhook_log(manager, c).await?;
        audit_log(manager, c).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("AuditLog").take()).await?;
        manager.drop_table(Table::drop().table("WebhookLog").take()).await?;
        manager.drop_table(Table::drop().table("GDPRJob").take()).await
    }
}

async fn gdpr_job(manager: &SchemaManager<'_>, c: Columns) -> Result<(), DbErr> {
    let columns = vec![
        c.id(),
        c.text("shopDomain"),
        null(c.text("shopId")),
        c.text("jobType"),
        c.text("status"),
        null(c.text("outcome")),
        c.text("topic"),
        c.text("provider"),
        c.text("source"),
        c.json("payload"),
        null(c.bytes("sealedPayload")),
        c.text("bodyDigest"),
        null(c.json("result")),
        null(c.json("progress")),
        null(c.text("errorMessage")),
        null(c.text("holdReason")),
        or(c.integer("attempts"), 0),
        or(c.bigint("fence"), 0),
        null(c.instant("leaseUntil")),
        null(c.text("leaseOwner")),
        c.text("webhookId"),
        null(c.text("eventId")),
        null(c.instant("triggeredAt")),
        c.instant("createdAt"),
        c.instant("dueAt"),
        c.instant("scheduledAt"),
        null(c.instant("processedAt")),
        null(c.instant("verifiedAt")),
        null(c.instant("completedAt")),
        c.instant("updatedAt"),
    ];
    manager.create_table(table("GDPRJob", columns)).await?;

    // Every claim and completion pays for each index: these four, and no more. The partial ones keep claims cheap
    // however many jobs are finished; a statement uses them only when it spells the states out, not as parameters.
    let status = || Expr::col("status");
    manager.create_index(index("GDPRJob", &["shopDomain", "id"])).await?;
    manager
        .create_index(index("GDPRJob", &["scheduledAt", "id"]).and_where(status().is_in(["queued", "retrying"])).take())
        .await?;
    manager.create_index(index("GDPRJob", &["leaseUntil"]).and_where(status().eq("processing")).take()).await?;
    let open = status().is_in(["queued", "processing", "retrying", "held", "failed"]);
    manager.create_index(index("GDPRJob", &["dueAt"]).and_where(open).take()).await
}

async fn webhook_log(manager: &SchemaManager<'_>, c: Columns) -> Result<(), DbErr> {
    let columns = [
        c.id(),
        c.text("shopDomain"),
        c.text("webhookId"),
        c.text("topic"),
        null(c.text("eventId")),
        c.text("provider"),
        c.text("source"),
        null(c.text("apiVersion")),
        c.text("bodyDigest"),
        null(c.text("jobKey")),
        c.text("status"),
        null(c.text("reason")),
        null(c.text("jobId")),
        or(c.integer("deliveries"), 1),
        null(c.instant("triggeredAt")),
        c.instant("receivedAt"),
    ];
    manager.create_table(table("WebhookLog", columns)).await?;
    manager.create_index(unique("WebhookLog", &["shopDomain", "webhookId", "topic"])).await?;
    let set = Expr::col("jobKey").is_not_null();
    manager.create_index(unique("WebhookLog", &["jobKey"]).and_where(set).take()).await?;
    manager.create_index(index("WebhookLog", &["receivedAt"])).await
}

async fn audit_log(manager: &SchemaManager<'_>, c: Columns) -> Result<(), DbErr> {
    let columns = [
        c.id(),
        c.text("actorType"),
        c.text("actorId"),
        c.text("action"),
        c.text("resourceType"),
        c.text("resourceId"),
        null(c.text("shopDomain")),
        null(c.json("metadata")),
        null(c.text("ipAddress")),
        c.instant("createdAt"),
        null(c.bigint("leafIndex")),
        null(c.bytes("leafHash")),
    ];
    manager.create_table(table("AuditLog", columns)).await?;
    let placed = Expr::col("leafIndex").is_not_null();
    manager.create_index(unique("AuditLog", &["leafIndex"]).and_where(placed).take()).await?;
    manager.create_index(index("AuditLog", &["resourceType", "resourceId"])).await?;
    manager.create_index(index("AuditLog", &["createdAt"])).await
}
