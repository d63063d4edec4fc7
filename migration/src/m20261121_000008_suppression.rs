//! Tombstones, one row per job; and on PostgreSQL functions that the app can ask.
//!
//! The table of before was never written to: it is replaced.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::columns::{Columns, index, null, or, table, unique};

#[derive(DeriveMigrationName)]
pub struct Migration;

/// The rules of `webhook/normal_form` in SQL, and the question. `SECURITY DEFINER`: who may ask need not read the keys.
const FUNCTIONS: [&str; 6] = [
    r#"CREATE FUNCTION efface_normal_email(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT NULLIF(lower(btrim($1, ' ') COLLATE "C"), '')
      $$"#,
    r"CREATE FUNCTION efface_normal_phone(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT NULLIF(regexp_replace(regexp_replace($1, '[^0-9]', '', 'g'), '^00', ''), '')
      $$",
    r"CREATE FUNCTION efface_normal_id(kind text, value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT CASE WHEN $2 ~ ('^gid://shopify/' || initcap($1) || '/[0-9]{1,20}$')
                    THEN substring($2 FROM '[0-9]+$') ELSE NULLIF($2, '') END
      $$",
    r#"CREATE FUNCTION efface_is_suppressed(shop text, kind text, value text) RETURNS boolean
       LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
        SELECT CASE WHEN $2 IN ('email', 'phone', 'order', 'customer', 'shop')
                     AND EXISTS (SELECT 1 FROM "SuppressionKey" WHERE "shopDomain" = '')
          THEN EXISTS (
            SELECT 1 FROM (SELECT CASE $2
                WHEN 'email' THEN efface_normal_email($3) WHEN 'phone' THEN efface_normal_phone($3)
                WHEN 'shop' THEN lower($3) ELSE efface_normal_id($2, $3) END AS "normal") AS n
            JOIN "SuppressionKey" AS k ON k."shopDomain" = lower($1)
            JOIN "SuppressionDigest" AS d ON d."digest" = substring(sha256(k."outer" ||
              sha256(k."inner" || convert_to($2, 'UTF8') || '\x00'::bytea || convert_to(n."normal", 'UTF8'))) FROM 1 FOR 16)
            WHERE d."expiresAt" > now())
        END
      $$"#,
    "REVOKE ALL ON FUNCTION efface_is_suppressed(text, text, text) FROM PUBLIC",
    "COMMENT ON FUNCTION efface_is_suppressed(text, text, text) IS \
     'Whether Efface erased this email, phone, order, customer or shop; null when nothing is recorded for the function'",
];

const NO_FUNCTIONS: [&str; 4] = [
    "DROP FUNCTION efface_is_suppressed(text, text, text)",
    "DROP FUNCTION efface_normal_id(text, text)",
    "DROP FUNCTION efface_normal_phone(text)",
    "DROP FUNCTION efface_normal_email(text)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(manager);
        manager.drop_table(Table::drop().table("Suppression").take()).await?;
        let columns = [
            c.instant("createdAt"),
            c.text("jobId"),
            c.text("shopDomain"),
            null(c.text("shopId")),
            c.text("purpose"),
            c.text("keyId"),
            c.bytes("digests"),
            null(c.json("shopKeys")),
            c.instant("expiresAt"),
            or(c.integer("sweepsDone"), 0),
            null(c.instant("nextSweepAt")),
        ];
        let mut tombstones = table("Suppression", columns);
        tombstones.primary_key(Index::create().col("createdAt").col("jobId"));
        manager.create_table(tombstones).await?;
        let due = Expr::col("nextSweepAt").is_not_null();
        manager.create_index(index("Suppression", &["nextSweepAt"]).and_where(due).take()).await?;
        // A row gets here with its last re-sweep: a job that completes writes one index less.
        let swept = Expr::col("nextSweepAt").is_null();
        manager.create_index(index("Suppression", &["expiresAt"]).and_where(swept).take()).await?;

        let columns = [c.text("shopDomain"), c.text("keyId"), c.bytes("inner"), c.bytes("outer")];
        let mut keys = table("SuppressionKey", columns);
        keys.primary_key(Index::create().col("shopDomain").col("keyId"));
        manager.create_table(keys).await?;
        let columns = [c.bytes("digest").primary_key().take(), c.instant("expiresAt")];
        manager.create_table(table("SuppressionDigest", columns)).await?;
        manager.create_index(index("SuppressionDigest", &["expiresAt"])).await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            for function in FUNCTIONS {
                manager.get_connection().execute_unprepared(function).await?;
            }
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DbBackend::Postgres {
            for function in NO_FUNCTIONS {
                manager.get_connection().execute_unprepared(function).await?;
            }
        }
        for name in ["SuppressionDigest", "SuppressionKey", "Suppression"] {
            manager.drop_table(Table::drop().table(name).take()).await?;
        }
        let c = Columns::of(manager);
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
}
