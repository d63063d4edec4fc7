//! The Merkle tree over the audit log: `"AuditTree"` (its head), `"AuditTile"` (its hashes), `"AuditCheckpoint"` (what was
//! signed).

use chrono::{DateTime, Utc};
use entity::audit_checkpoint::{Column as CheckpointColumn, Entity as CheckpointEntity, Model as Checkpoint};
use entity::{audit_tile, audit_tree};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, DbBackend, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    Statement, Value,
};

use super::StoreError;
use super::rows::Rows;

/// The only row of the head.
const ID: &str = "audit";

/// Where the tree stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which log this is.
    pub origin: String,
    /// Entries that have a place.
    pub size: u64,
    /// Entries below it may be gone.
    pub minimum_index: u64,
    /// The signed note that says so.
    pub policy: Option<String>,
    /// Every entry with a number up to it has its place.
    pub settled: i64,
}

/// Hashes that stand next to each other on one level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    pub level: u8,
    pub number: u64,
    /// 32 bytes each, 256 at most.
    pub hashes: Vec<u8>,
}

/// The head.
///
/// # Errors
/// When the database refuses or does not answer, or the row does not read back.
pub async fn head(conn: &impl ConnectionTrait) -> Result<Head, StoreError> {
    let row = audit_tree::Entity::find_by_id(ID).one(conn).await?;
    row.ok_or_else(|| unreadable("AuditTree", "id", ID, "there is no such row")).and_then(of_row)
}

/// The head, locked until the caller's transaction ends: of two signers or pruners one waits.
///
/// # Errors
/// As [`head`].
pub async fn head_locked(conn: &impl ConnectionTrait) -> Result<Head, StoreError> {
    let backend = conn.get_database_backend();
    // A write transaction on SQLite is alone already.
    if backend == DbBackend::Postgres {
        let sql = r#"SELECT "id" FROM "AuditTree" WHERE "id"=$1 FOR UPDATE"#;
        conn.query_one_raw(Statement::from_sql_and_values(backend, sql, [Value::from(ID)])).await?;
    }
    head(conn).await
}

fn of_row(row: audit_tree::Model) -> Result<Head, StoreError> {
    let whole = |column, number: i64| {
        u64::try_from(number).map_err(|_| unreadable("AuditTree", column, ID, "a negative number"))
    };
    Ok(Head {
        origin: row.origin,
        size: whole("size", row.size)?,
        minimum_index: whole("minimumIndex", row.minimum_index)?,
        policy: row.policy,
        settled: row.settled,
    })
}

fn unreadable(table: &'static str, column: &'static str, id: &str, reason: &'static str) -> StoreError {
    StoreError::Row { table, column, id: id.to_owned(), reason }
}

/// Moves the tree's size from `from` to `to`, and raises the number up to which every entry has its place. False when
/// the size was not `from` any more: somebody else has placed entries.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn grow(conn: &impl ConnectionTrait, from: u64, to: u64, settled: i64) -> Result<bool, StoreError> {
    let sql = r#"UPDATE "AuditTree" SET "size"=$3,"settled"=CASE WHEN "settled"<$4 THEN $4 ELSE "settled" END
        WHERE "id"=$1 AND "size"=$2"#;
    let (from, to) = (from.cast_signed(), to.cast_signed());
    let values = [Value::from(ID), Value::from(from), Value::from(to), Value::from(settled)];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    Ok(conn.execute_raw(statement).await?.rows_affected() == 1)
}

/// Raises the minimum index, with the note that publishes it. False when it was not `from` any more.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn raise_minimum(conn: &impl ConnectionTrait, from: u64, to: u64, policy: &str) -> Result<bool, StoreError> {
    let sql = r#"UPDATE "AuditTree" SET "minimumIndex"=$3,"policy"=$4 WHERE "id"=$1 AND "minimumIndex"=$2"#;
    let values = [Value::from(ID), Value::from(from.cast_signed()), Value::from(to.cast_signed()), Value::from(policy)];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    Ok(conn.execute_raw(statement).await?.rows_affected() == 1)
}

