//! Guards of the audit log that do not believe one row: the head's minimum index rises only with the note that publishes it,
//! an entry that is younger than the retention's minimum stays whatever the head says, and nothing is emptied or replaced.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::columns::execute;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// Entries are kept for 180 days at least. Their instants come from the hosts' clocks, which may be ahead of the database's:
/// by less than a day.
const POSTGRES: [&str; 7] = [
    r#"CREATE OR REPLACE FUNCTION efface_guard_audit_deletes() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
       DECLARE span record;
       BEGIN
         SELECT * INTO span FROM "AuditSpan" AS s WHERE s."firstOrdinal" <= OLD."ordinal" ORDER BY s."firstOrdinal" DESC LIMIT 1;
         IF OLD."createdAt" < now() - interval '179 days'
            AND OLD."ordinal" < span."firstOrdinal" + span."length"
            AND span."firstIndex" + OLD."ordinal" - span."firstOrdinal" < (SELECT "minimumIndex" FROM "AuditTree") THEN
           RETURN OLD;
         END IF;
         RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'restrict_violation';
       END $$"#,
    // A span that went before its entries would make them look as if they had no place yet.
    r#"CREATE OR REPLACE FUNCTION efface_guard_audit_span_deletes() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
       BEGIN
         IF OLD."firstIndex" + OLD."length" <= (SELECT "minimumIndex" FROM "AuditTree")
            AND NOT EXISTS (SELECT 1 FROM "AuditLog" AS a
                            WHERE a."ordinal" >= OLD."firstOrdinal" AND a."ordinal" < OLD."firstOrdinal" + OLD."length") THEN
           RETURN OLD;
         END IF;
         RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'restrict_violation';
       END $$"#,
    r#"DROP TRIGGER "AuditTree_guard" ON "AuditTree""#,
    r#"CREATE TRIGGER "AuditTree_guard" BEFORE UPDATE ON "AuditTree" FOR EACH ROW
       WHEN (NEW."id" <> OLD."id" OR NEW."origin" <> OLD."origin" OR NEW."size" < OLD."size"
         OR NEW."minimumIndex" < OLD."minimumIndex" OR NEW."minimumIndex" > NEW."size"
         OR (NEW."minimumIndex" <> OLD."minimumIndex"
             AND strpos(coalesce(NEW."policy", ''), E'\nminimum-index ' || NEW."minimumIndex" || E'\n') = 0))
       EXECUTE FUNCTION efface_guard_audit_tables()"#,
    r#"CREATE TRIGGER "AuditTree_guard_truncate" BEFORE TRUNCATE ON "AuditTree"
       FOR EACH STATEMENT EXECUTE FUNCTION efface_guard_audit_tables()"#,
    r#"CREATE TRIGGER "AuditTile_guard_truncate" BEFORE TRUNCATE ON "AuditTile"
       FOR EACH STATEMENT EXECUTE FUNCTION efface_guard_audit_tables()"#,
    r#"CREATE TRIGGER "AuditCheckpoint_guard_truncate" BEFORE TRUNCATE ON "AuditCheckpoint"
       FOR EACH STATEMENT EXECUTE FUNCTION efface_guard_audit_tables()"#,
];

const POSTGRES_DOWN: [&str; 7] = [
    r#"DROP TRIGGER "AuditCheckpoint_guard_truncate" ON "AuditCheckpoint""#,
    r#"DROP TRIGGER "AuditTile_guard_truncate" ON "AuditTile""#,
    r#"DROP TRIGGER "AuditTree_guard_truncate" ON "AuditTree""#,
    r#"DROP TRIGGER "AuditTree_guard" ON "AuditTree""#,
    r#"CREATE TRIGGER "AuditTree_guard" BEFORE UPDATE ON "AuditTree" FOR EACH ROW
       WHEN (NEW."id" <> OLD."id" OR NEW."size" < OLD."size" OR NEW."minimumIndex" < OLD."minimumIndex"
         OR NEW."minimumIndex" > NEW."size") EXECUTE FUNCTION efface_guard_audit_tables()"#,
    r#"CREATE OR REPLACE FUNCTION efface_guard_audit_span_deletes() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
       BEGIN
         IF OLD."firstIndex" + OLD."length" <= (SELECT "minimumIndex" FROM "AuditTree") THEN RETURN OLD; END IF;
         RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'restrict_violation';
       END $$"#,
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
];

