//! The guarantees, written once for both databases.

use migration::{Applied, OWN_TABLES, REFERENCE_TABLES};
use sea_orm_migration::prelude::SchemaManager;
use sea_orm_migration::sea_orm::{ConnectionTrait as _, DbBackend, Statement};

use crate::house::House;
use crate::{rows, snapshot};

/// All steps in their order, Efface's own first; a shipped step is never taken away or renamed.
fn steps() -> Vec<String> {
    use sea_orm_migration::MigratorTrait as _;
    let own = migration::Migrator::migrations().into_iter();
    own.chain(migration::ReferenceMigrator::migrations()).map(|step| step.name().to_owned()).collect()
}

pub async fn the_schema_is_the_pinned_one(house: House, pinned: &str) {
    let db = house.connect().await;
    migration::up(&db, true).await.unwrap();
    snapshot::assert_pinned(pinned, &snapshot::of(&db).await);
    db.close().await.unwrap();
    house.close().await;
}

pub async fn down_takes_everything_away_and_up_brings_the_same_back(house: House) {
    let db = house.connect().await;
    assert_eq!(migration::up(&db, true).await.unwrap().steps, steps());
    let first = snapshot::of(&db).await;

    let mut reverted = migration::down(&db, true, None).await.unwrap().steps;
    reverted.sort();
    assert_eq!(reverted, steps());
    for table in OWN_TABLES.iter().chain(REFERENCE_TABLES) {
        assert!(!SchemaManager::new(&db).has_table(table).await.unwrap(), "{table} is still there");
    }

    assert_eq!(migration::up(&db, true).await.unwrap().steps, steps());
    assert_eq!(snapshot::of(&db).await, first);
    assert_eq!(migration::up(&db, true).await.unwrap(), Applied::default(), "nothing is left to do");
    db.close().await.unwrap();
    house.close().await;
}

pub async fn every_table_that_is_made_is_named(house: House) {
    let db = house.connect().await;
    migration::up(&db, false).await.unwrap();
    for table in OWN_TABLES {
        assert!(SchemaManager::new(&db).has_table(table).await.unwrap(), "{table} is missing");
    }
    for table in REFERENCE_TABLES {
        assert!(!SchemaManager::new(&db).has_table(table).await.unwrap(), "{table} was not asked for");
    }
    migration::up(&db, true).await.unwrap();
    let tables = snapshot::of(&db).await.matches("CREATE TABLE").count();
    assert_eq!(tables, OWN_TABLES.len() + REFERENCE_TABLES.len() + 2, "our tables and the two lists of steps");
    db.close().await.unwrap();
    house.close().await;
}

pub async fn eight_that_start_at_once_all_succeed_and_apply_each_step_once(house: House) {
    let mut starts = Vec::new();
    for _ in 0..8 {
        starts.push(house.connect().await);
    }
    let starts = starts.into_iter().map(|db| {
        tokio::spawn(async move {
            let applied = migration::up(&db, true).await;
            db.close().await.unwrap();
            applied
        })
    });
    let mut applied = Vec::new();
    for start in starts.collect::<Vec<_>>() {
        applied.extend(start.await.unwrap().unwrap().steps);
    }
    assert_eq!(applied, steps());
    house.close().await;
}

pub async fn status_tells_what_is_applied_and_changes_nothing(house: House) {
    let db = house.connect().await;
    let applied = async |reference| -> Vec<bool> {
        migration::status(&db, reference).await.unwrap().iter().map(|step| step.applied).collect()
    };
    let own = steps().len() - 1;
    let all_but_the_last = |n: usize| (0..n).map(|step| step + 1 < n).collect::<Vec<_>>();
    assert_eq!(applied(true).await, vec![false; own + 1]);
    assert_eq!(snapshot::of(&db).await, "");
    migration::up(&db, false).await.unwrap();
    assert_eq!(applied(true).await, all_but_the_last(own + 1));
    assert_eq!(applied(false).await, vec![true; own]);
    migration::down(&db, false, Some(1)).await.unwrap();
    assert_eq!(applied(false).await, all_but_the_last(own));
    db.close().await.unwrap();
    house.close().await;
}

