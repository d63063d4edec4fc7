//! The audit log as a Merkle tree: a salt per entry, the tree's head, its tiles, its signed checkpoints; and triggers by
//! which nothing of it changes but in the ways that a log may.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::columns::{Columns, execute, named_index, null, or, table};

#[derive(DeriveMigrationName)]
pub struct Migration;

/// One row; its origin is made once, and names this log among all others.
const HEAD: [(DbBackend, &str); 2] = [
    (
        DbBackend::Postgres,
        r#"INSERT INTO "AuditTree" ("id","origin") VALUES
           ('audit', 'efface/audit-log/' || md5(random()::text || clock_timestamp()::text || pg_backend_pid()::text))"#,
    ),
    (
        DbBackend::Sqlite,
        r#"INSERT INTO "AuditTree" ("id","origin") VALUES ('audit', 'efface/audit-log/' || lower(hex(randomblob(16))))"#,
    ),
];

/// What refuses for all; tiles only grow, checkpoints only come, the head never goes back.
const POSTGRES: [&str; 6] = [
    r"CREATE FUNCTION efface_guard_audit_tables() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'restrict_violation'; END $$",
    r#"CREATE TRIGGER "AuditTree_guard" BEFORE UPDATE ON "AuditTree" FOR EACH ROW
       WHEN (NEW."id" <> OLD."id" OR NEW."size" < OLD."size" OR NEW."minimumIndex" < OLD."minimumIndex"
         OR NEW."minimumIndex" > NEW."size") EXECUTE FUNCTION efface_guard_audit_tables()"#,
    r#"CREATE TRIGGER "AuditTree_guard_delete" BEFORE DELETE ON "AuditTree"
       FOR EACH ROW EXECUTE FUNCTION efface_guard_audit_tables()"#,
    r#"CREATE TRIGGER "AuditTile_guard" BEFORE UPDATE ON "AuditTile" FOR EACH ROW
       WHEN (NEW."level" <> OLD."level" OR NEW."number" <> OLD."number"
         OR substring(NEW."hashes" FROM 1 FOR octet_length(OLD."hashes")) <> OLD."hashes")
       EXECUTE FUNCTION efface_guard_audit_tables()"#,
    r#"CREATE TRIGGER "AuditTile_guard_delete" BEFORE DELETE ON "AuditTile"
       FOR EACH ROW EXECUTE FUNCTION efface_guard_audit_tables()"#,
    r#"CREATE TRIGGER "AuditCheckpoint_guard" BEFORE UPDATE OR DELETE ON "AuditCheckpoint"
       FOR EACH ROW EXECUTE FUNCTION efface_guard_audit_tables()"#,
];

/// An entry changes once, when it gets its place below the tree's size (and its salt, if it was written without one); it
/// goes only when the published minimum has passed it.
const POSTGRES_LOG: [&str; 7] = [
    r#"CREATE OR REPLACE FUNCTION efface_guard_audit_deletes() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
       BEGIN
         IF OLD."leafIndex" < (SELECT "minimumIndex" FROM "AuditTree") THEN RETURN OLD; END IF;
         RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'restrict_violation';
       END $$"#,
    r#"CREATE FUNCTION efface_guard_audit_places() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
       BEGIN
         IF (SELECT max("leafIndex") FROM placed) >= (SELECT "size" FROM "AuditTree") THEN
           RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'restrict_violation';
         END IF;
         RETURN NULL;
       END $$"#,
    r#"CREATE TRIGGER "AuditLog_guard_insert" BEFORE INSERT ON "AuditLog" FOR EACH ROW
       WHEN (NEW."leafIndex" IS NOT NULL OR NEW."leafHash" IS NOT NULL) EXECUTE FUNCTION efface_guard_audit_tables()"#,
    // A condition costs a tenth of a function for each row, and every entry is placed once.
    r#"CREATE TRIGGER "AuditLog_guard" BEFORE UPDATE ON "AuditLog" FOR EACH ROW WHEN ((
         OLD."leafIndex" IS NULL AND OLD."leafHash" IS NULL AND NEW."leafIndex" >= 0
         AND octet_length(NEW."leafHash") = 32 AND octet_length(NEW."salt") = 32
         AND coalesce(OLD."salt", NEW."salt") = NEW."salt"
         AND NEW."id" = OLD."id" AND NEW."actorType" = OLD."actorType" AND NEW."actorId" = OLD."actorId"
         AND NEW."action" = OLD."action" AND NEW."resourceType" = OLD."resourceType"
         AND NEW."resourceId" = OLD."resourceId" AND NEW."shopDomain" IS NOT DISTINCT FROM OLD."shopDomain"
         AND NEW."metadata" IS NOT DISTINCT FROM OLD."metadata"
         AND NEW."ipAddress" IS NOT DISTINCT FROM OLD."ipAddress" AND NEW."createdAt" = OLD."createdAt") IS NOT TRUE)
       EXECUTE FUNCTION efface_guard_audit_tables()"#,
    r#"CREATE TRIGGER "AuditLog_guard_places" AFTER UPDATE ON "AuditLog" REFERENCING NEW TABLE AS placed
       FOR EACH STATEMENT EXECUTE FUNCTION efface_guard_audit_places()"#,
    r#"CREATE TRIGGER "AuditLog_guard_delete" BEFORE DELETE ON "AuditLog"
       FOR EACH ROW EXECUTE FUNCTION efface_guard_audit_deletes()"#,
    r#"CREATE TRIGGER "AuditLog_guard_truncate" BEFORE TRUNCATE ON "AuditLog"
       FOR EACH STATEMENT EXECUTE FUNCTION efface_guard_audit_tables()"#,
];

