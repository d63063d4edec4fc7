//! Nothing changes an entry, and nothing takes one away, but the sequencer and the pruner.

use chrono::TimeDelta;
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
            house.refuses(&format!(r#"UPDATE "AuditLog" SET "{column}"='x' WHERE "leafIndex"=0"#)).await;
            house.refuses(&format!(r#"UPDATE "AuditLog" SET "{column}"='x' WHERE "leafIndex" IS NULL"#)).await;
            // Hidden in a placement.
            let placing = format!(r#"UPDATE "AuditLog" SET "{column}"='x',"leafIndex"=3,"leafHash"={hash} WHERE "leafIndex" IS NULL"#);
            house.refuses(&placing).await;
        }
        for sql in [
            r#"UPDATE "AuditLog" SET "metadata"='{}'"#.to_owned(),
            r#"UPDATE "AuditLog" SET "createdAt"='2020-01-01T00:00:00Z'"#.to_owned(),
            format!(r#"UPDATE "AuditLog" SET "salt"={hash}"#),
            format!(r#"UPDATE "AuditLog" SET "leafHash"={hash} WHERE "leafIndex"=0"#),
            r#"UPDATE "AuditLog" SET "leafIndex"=NULL,"leafHash"=NULL WHERE "leafIndex"=0"#.to_owned(),
            // A place beyond the tree, or without a hash.
            format!(r#"UPDATE "AuditLog" SET "leafIndex"=4,"leafHash"={hash} WHERE "leafIndex" IS NULL"#),
            r#"UPDATE "AuditLog" SET "leafIndex"=3,"leafHash"=NULL WHERE "leafIndex" IS NULL"#.to_owned(),
            r#"DELETE FROM "AuditLog" WHERE "leafIndex"=0"#.to_owned(),
            r#"DELETE FROM "AuditLog" WHERE "leafIndex" IS NULL"#.to_owned(),
            r#"DELETE FROM "AuditLog""#.to_owned(),
            r#"UPDATE "AuditTree" SET "size"=3"#.to_owned(),
            r#"UPDATE "AuditTree" SET "minimumIndex"=5"#.to_owned(),
            r#"UPDATE "AuditTree" SET "minimumIndex"=-1"#.to_owned(),
            r#"DELETE FROM "AuditTree""#.to_owned(),
            format!(r#"UPDATE "AuditTile" SET "hashes"={hash}"#),
            format!(r#"UPDATE "AuditTile" SET "hashes"={short}"#),
            r#"UPDATE "AuditTile" SET "number"=7"#.to_owned(),
            r#"DELETE FROM "AuditTile""#.to_owned(),
            r#"UPDATE "AuditCheckpoint" SET "size"=3"#.to_owned(),
            r#"DELETE FROM "AuditCheckpoint""#.to_owned(),
            format!(
                r#"INSERT INTO "AuditLog" ("id","actorType","actorId","action","resourceType","resourceId","createdAt","leafIndex","leafHash")
                   VALUES ('x','x','x','read','x','x','2026-01-01T00:00:00Z',77,{hash})"#
            ),
        ] {
            house.refuses(&sql).await;
        }
        if house.is_sqlite() {
            house
                .refuses(
                    r#"INSERT OR REPLACE INTO "AuditLog" SELECT "id",'x',"actorId","action","resourceType","resourceId",
                       "shopDomain","metadata","ipAddress","createdAt",NULL,NULL,"salt" FROM "AuditLog" WHERE "leafIndex"=0"#,
                )
                .await;
        } else {
            house.refuses(r#"TRUNCATE "AuditLog""#).await;
        }
        assert_eq!(house.audit_rows().await.len(), 5);
        house.verify_log(&mut std::collections::BTreeMap::new()).await;
    }

    async fn only_what_the_published_minimum_has_passed_may_be_deleted(house: House) {
        house.append(4).await;
        house.tend().await.unwrap();
        house.advance(TimeDelta::days(1));
        house.append(2).await;
        house.tend().await.unwrap();
        let pruned = house.log().prune(house.clock.now() - TimeDelta::hours(1)).await.unwrap();
        assert_eq!((pruned.minimum_index, pruned.rows), (4, 4));
        for index in [4, 5] {
            house.refuses(&format!(r#"DELETE FROM "AuditLog" WHERE "leafIndex"={index}"#)).await;
        }
        house.refuses(r#"UPDATE "AuditTree" SET "minimumIndex"=3"#).await;
    }
}
