//! Places of the audit log's entries in a table of their own, many at once: entries that the database took in one after the
//! other mostly stand one after the other in the tree. So an entry is written once, and never again.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::columns::{Columns, execute, or, table, unique};

#[derive(DeriveMigrationName)]
pub struct Migration;

/// The spans of a log whose entries know their places themselves: next to each other by number *and* by place. And the number
/// up to which every entry has its place. `{number}` is the number that the database gave an entry.
const SPANS: [&str; 2] = [
    r#"INSERT INTO "AuditSpan" ("firstIndex", "firstOrdinal", "length")
       SELECT min("leafIndex"), min("number"), count(*)
       FROM (SELECT "leafIndex", {number} AS "number",
               {number} - row_number() OVER (PARTITION BY "leafIndex" - {number} ORDER BY {number}) AS "island"
             FROM "AuditLog" WHERE "leafIndex" IS NOT NULL) AS "placed"
       GROUP BY "leafIndex" - "number", "island""#,
    r#"UPDATE "AuditTree" SET "settled" = coalesce(
       (SELECT min({number}) - 1 FROM "AuditLog" WHERE "leafIndex" IS NULL), (SELECT max({number}) FROM "AuditLog"), 0)"#,
];

/// Where `{fits}` stands below: that a span goes on where the last one ended, within the tree, and that its entries are there
/// and have no place.
const FITS: &str = r#"NEW."length" >= 1 AND NEW."firstIndex" >= (SELECT "minimumIndex" FROM "AuditTree")
         AND NEW."firstIndex" = coalesce((SELECT s."firstIndex" + s."length" FROM "AuditSpan" AS s ORDER BY s."firstIndex" DESC LIMIT 1),
           NEW."firstIndex")
         AND NEW."firstIndex" + NEW."length" <= (SELECT "size" FROM "AuditTree")
         AND NEW."length" = (SELECT count(*) FROM "AuditLog" AS a
                             WHERE a."ordinal" >= NEW."firstOrdinal" AND a."ordinal" < NEW."firstOrdinal" + NEW."length")
         AND NOT EXISTS (SELECT 1 FROM "AuditSpan" AS s
                         WHERE s."firstOrdinal" >= NEW."firstOrdinal" AND s."firstOrdinal" < NEW."firstOrdinal" + NEW."length")
         AND coalesce((SELECT s."firstOrdinal" + s."length" FROM "AuditSpan" AS s WHERE s."firstOrdinal" < NEW."firstOrdinal"
                       ORDER BY s."firstOrdinal" DESC LIMIT 1) <= NEW."firstOrdinal", true)"#;

/// Entries of before there were numbers get negative ones, in the order of their ids; those of before there were salts get one.
const POSTGRES_BEFORE: [&str; 7] = [
    r#"DROP TRIGGER "AuditLog_guard_insert" ON "AuditLog""#,
    r#"DROP TRIGGER "AuditLog_guard" ON "AuditLog""#,
    "DROP FUNCTION efface_guard_audit_places() CASCADE",
    r#"UPDATE "AuditLog" AS a SET "ordinal" = k."ordinal"
       FROM (SELECT "id", -row_number() OVER (ORDER BY "id" DESC) AS "ordinal" FROM "AuditLog" WHERE "ordinal" = 0) AS k
       WHERE a."id" = k."id""#,
    r#"UPDATE "AuditLog" SET "salt" = decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')
       WHERE "salt" IS NULL"#,
    r#"ALTER TABLE "AuditLog" ALTER COLUMN "salt" SET NOT NULL"#,
    // One entry that cannot be hashed would keep all others from their places.
    r#"ALTER TABLE "AuditLog" ADD CONSTRAINT "AuditLog_salt_check" CHECK (octet_length("salt") = 32)"#,
];