const SQLITE: [&str; 6] = [
    r#"CREATE TRIGGER "AuditTree_guard" BEFORE UPDATE ON "AuditTree"
       WHEN NEW."id" IS NOT OLD."id" OR NEW."size" < OLD."size" OR NEW."minimumIndex" < OLD."minimumIndex"
         OR NEW."minimumIndex" > NEW."size"
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"#,
    r#"CREATE TRIGGER "AuditTree_guard_delete" BEFORE DELETE ON "AuditTree"
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"#,
    r#"CREATE TRIGGER "AuditTile_guard" BEFORE UPDATE ON "AuditTile"
       WHEN NEW."level" <> OLD."level" OR NEW."number" <> OLD."number"
         OR substr(NEW."hashes", 1, length(OLD."hashes")) IS NOT OLD."hashes"
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"#,
    r#"CREATE TRIGGER "AuditTile_guard_delete" BEFORE DELETE ON "AuditTile"
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"#,
    r#"CREATE TRIGGER "AuditCheckpoint_guard_update" BEFORE UPDATE ON "AuditCheckpoint"
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"#,
    r#"CREATE TRIGGER "AuditCheckpoint_guard_delete" BEFORE DELETE ON "AuditCheckpoint"
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"#,
];

/// `INSERT OR REPLACE` would take a row away without a delete trigger, so an id that is there is refused as well.
const SQLITE_LOG: [&str; 3] = [
    r#"CREATE TRIGGER "AuditLog_guard_insert" BEFORE INSERT ON "AuditLog"
       WHEN NEW."leafIndex" IS NOT NULL OR NEW."leafHash" IS NOT NULL
         OR EXISTS (SELECT 1 FROM "AuditLog" WHERE "id" = NEW."id")
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"#,
    r#"CREATE TRIGGER "AuditLog_guard_update" BEFORE UPDATE ON "AuditLog" WHEN NOT (
         OLD."leafIndex" IS NULL AND length(NEW."leafHash") IS 32 AND length(NEW."salt") IS 32
         AND NEW."leafIndex" >= 0 AND NEW."leafIndex" < (SELECT "size" FROM "AuditTree")
         AND (OLD."salt" IS NULL OR NEW."salt" IS OLD."salt")
         AND NEW."id" IS OLD."id" AND NEW."actorType" IS OLD."actorType" AND NEW."actorId" IS OLD."actorId"
         AND NEW."action" IS OLD."action" AND NEW."resourceType" IS OLD."resourceType"
         AND NEW."resourceId" IS OLD."resourceId" AND NEW."shopDomain" IS OLD."shopDomain"
         AND NEW."metadata" IS OLD."metadata" AND NEW."ipAddress" IS OLD."ipAddress"
         AND NEW."createdAt" IS OLD."createdAt")
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"#,
    r#"CREATE TRIGGER "AuditLog_guard_delete" BEFORE DELETE ON "AuditLog"
       WHEN OLD."leafIndex" IS NULL OR OLD."leafIndex" >= (SELECT "minimumIndex" FROM "AuditTree")
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"#,
];

/// Names of SQLite's triggers on the table that stays when this step is taken back.
const SQLITE_ON_LOG: [&str; 3] = ["AuditLog_guard_insert", "AuditLog_guard_update", "AuditLog_guard_delete"];

/// The guards of entries that know their places themselves.
pub(crate) async fn guard_log(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
    execute(manager, if is_postgres { &POSTGRES_LOG } else { &SQLITE_LOG }).await
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(manager);
        let salt = null(c.bytes("salt"));
        manager.alter_table(Table::alter().table("AuditLog").add_column(salt).take()).await?;
        let unplaced = Expr::col("leafIndex").is_null();
        let queue = named_index("AuditLog_unplaced_idx", "AuditLog", &["id"]).and_where(unplaced).take();
        manager.create_index(queue).await?;

        let columns = [
            c.id(),
            c.text("origin"),
            or(c.bigint("size"), 0),
            or(c.bigint("minimumIndex"), 0),
            null(c.text("policy")),
        ];
        manager.create_table(table("AuditTree", columns)).await?;

        let mut tiles = table("AuditTile", [c.integer("level"), c.bigint("number"), c.bytes("hashes")]);
        tiles.primary_key(Index::create().col("level").col("number"));
        manager.create_table(tiles).await?;

        let columns = [
            c.text("origin"),
            c.bigint("size"),
            c.bytes("root"),
            c.text("note"),
            c.text("keyId"),
            c.instant("signedAt"),
        ];
        let mut checkpoints = table("AuditCheckpoint", columns);
        checkpoints.primary_key(Index::create().col("origin").col("size"));
        manager.create_table(checkpoints).await?;

        let backend = manager.get_database_backend();
        for (of, head) in HEAD {
            if of == backend {
                manager.get_connection().execute_unprepared(head).await?;
            }
        }
        execute(manager, if backend == DbBackend::Postgres { &POSTGRES } else { &SQLITE }).await?;
        guard_log(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        if manager.get_database_backend() == DbBackend::Postgres {
            for function in ["efface_guard_audit_deletes", "efface_guard_audit_places", "efface_guard_audit_tables"] {
                connection.execute_unprepared(&format!("DROP FUNCTION {function}() CASCADE")).await?;
            }
        } else {
            for trigger in SQLITE_ON_LOG {
                connection.execute_unprepared(&format!("DROP TRIGGER \"{trigger}\"")).await?;
            }
        }
        for name in ["AuditCheckpoint", "AuditTile", "AuditTree"] {
            manager.drop_table(Table::drop().table(name).take()).await?;
        }
        manager.drop_index(Index::drop().name("AuditLog_unplaced_idx").table("AuditLog").to_owned()).await?;
        manager.alter_table(Table::alter().table("AuditLog").drop_column("salt").take()).await
    }
}