/// A database of a newer Efface is not touched by an older one.
pub async fn a_step_from_the_future_stops_up(house: House) {
    let db = house.connect().await;
    migration::up(&db, false).await.unwrap();
    db.execute_unprepared("INSERT INTO efface_migrations (version, applied_at) VALUES ('m20991231_000001_later', 0)")
        .await
        .unwrap();
    assert!(migration::up(&db, true).await.is_err());
    assert!(!SchemaManager::new(&db).has_table("Shop").await.unwrap());
    db.close().await.unwrap();
    house.close().await;
}

pub async fn tables_that_the_app_had_before_survive_up_and_down(house: House) {
    let db = house.connect().await;
    db.execute_unprepared("CREATE TABLE \"Shop\" (\"id\" text PRIMARY KEY, \"own\" text)").await.unwrap();
    db.execute_unprepared("INSERT INTO \"Shop\" VALUES ('shop-1', 'kept')").await.unwrap();
    let before = snapshot::of(&db).await;

    migration::up(&db, true).await.unwrap();
    assert!(snapshot::of(&db).await.contains(before.trim()), "the app's own table was changed");
    db.execute_unprepared(
        "INSERT INTO \"ConversionLog\" (\"id\", \"shopId\", \"orderId\") VALUES ('log-1', 'shop-1', '1')",
    )
    .await
    .unwrap();

    migration::down(&db, true, None).await.unwrap();
    assert!(snapshot::of(&db).await.contains(before.trim()), "the app's own table was dropped");
    let kept = db.execute_unprepared("UPDATE \"Shop\" SET \"own\" = 'kept' WHERE \"own\" = 'kept'").await.unwrap();
    assert_eq!(kept.rows_affected(), 1);
    db.close().await.unwrap();
    house.close().await;
}

pub async fn every_row_reads_back_as_it_was_written(house: House) {
    let db = house.connect().await;
    migration::up(&db, true).await.unwrap();
    rows::own(&db).await;
    rows::reference(&db).await;
    db.close().await.unwrap();
    house.close().await;
}

pub async fn ids_and_keys_are_enough_to_insert_into_the_reference_tables(house: House) {
    let db = house.connect().await;
    migration::up(&db, true).await.unwrap();
    rows::reference_by_keys_alone(&db).await;
    db.close().await.unwrap();
    house.close().await;
}