/// An entry never changes. A span is of entries that are there, and goes on where the one before ended; entries and spans go
/// when the published minimum has passed them.
const POSTGRES: [&str; 9] = [
    r#"ALTER TABLE "AuditLog" DROP COLUMN "leafIndex", DROP COLUMN "leafHash""#,
    r#"CREATE UNIQUE INDEX "AuditLog_ordinal_key" ON "AuditLog" ("ordinal")"#,
    r#"CREATE TRIGGER "AuditLog_guard" BEFORE UPDATE ON "AuditLog"
       FOR EACH ROW EXECUTE FUNCTION efface_guard_audit_tables()"#,
    r#"CREATE OR REPLACE FUNCTION efface_guard_audit_deletes() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
       DECLARE span record;
       BEGIN
         SELECT * INTO span FROM "AuditSpan" AS s WHERE s."firstOrdinal" <= OLD."ordinal" ORDER BY s."firstOrdinal" DESC LIMIT 1;
         IF OLD."ordinal" < span."firstOrdinal" + span."length"
            AND span."firstIndex" + OLD."ordinal" - span."firstOrdinal" < (SELECT "minimumIndex" FROM "AuditTree") THEN
           RETURN OLD;
         END IF;
         RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'restrict_violation';
       END $$"#,
    r"CREATE FUNCTION efface_guard_audit_spans() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
       BEGIN
         IF {fits} THEN RETURN NEW; END IF;
         RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'restrict_violation';
       END $$",
    r#"CREATE FUNCTION efface_guard_audit_span_deletes() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
       BEGIN
         IF OLD."firstIndex" + OLD."length" <= (SELECT "minimumIndex" FROM "AuditTree") THEN RETURN OLD; END IF;
         RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'restrict_violation';
       END $$"#,
    r#"CREATE TRIGGER "AuditSpan_guard_insert" BEFORE INSERT ON "AuditSpan"
       FOR EACH ROW EXECUTE FUNCTION efface_guard_audit_spans()"#,
    r#"CREATE TRIGGER "AuditSpan_guard_delete" BEFORE DELETE ON "AuditSpan"
       FOR EACH ROW EXECUTE FUNCTION efface_guard_audit_span_deletes()"#,
    r#"CREATE TRIGGER "AuditSpan_guard" BEFORE UPDATE OR TRUNCATE ON "AuditSpan"
       FOR EACH STATEMENT EXECUTE FUNCTION efface_guard_audit_tables()"#,
];

const POSTGRES_DOWN: [&str; 13] = [
    "DROP FUNCTION efface_guard_audit_spans() CASCADE",
    "DROP FUNCTION efface_guard_audit_span_deletes() CASCADE",
    r#"DROP TRIGGER "AuditLog_guard" ON "AuditLog""#,
    r#"DROP TRIGGER "AuditLog_guard_delete" ON "AuditLog""#,
    r#"DROP TRIGGER "AuditLog_guard_truncate" ON "AuditLog""#,
    r#"ALTER TABLE "AuditLog" DROP CONSTRAINT "AuditLog_salt_check""#,
    r#"ALTER TABLE "AuditLog" ALTER COLUMN "salt" DROP NOT NULL"#,
    r#"ALTER TABLE "AuditLog" ADD COLUMN "leafIndex" bigint, ADD COLUMN "leafHash" bytea"#,
    r#"UPDATE "AuditLog" AS a SET "leafIndex" = s."firstIndex" + a."ordinal" - s."firstOrdinal" FROM "AuditSpan" AS s
       WHERE a."ordinal" >= s."firstOrdinal" AND a."ordinal" < s."firstOrdinal" + s."length""#,
    r#"UPDATE "AuditLog" AS a SET "leafHash" = substring(t."hashes" FROM (a."leafIndex" % 256)::int * 32 + 1 FOR 32)
       FROM "AuditTile" AS t WHERE t."level" = 0 AND t."number" = a."leafIndex" / 256"#,
    r#"DROP INDEX "AuditLog_ordinal_key""#,
    r#"CREATE UNIQUE INDEX "AuditLog_leafIndex_key" ON "AuditLog" ("leafIndex") WHERE "leafIndex" IS NOT NULL"#,
    r#"CREATE INDEX "AuditLog_unplaced_idx" ON "AuditLog" ("ordinal", "id") WHERE "leafIndex" IS NULL"#,
];

/// SQLite renumbers a table without a number of its own when it is vacuumed, so entries get one; and it never comes back.
const SQLITE_BEFORE: [&str; 1] = [r#"CREATE TABLE "AuditLog_numbered" (
    "ordinal" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "id" text NOT NULL UNIQUE, "actorType" text NOT NULL,
    "actorId" text NOT NULL, "action" text NOT NULL, "resourceType" text NOT NULL, "resourceId" text NOT NULL,
    "shopDomain" text NULL, "metadata" text NULL, "ipAddress" text NULL, "createdAt" text NOT NULL, "salt" blob NOT NULL CHECK (length("salt") = 32))"#];