/// The tiles of those levels and numbers, as far as they are there.
///
/// # Errors
/// When the database refuses or does not answer, or a tile is no row of hashes.
pub async fn tiles(conn: &impl ConnectionTrait, places: &[(u8, u64)]) -> Result<Vec<Tile>, StoreError> {
    use audit_tile::{Column, Entity};
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let mut any = Condition::any();
    for (level, number) in places {
        let place =
            Condition::all().add(Column::Level.eq(i32::from(*level))).add(Column::Number.eq(number.cast_signed()));
        any = any.add(place);
    }
    let rows = Entity::find().filter(any).all(conn).await?;
    rows.into_iter()
        .map(|row| {
            let id = format!("{}/{}", row.level, row.number);
            let level = u8::try_from(row.level);
            let number = u64::try_from(row.number);
            let (Ok(level), Ok(number)) = (level, number) else {
                return Err(unreadable("AuditTile", "level", &id, "not a place in a tree"));
            };
            if row.hashes.is_empty() || row.hashes.len() % 32 != 0 || row.hashes.len() > 256 * 32 {
                return Err(unreadable("AuditTile", "hashes", &id, "not 1 to 256 hashes"));
            }
            Ok(Tile { level, number, hashes: row.hashes })
        })
        .collect()
}

/// Stores tiles, new ones and ones that have grown.
///
/// # Errors
/// When the database refuses or does not answer; it refuses a tile that does not begin as the stored one does.
pub async fn put_tiles(conn: &impl ConnectionTrait, tiles: Vec<Tile>) -> Result<(), StoreError> {
    let backend = conn.get_database_backend();
    let count = tiles.len() as u64;
    let mut values = Vec::new();
    let table = Rows::new()
        .int("level", tiles.iter().map(|tile| i64::from(tile.level)))
        .int("number", tiles.iter().map(|tile| tile.number.cast_signed()))
        .bytes("hashes", tiles.into_iter().map(|tile| tile.hashes))
        .table(backend, &mut values);
    // `WHERE true`: without it SQLite would take ON for a join.
    let sql = format!(
        r#"INSERT INTO "AuditTile" ("level","number","hashes") SELECT "level","number","hashes" FROM {table} AS k WHERE true
           ON CONFLICT ("level","number") DO UPDATE SET "hashes"=excluded."hashes""#
    );
    let stored = conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?.rows_affected();
    super::error::exactly("storing tiles of the audit log", count, stored)
}

/// The latest checkpoint of a log.
///
/// # Errors
/// When the database refuses or does not answer, or the row does not read back.
pub async fn latest(conn: &impl ConnectionTrait, origin: &str) -> Result<Option<Checkpoint>, StoreError> {
    let of_log = CheckpointEntity::find().filter(CheckpointColumn::Origin.eq(origin));
    Ok(of_log.order_by_desc(CheckpointColumn::Size).one(conn).await?)
}

/// The checkpoint of exactly that size.
///
/// # Errors
/// As [`latest`].
pub async fn of_size(conn: &impl ConnectionTrait, origin: &str, size: u64) -> Result<Option<Checkpoint>, StoreError> {
    let key = (origin.to_owned(), size.cast_signed());
    Ok(CheckpointEntity::find_by_id(key).one(conn).await?)
}

/// Stores a checkpoint; a second one of the same size is refused by the table's key.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn insert_checkpoint(
    conn: &impl ConnectionTrait,
    origin: &str,
    size: u64,
    root: &[u8; 32],
    note: &str,
    key_id: &str,
    signed_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let sql = r#"INSERT INTO "AuditCheckpoint" ("origin","size","root","note","keyId","signedAt") VALUES ($1,$2,$3,$4,$5,$6)"#;
    let values = [
        Value::from(origin),
        Value::from(size.cast_signed()),
        Value::from(root.to_vec()),
        Value::from(note),
        Value::from(key_id),
        Value::from(signed_at),
    ];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let stored = conn.execute_raw(statement).await?.rows_affected();
    super::error::exactly("storing a checkpoint", 1, stored)
}
