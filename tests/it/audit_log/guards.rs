//! Nothing changes an entry, and nothing takes one away, but the sequencer and the pruner.

use chrono::TimeDelta;
use efface::evidence::log::LogError;
use efface::store::{PoolLimits, Store};
use sea_orm::ConnectionTrait as _;

use crate::house::House;

impl House {
    async fn refuses(&self, sql: &str) {
        let refused = self.store().db().execute_unprepared(sql).await;
        let error = refused.expect_err(sql).to_string();
        assert!(error.contains("append-only") || error.contains("code: 23001"), "{sql}: {error}");
    }
}

both_databases! {
    async fn the_database_refuses_to_change_the_log(house: House) {
        house.append(4).await;
        house.tend().await.unwrap();
        house.append(1).await;
        let hash = if house.is_sqlite() { "zeroblob(32)" } else { "decode(repeat('00',32),'hex')" };
        let short = if house.is_sqlite() { "zeroblob(1)" } else { "'\\x00'::bytea" };
        for column in ["actorType", "actorId", "action", "resourceType", "resourceId", "shopDomain", "ipAddress", "id"] {
            house.refuses(&format!(r#"UPDATE "AuditLog" SET "{column}"='x' WHERE "ordinal"=1"#)).await;
            house.refuses(&format!(r#"UPDATE "AuditLog" SET "{column}"='x' WHERE "ordinal"=5"#)).await;
        }
        let last = house.number(r#"SELECT max("ordinal") AS n FROM "AuditLog""#).await;
        assert_eq!(last, 5);
        let span = |index: i64, ordinal: i64, length: i64| {
            format!(r#"INSERT INTO "AuditSpan" ("firstIndex","firstOrdinal","length") VALUES ({index},{ordinal},{length})"#)
        };
        for sql in [
            r#"UPDATE "AuditLog" SET "metadata"='{}'"#.to_owned(),
            r#"UPDATE "AuditLog" SET "createdAt"='2020-01-01T00:00:00Z'"#.to_owned(),
            r#"UPDATE "AuditLog" SET "ordinal"=77 WHERE "ordinal"=1"#.to_owned(),
            format!(r#"UPDATE "AuditLog" SET "salt"={hash}"#),
            r#"DELETE FROM "AuditLog" WHERE "ordinal"=1"#.to_owned(),
            r#"DELETE FROM "AuditLog" WHERE "ordinal"=5"#.to_owned(),
            r#"DELETE FROM "AuditLog""#.to_owned(),
            r#"UPDATE "AuditSpan" SET "length"=5"#.to_owned(),
            r#"UPDATE "AuditSpan" SET "firstOrdinal"=2"#.to_owned(),
            r#"DELETE FROM "AuditSpan""#.to_owned(),
            // Beyond the tree.
            span(4, 5, 1),
            r#"UPDATE "AuditTree" SET "size"=3"#.to_owned(),
            r#"UPDATE "AuditTree" SET "minimumIndex"=5"#.to_owned(),
            r#"UPDATE "AuditTree" SET "minimumIndex"=-1"#.to_owned(),
            r#"UPDATE "AuditTree" SET "minimumIndex"="size""#.to_owned(),
            r#"UPDATE "AuditTree" SET "origin"='another'"#.to_owned(),
            r#"UPDATE "AuditTree" SET "id"='another'"#.to_owned(),
            r#"DELETE FROM "AuditTree""#.to_owned(),
            format!(r#"UPDATE "AuditTile" SET "hashes"={hash}"#),
            format!(r#"UPDATE "AuditTile" SET "hashes"={short}"#),
            r#"UPDATE "AuditTile" SET "number"=7"#.to_owned(),
            r#"DELETE FROM "AuditTile""#.to_owned(),
            r#"UPDATE "AuditCheckpoint" SET "size"=3"#.to_owned(),
            r#"DELETE FROM "AuditCheckpoint""#.to_owned(),
        ] {
            house.refuses(&sql).await;
        }
        // A tree that has grown, as the sequencer lets it grow before it places: but not in these places, nor of these entries.
        for (sql, why) in [
            (span(5, 5, 1), "a gap"),
            (span(3, 5, 1), "a place that is taken"),
            (span(4, 4, 1), "an entry that has a place"),
            (span(4, 4, 2), "one that has, and one that has none"),
            (span(4, 5, 2), "an entry that is not there"),
            (span(4, 6, 1), "an entry that is not there at all"),
            (span(4, 5, 0), "nothing"),
        ] {
            let tx = house.store().begin_write().await.unwrap();
            tx.execute_unprepared(r#"UPDATE "AuditTree" SET "size"=9"#).await.unwrap();
            let error = tx.execute_unprepared(&sql).await.expect_err(why).to_string();
            assert!(error.contains("append-only") || error.contains("code: 23001"), "{why}: {error}");
            tx.rollback().await.unwrap();
        }
        let tx = house.store().begin_write().await.unwrap();
        tx.execute_unprepared(r#"UPDATE "AuditTree" SET "size"=9"#).await.unwrap();
        tx.execute_unprepared(&span(4, 5, 1)).await.unwrap();
        tx.rollback().await.unwrap();
        if house.is_sqlite() {
            house
                .refuses(
                    r#"INSERT OR REPLACE INTO "AuditLog" SELECT 77,"id",'x',"actorId","action","resourceType","resourceId",
                       "shopDomain","metadata","ipAddress","createdAt","salt" FROM "AuditLog" WHERE "ordinal"=1"#,
                )
                .await;
            for sql in [
                r#"REPLACE INTO "AuditTree" ("id","origin") VALUES ('audit','another')"#,
                r#"REPLACE INTO "AuditTree" (rowid,"id","origin") SELECT rowid,'another',"origin" FROM "AuditTree""#,
                r#"REPLACE INTO "AuditTile" ("level","number","hashes") VALUES (0,0,zeroblob(128))"#,
                r#"REPLACE INTO "AuditTile" (rowid,"level","number","hashes") SELECT rowid,7,7,zeroblob(32) FROM "AuditTile""#,
                r#"REPLACE INTO "AuditCheckpoint" SELECT "origin","size",zeroblob(32),'x','x',"signedAt" FROM "AuditCheckpoint""#,
                r#"REPLACE INTO "AuditCheckpoint" (rowid,"origin","size","root","note","keyId","signedAt")
                   SELECT rowid,'another',"size","root","note","keyId","signedAt" FROM "AuditCheckpoint""#,
            ] {
                house.refuses(sql).await;
            }
        } else {
            for table in ["AuditLog", "AuditSpan", "AuditTree", "AuditTile", "AuditCheckpoint"] {
                house.refuses(&format!(r#"TRUNCATE "{table}""#)).await;
            }
        }
        assert_eq!(house.audit_rows().await.len(), 5);
        house.verify_log(&mut std::collections::BTreeMap::new()).await;
    }

    async fn only_what_the_published_minimum_has_passed_may_be_deleted(house: House) {
        house.long_ago();
        house.append(4).await;
        house.tend().await.unwrap();
        house.advance(TimeDelta::days(1));
        house.append(2).await;
        house.tend().await.unwrap();
        let pruned = house.log().prune(house.clock.now() - TimeDelta::hours(1)).await.unwrap();
        assert_eq!((pruned.minimum_index, pruned.rows), (4, 4));
        // The numbers of the two that are left, and of the pruning's own entry.
        for ordinal in [5, 6, 7] {
            house.refuses(&format!(r#"DELETE FROM "AuditLog" WHERE "ordinal"={ordinal}"#)).await;
        }
        house.refuses(r#"DELETE FROM "AuditSpan""#).await;
        house.refuses(r#"UPDATE "AuditTree" SET "minimumIndex"=3"#).await;
    }

    /// Who may write to the head can write a note there that looks like one: young entries stay, and the signer stops.
    async fn what_is_young_stays_whatever_the_minimum_index_says(house: House) {
        house.append(4).await;
        house.tend().await.unwrap();
        let line = if house.is_sqlite() { "char(10)" } else { r"E'\n'" };
        let raise = format!(r#"UPDATE "AuditTree" SET "minimumIndex"=4,"policy"='x'||{line}||'minimum-index 4'||{line}"#);
        house.execute(&raise).await;
        for sql in [r#"DELETE FROM "AuditLog""#, r#"DELETE FROM "AuditLog" WHERE "ordinal"=1"#, r#"DELETE FROM "AuditSpan""#] {
            house.refuses(sql).await;
        }
        // Nor does the note let it fall again, or rise above the tree.
        for minimum in [3, 5] {
            house.refuses(&raise.replace('4', &minimum.to_string())).await;
        }
        assert_eq!(house.audit_rows().await.len(), 4);
        house.append(1).await;
        let error = house.tend().await.unwrap_err();
        assert!(matches!(error, LogError::OtherMinimum { used: 4, signed: None }) && error.is_contradiction(), "{error}");
    }

    /// An entry that is old is let go; one behind the same minimum that is young is not.
    async fn what_is_old_goes_and_what_is_young_stays(house: House) {
        let now = house.clock.now();
        house.long_ago();
        house.append(2).await;
        house.tend().await.unwrap();
        house.advance(now - house.clock.now());
        house.append(2).await;
        house.tend().await.unwrap();
        let pruned = house.log().prune(house.clock.now() + TimeDelta::seconds(1)).await;
        assert!(matches!(pruned, Err(LogError::Store(_))), "{pruned:?}");
        assert_eq!(house.audit_rows().await.len(), 5, "all, and the entry of the pruning");
    }
}

impl House {
    /// Makes the roles of `deploy/postgres/roles.sql`, and runs a statement besides. They belong to the whole server: two tests
    /// must not make them at once.
    pub async fn make_roles(&self, besides: &str) {
        let roles = crate::docs::text::read("deploy/postgres/roles.sql");
        self.execute(&format!("BEGIN; SELECT pg_advisory_xact_lock(4711); {roles}; {besides} COMMIT")).await;
    }

    /// The address of the database under one of these roles.
    fn url_as(&self, role: &str) -> String {
        let join = if self.url().contains('?') { "&" } else { "?" };
        format!("{}{join}options=-crole%3D{role}", self.url())
    }

    /// The database as a process with that role has it.
    pub async fn store_as(&self, role: &str) -> Store {
        Store::connect(&self.url_as(role), PoolLimits::default()).await.unwrap()
    }
}

#[test]
fn the_roles_name_every_table_of_ours() {
    let roles = crate::docs::text::read("deploy/postgres/roles.sql");
    for table in migration::OWN_TABLES {
        assert!(roles.contains(&format!("\"{table}\"")), "deploy/postgres/roles.sql does not name \"{table}\"");
    }
}

on_postgres! {
    /// The roles of `deploy/postgres/roles.sql`: who writes cannot rewrite, who keeps the log can do just that.
    async fn the_role_of_a_writer_can_append_and_nothing_else(house: House) {
        use sea_orm::{ConnectOptions, Database};
        house.long_ago();
        house.append(4).await;
        house.tend().await.unwrap();
        house.append(1).await;
        house.make_roles("").await;
        let mut options = ConnectOptions::new(house.url());
        options.max_connections(1).sqlx_logging(false);
        let db = Database::connect(options).await.unwrap();
        let entry = r#"INSERT INTO "AuditLog" ("id","actorType","actorId","action","resourceType","resourceId","salt","createdAt")
                       VALUES ('by role','system','x','read','x','x',decode(repeat('07',32),'hex'),now() - interval '1000 days')"#;
        db.execute_unprepared("SET ROLE efface_writer").await.unwrap();
        db.execute_unprepared(entry).await.unwrap();
        let short = r#"INSERT INTO "AuditLog" ("id","actorType","actorId","action","resourceType","resourceId","salt","createdAt")
                       VALUES ('short','system','x','read','x','x','\x00',now())"#;
        let error = db.execute_unprepared(short).await.expect_err("an entry that nobody could place").to_string();
        assert!(error.contains("23514") || error.contains("check constraint"), "{error}");
        let placing = r#"INSERT INTO "AuditSpan" ("firstIndex","firstOrdinal","length") VALUES (4,5,1)"#;
        for sql in [
            placing,
            r#"DELETE FROM "AuditSpan""#,
            r#"UPDATE "AuditTree" SET "settled"=7"#,
            r#"UPDATE "AuditLog" SET "actorId"='x'"#,
            r#"DELETE FROM "AuditLog""#,
            r#"TRUNCATE "AuditLog""#,
            r#"UPDATE "AuditTree" SET "minimumIndex"=4"#,
            r#"UPDATE "AuditTile" SET "hashes"="hashes""#,
            r#"DELETE FROM "AuditTile""#,
            r#"DELETE FROM "AuditCheckpoint""#,
            r#"INSERT INTO "AuditCheckpoint" SELECT * FROM "AuditCheckpoint""#,
            r#"DROP TRIGGER "AuditLog_guard" ON "AuditLog""#,
            r#"ALTER TABLE "AuditLog" DISABLE TRIGGER USER"#,
            r"SET session_replication_role = replica",
        ] {
            let error = db.execute_unprepared(sql).await.expect_err(sql).to_string();
            assert!(error.contains("42501") || error.contains("permission denied") || error.contains("must be owner"), "{sql}: {error}");
        }
        // The keeper does its work, as a process of its own with that role.
        db.execute_unprepared("RESET ROLE").await.unwrap();
        let store = house.store_as("efface_keeper").await;
        let as_keeper = house.log_over(store.clone());
        house.advance(TimeDelta::days(1));
        assert_eq!(as_keeper.tend().await.unwrap().signed, Some(6));
        assert_eq!(as_keeper.prune(house.clock.now()).await.unwrap().rows, 6);
        let refused = store.db().execute_unprepared(r#"UPDATE "AuditLog" SET "actorId"='x'"#).await;
        assert!(refused.is_err());
        store.close().await;
        db.close().await.unwrap();
    }

    /// As the file says, letter by letter; and the app has granted its tables.
    async fn the_program_starts_under_each_role(house: House) {
        use crate::outside::program::{Plan, Program};
        house.settle_town().await;
        let job = house.done(&crate::house::Webhook::customers_redact(crate::house::ADA, &[1001_u64])).await.id;
        house.tend().await.unwrap();
        house.append(1).await;
        let app = migration::REFERENCE_TABLES.join(r#"",""#);
        house.make_roles(&format!(r#"GRANT SELECT, UPDATE, DELETE ON "{app}" TO efface_writer, efface_keeper;"#)).await;
        let folder = tempfile::tempdir().unwrap();
        let as_role = |role: &str| house.url_as(role);
        for (role, duties) in [("efface_writer", "http,worker"), ("efface_keeper", "scheduler")] {
            let plan = Plan::new(folder.path(), role, duties)
                .with("DATABASE__URL", as_role(role))
                .with("DATABASE__AUTO_MIGRATE", "false")
                .with("KEYS__FILE", house.keys_file());
            drop(Program::start(&plan).await);
        }
        let run = |role: &str, arguments: &[&str]| {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_efface"));
            command.args(arguments).env_clear().envs(house.environment()).current_dir(folder.path());
            let command = command.env("EFFACE__DATABASE__URL", as_role(role)).env("EFFACE__DATABASE__AUTO_MIGRATE", "false");
            let output = command.output().unwrap();
            (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
        };
        house.append(1).await;
        let (exported, told) = run("efface_auditor", &["export", &job, "--output", "evidence.zip"]);
        assert!(exported, "{told}");
        house.execute("REVOKE SELECT ON efface_reference_migrations FROM efface_auditor").await;
        let (exported, told) = run("efface_auditor", &["export", &job, "--output", "evidence.zip"]);
        assert!(!exported && told.contains("lacks SELECT on efface_reference_migrations"), "{told}");
    }
}
