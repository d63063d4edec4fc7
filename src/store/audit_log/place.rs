//! Gives entries their places in the tree. An entry without one is in no checkpoint yet.

use entity::audit_log::{Column, Entity, Model};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbBackend, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Statement,
};

use crate::store::StoreError;
use crate::store::error::exactly;
use crate::store::rows::Rows;

/// What an entry is given, once.
#[derive(Debug)]
pub struct Placement {
    pub id: String,
    pub index: u64,
    pub hash: [u8; 32],
    pub salt: [u8; 32],
}

/// Entries without a place, up to `limit`, in the order in which the database took them in.
///
/// That is not the order of their ids or instants, which come from the clocks of their writers. Entries of one job are in
/// the order in which they happened: whoever writes the next one has waited for the job's row, and with it for the commit of
/// the one before.
///
/// Nothing is remembered between two calls: an entry whose transaction commits late is simply there the next time.
///
/// # Errors
/// When the database refuses or does not answer, or a row does not read back.
pub async fn unplaced(conn: &impl ConnectionTrait, limit: u64) -> Result<Vec<Model>, StoreError> {
    let is_postgres = conn.get_database_backend() == DbBackend::Postgres;
    let taken_in = Expr::cust(if is_postgres { r#""ordinal""# } else { "rowid" });
    let mut unplaced = Entity::find().filter(Column::LeafIndex.is_null()).order_by_asc(taken_in);
    if is_postgres {
        // Entries of before there were numbers.
        unplaced = unplaced.order_by_asc(Column::Id);
    }
    Ok(unplaced.limit(limit).all(conn).await?)
}

/// How many entries have no place yet.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn count_unplaced(conn: &impl ConnectionTrait) -> Result<u64, StoreError> {
    let sql = r#"SELECT count(*) AS n FROM "AuditLog" WHERE "leafIndex" IS NULL"#;
    let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await?;
    let count: i64 = row.map_or(Ok(0), |row| row.try_get("", "n"))?;
    Ok(count.unsigned_abs())
}

/// Places entries; every one of them must still be without a place.
///
/// # Errors
/// When the database refuses or does not answer, or one of them has a place already; then nothing may be committed.
pub async fn place(conn: &impl ConnectionTrait, placements: &[Placement]) -> Result<(), StoreError> {
    let backend = conn.get_database_backend();
    let mut values = Vec::new();
    let table = Rows::new()
        .text("keyId", placements.iter().map(|placed| placed.id.as_str()))
        .int("index", placements.iter().map(|placed| placed.index.cast_signed()))
        .bytes("hash", placements.iter().map(|placed| placed.hash.to_vec()))
        .bytes("newSalt", placements.iter().map(|placed| placed.salt.to_vec()))
        .table(backend, &mut values);
    let sql = format!(
        r#"UPDATE "AuditLog" AS a SET "leafIndex"=k."index","leafHash"=k."hash","salt"=k."newSalt"
           FROM {table} AS k WHERE a."id"=k."keyId" AND a."leafIndex" IS NULL"#
    );
    let placed = conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?.rows_affected();
    exactly("placing entries of the audit log", placements.len() as u64, placed)
}