const SQLITE: [&str; 11] = [
    r#"INSERT INTO "AuditLog_numbered" SELECT rowid, "id", "actorType", "actorId", "action", "resourceType", "resourceId", "shopDomain",
         "metadata", "ipAddress", "createdAt", coalesce("salt", randomblob(32)) FROM "AuditLog""#,
    r#"DROP TABLE "AuditLog""#,
    r#"ALTER TABLE "AuditLog_numbered" RENAME TO "AuditLog""#,
    r#"CREATE INDEX "AuditLog_resourceType_resourceId_idx" ON "AuditLog" ("resourceType", "resourceId")"#,
    r#"CREATE INDEX "AuditLog_createdAt_idx" ON "AuditLog" ("createdAt")"#,
    r#"CREATE TRIGGER "AuditLog_guard_insert" BEFORE INSERT ON "AuditLog"
       WHEN EXISTS (SELECT 1 FROM "AuditLog" WHERE "id" = NEW."id" OR "ordinal" = NEW."ordinal")
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"#,
    r#"CREATE TRIGGER "AuditLog_guard_update" BEFORE UPDATE ON "AuditLog"
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"#,
    r#"CREATE TRIGGER "AuditLog_guard_delete" BEFORE DELETE ON "AuditLog"
       WHEN NOT coalesce((
         SELECT OLD."ordinal" < s."firstOrdinal" + s."length"
           AND s."firstIndex" + OLD."ordinal" - s."firstOrdinal" < (SELECT "minimumIndex" FROM "AuditTree")
         FROM "AuditSpan" AS s WHERE s."firstOrdinal" <= OLD."ordinal" ORDER BY s."firstOrdinal" DESC LIMIT 1), false)
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"#,
    r#"CREATE TRIGGER "AuditSpan_guard_insert" BEFORE INSERT ON "AuditSpan"
       WHEN NOT ({fits})
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"#,
    r#"CREATE TRIGGER "AuditSpan_guard" BEFORE UPDATE ON "AuditSpan"
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"#,
    r#"CREATE TRIGGER "AuditSpan_guard_delete" BEFORE DELETE ON "AuditSpan"
       WHEN OLD."firstIndex" + OLD."length" > (SELECT "minimumIndex" FROM "AuditTree")
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"#,
];

/// The triggers first: a table that they speak of cannot be renamed.
const SQLITE_DOWN: [&str; 10] = [
    r#"DROP TRIGGER "AuditSpan_guard_insert""#,
    r#"CREATE TABLE "AuditLog_placed" (
         "id" text NOT NULL PRIMARY KEY, "actorType" text NOT NULL, "actorId" text NOT NULL, "action" text NOT NULL,
         "resourceType" text NOT NULL, "resourceId" text NOT NULL, "shopDomain" text NULL, "metadata" text NULL,
         "ipAddress" text NULL, "createdAt" text NOT NULL, "leafIndex" integer NULL, "leafHash" blob NULL, "salt" blob NULL)"#,
    r#"INSERT INTO "AuditLog_placed" SELECT a."id", a."actorType", a."actorId", a."action", a."resourceType", a."resourceId",
         a."shopDomain", a."metadata", a."ipAddress", a."createdAt", s."firstIndex" + a."ordinal" - s."firstOrdinal", NULL, a."salt"
       FROM "AuditLog" AS a LEFT JOIN "AuditSpan" AS s
         ON a."ordinal" >= s."firstOrdinal" AND a."ordinal" < s."firstOrdinal" + s."length" ORDER BY a."ordinal""#,
    r#"DROP TABLE "AuditLog""#,
    r#"ALTER TABLE "AuditLog_placed" RENAME TO "AuditLog""#,
    r#"UPDATE "AuditLog" SET "leafHash" = (SELECT substr(t."hashes", ("leafIndex" % 256) * 32 + 1, 32) FROM "AuditTile" AS t
         WHERE t."level" = 0 AND t."number" = "leafIndex" / 256) WHERE "leafIndex" IS NOT NULL"#,
    r#"CREATE UNIQUE INDEX "AuditLog_leafIndex_key" ON "AuditLog" ("leafIndex") WHERE "leafIndex" IS NOT NULL"#,
    r#"CREATE INDEX "AuditLog_resourceType_resourceId_idx" ON "AuditLog" ("resourceType", "resourceId")"#,
    r#"CREATE INDEX "AuditLog_createdAt_idx" ON "AuditLog" ("createdAt")"#,
    r#"CREATE INDEX "AuditLog_unplaced_idx" ON "AuditLog" ("leafIndex") WHERE "leafIndex" IS NULL"#,
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(manager);
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        execute(manager, if is_postgres { &POSTGRES_BEFORE } else { &SQLITE_BEFORE }).await?;
        let mut spans = table("AuditSpan", [c.bigint("firstIndex"), c.bigint("firstOrdinal"), c.bigint("length")]);
        spans.primary_key(Index::create().col("firstIndex"));
        manager.create_table(spans).await?;
        manager.create_index(unique("AuditSpan", &["firstOrdinal"])).await?;
        let settled = or(c.bigint("settled"), 0);
        manager.alter_table(Table::alter().table("AuditTree").add_column(settled).take()).await?;
        let after: &[&str] = if is_postgres { &POSTGRES } else { &SQLITE };
        let number = if is_postgres { "\"ordinal\"" } else { "rowid" };
        for statement in SPANS.iter().chain(after) {
            execute(manager, &[&statement.replace("{number}", number).replace("{fits}", FITS)]).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        execute(manager, if is_postgres { &POSTGRES_DOWN } else { &SQLITE_DOWN }).await?;
        manager.drop_table(Table::drop().table("AuditSpan").take()).await?;
        manager.alter_table(Table::alter().table("AuditTree").drop_column("settled").take()).await?;
        super::m20261121_000010_audit_tree::guard_log(manager).await
    }
}