/// `REPLACE` takes a row away without asking a delete trigger, by the key or by the row's own number (which is -1 when none is
/// given). Our own writes put tiles that have grown over the earlier ones, and that is allowed here as it is for an update.
const SQLITE: [&str; 10] = [
    r#"DROP TRIGGER "AuditLog_guard_delete""#,
    r#"CREATE TRIGGER "AuditLog_guard_delete" BEFORE DELETE ON "AuditLog"
       WHEN NOT coalesce((
         SELECT julianday(OLD."createdAt") < julianday('now') - 179
           AND OLD."ordinal" < s."firstOrdinal" + s."length"
           AND s."firstIndex" + OLD."ordinal" - s."firstOrdinal" < (SELECT "minimumIndex" FROM "AuditTree")
         FROM "AuditSpan" AS s WHERE s."firstOrdinal" <= OLD."ordinal" ORDER BY s."firstOrdinal" DESC LIMIT 1), false)
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"#,
    r#"DROP TRIGGER "AuditSpan_guard_delete""#,
    r#"CREATE TRIGGER "AuditSpan_guard_delete" BEFORE DELETE ON "AuditSpan"
       WHEN OLD."firstIndex" + OLD."length" > (SELECT "minimumIndex" FROM "AuditTree")
         OR EXISTS (SELECT 1 FROM "AuditLog" AS a
                    WHERE a."ordinal" >= OLD."firstOrdinal" AND a."ordinal" < OLD."firstOrdinal" + OLD."length")
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"#,
    r#"CREATE TRIGGER "AuditSpan_guard_replace" BEFORE INSERT ON "AuditSpan"
       WHEN EXISTS (SELECT 1 FROM "AuditSpan" WHERE rowid = NEW.rowid)
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"#,
    r#"DROP TRIGGER "AuditTree_guard""#,
    r#"CREATE TRIGGER "AuditTree_guard" BEFORE UPDATE ON "AuditTree"
       WHEN NEW."id" IS NOT OLD."id" OR NEW."origin" IS NOT OLD."origin" OR NEW."size" < OLD."size"
         OR NEW."minimumIndex" < OLD."minimumIndex" OR NEW."minimumIndex" > NEW."size"
         OR (NEW."minimumIndex" <> OLD."minimumIndex"
             AND instr(coalesce(NEW."policy", ''), char(10) || 'minimum-index ' || NEW."minimumIndex" || char(10)) = 0)
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"#,
    r#"CREATE TRIGGER "AuditTree_guard_insert" BEFORE INSERT ON "AuditTree" WHEN EXISTS (SELECT 1 FROM "AuditTree")
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"#,
    r#"CREATE TRIGGER "AuditTile_guard_insert" BEFORE INSERT ON "AuditTile"
       WHEN EXISTS (SELECT 1 FROM "AuditTile" AS t WHERE t."level" = NEW."level" AND t."number" = NEW."number"
                    AND substr(NEW."hashes", 1, length(t."hashes")) IS NOT t."hashes")
         OR EXISTS (SELECT 1 FROM "AuditTile" AS t WHERE t.rowid = NEW.rowid)
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"#,
    r#"CREATE TRIGGER "AuditCheckpoint_guard_insert" BEFORE INSERT ON "AuditCheckpoint"
       WHEN EXISTS (SELECT 1 FROM "AuditCheckpoint" AS c WHERE c."origin" = NEW."origin" AND c."size" = NEW."size")
         OR EXISTS (SELECT 1 FROM "AuditCheckpoint" AS c WHERE c.rowid = NEW.rowid)
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"#,
];

const SQLITE_DOWN: [&str; 10] = [
    r#"DROP TRIGGER "AuditCheckpoint_guard_insert""#,
    r#"DROP TRIGGER "AuditTile_guard_insert""#,
    r#"DROP TRIGGER "AuditTree_guard_insert""#,
    r#"DROP TRIGGER "AuditTree_guard""#,
    r#"CREATE TRIGGER "AuditTree_guard" BEFORE UPDATE ON "AuditTree"
       WHEN NEW."id" IS NOT OLD."id" OR NEW."size" < OLD."size" OR NEW."minimumIndex" < OLD."minimumIndex"
         OR NEW."minimumIndex" > NEW."size"
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"#,
    r#"DROP TRIGGER "AuditSpan_guard_replace""#,
    r#"DROP TRIGGER "AuditSpan_guard_delete""#,
    r#"CREATE TRIGGER "AuditSpan_guard_delete" BEFORE DELETE ON "AuditSpan"
       WHEN OLD."firstIndex" + OLD."length" > (SELECT "minimumIndex" FROM "AuditTree")
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"#,
    r#"DROP TRIGGER "AuditLog_guard_delete""#,
    r#"CREATE TRIGGER "AuditLog_guard_delete" BEFORE DELETE ON "AuditLog"
       WHEN NOT coalesce((
         SELECT OLD."ordinal" < s."firstOrdinal" + s."length"
           AND s."firstIndex" + OLD."ordinal" - s."firstOrdinal" < (SELECT "minimumIndex" FROM "AuditTree")
         FROM "AuditSpan" AS s WHERE s."firstOrdinal" <= OLD."ordinal" ORDER BY s."firstOrdinal" DESC LIMIT 1), false)
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"#,
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        execute(manager, if is_postgres { &POSTGRES } else { &SQLITE }).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        execute(manager, if is_postgres { &POSTGRES_DOWN } else { &SQLITE_DOWN }).await
    }
}