/// A log whose entries knew their places themselves keeps every place, up and down.
pub async fn places_of_the_audit_log_survive_up_and_down(house: House) {
    let db = house.connect().await;
    migration::up(&db, false).await.unwrap();
    let steps = steps();
    let since = steps.iter().position(|step| step == "m20261121_000021_audit_spans").unwrap();
    let back = u32::try_from(steps.len() - 1 - since).unwrap();
    migration::down(&db, false, Some(back)).await.unwrap();
    let is_postgres = db.get_database_backend() == DbBackend::Postgres;
    let (zeroes, hashes) = if is_postgres {
        (
            "decode(repeat('00', 32), 'hex')",
            "decode(repeat('0a', 32) || repeat('0b', 32) || repeat('0c', 32) || repeat('0d', 32), 'hex')",
        )
    } else {
        (
            "zeroblob(32)",
            "unhex('0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d')",
        )
    };
    for n in 1..=6 {
        db.execute_unprepared(&format!(
            r#"INSERT INTO "AuditLog" ("id","actorType","actorId","action","resourceType","resourceId","createdAt","salt")
               VALUES ('e{n}','system','x','read','x','x','2026-01-01T00:00:00.000+00:00',{})"#,
            if n == 2 { "NULL" } else { zeroes }
        ))
        .await
        .unwrap();
    }
    if is_postgres {
        // Two from before there were numbers.
        db.execute_unprepared(r#"ALTER TABLE "AuditLog" DISABLE TRIGGER USER"#).await.unwrap();
        db.execute_unprepared(r#"UPDATE "AuditLog" SET "ordinal"=0 WHERE "id" IN ('e1','e2')"#).await.unwrap();
        db.execute_unprepared(r#"ALTER TABLE "AuditLog" ENABLE TRIGGER USER"#).await.unwrap();
    }
    // The fourth committed late: it stands behind the fifth. The sixth has no place yet.
    let standing = [("e1", 0, "0a"), ("e2", 1, "0b"), ("e3", 2, "0c"), ("e5", 3, "0d")];
    db.execute_unprepared(r#"UPDATE "AuditTree" SET "size"=4"#).await.unwrap();
    db.execute_unprepared(&format!(r#"INSERT INTO "AuditTile" VALUES (0,0,{hashes})"#)).await.unwrap();
    for (id, place, byte) in standing {
        let hash = if is_postgres {
            format!("decode(repeat('{byte}',32),'hex')")
        } else {
            format!("unhex('{}')", byte.repeat(32))
        };
        db.execute_unprepared(&format!(
            r#"UPDATE "AuditLog" SET "leafIndex"={place},"leafHash"={hash},"salt"=coalesce("salt",{zeroes}) WHERE "id"='{id}'"#
        ))
        .await
        .unwrap();
    }
    let read = async |sql: &str| -> Vec<(String, Option<i64>)> {
        let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
        rows.iter().map(|row| (row.try_get("", "id").unwrap(), row.try_get("", "place").unwrap())).collect()
    };
    let expected = [("e1", Some(0)), ("e2", Some(1)), ("e3", Some(2)), ("e4", None), ("e5", Some(3)), ("e6", None)];
    let expected = expected.map(|(id, place)| (id.to_owned(), place));
    let hash = r#"SELECT "id", "leafIndex" AS "place" FROM "AuditLog" ORDER BY "id""#;
    assert_eq!(read(hash).await, expected);

    migration::up(&db, false).await.unwrap();
    let by_span = r#"SELECT a."id", s."firstIndex" + a."ordinal" - s."firstOrdinal" AS "place" FROM "AuditLog" AS a
        LEFT JOIN "AuditSpan" AS s ON a."ordinal" >= s."firstOrdinal" AND a."ordinal" < s."firstOrdinal" + s."length" ORDER BY a."id""#;
    assert_eq!(read(by_span).await, expected);
    let in_order = r#"SELECT "id", NULL AS "place" FROM "AuditLog" ORDER BY "ordinal""#;
    let order: Vec<String> = read(in_order).await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(order, ["e1", "e2", "e3", "e4", "e5", "e6"]);
    let settled = r#"SELECT 'tree' AS "id", (SELECT count(*) FROM "AuditLog" WHERE "ordinal" <= "settled") AS "place" FROM "AuditTree""#;
    assert_eq!(read(settled).await, [("tree".to_owned(), Some(3))], "an entry without a place is settled");

    migration::down(&db, false, Some(back)).await.unwrap();
    assert_eq!(read(hash).await, expected);
    let in_hex = if is_postgres { r#"encode("leafHash",'hex')"# } else { r#"lower(hex("leafHash"))"# };
    let hashes = format!(
        r#"SELECT {in_hex} AS "id", "leafIndex" AS "place" FROM "AuditLog" WHERE "leafIndex" IS NOT NULL ORDER BY 2"#
    );
    assert_eq!(read(&hashes).await, standing.map(|(_, place, byte)| (byte.repeat(32), Some(place))));
    migration::up(&db, false).await.unwrap();
    assert_eq!(read(by_span).await, expected);
    db.close().await.unwrap();
    house.close().await;
}
