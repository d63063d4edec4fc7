//! Takes the bodies of old entries away. Their hashes stay in the tiles.

use chrono::{DateTime, Utc};
use entity::audit_log::{Column, Entity};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    Statement, Value,
};

use crate::store::StoreError;

/// The first place at or after `from` whose entry is not older than `cutoff`.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn first_kept(
    conn: &impl ConnectionTrait,
    from: u64,
    cutoff: DateTime<Utc>,
) -> Result<Option<u64>, StoreError> {
    let kept = Entity::find()
        .select_only()
        .column(Column::LeafIndex)
        .filter(Column::LeafIndex.gte(from.cast_signed()))
        .filter(Column::CreatedAt.gte(cutoff))
        .order_by_asc(Column::LeafIndex)
        .limit(1);
    let index: Option<Option<i64>> = kept.into_tuple().one(conn).await?;
    Ok(index.flatten().map(i64::unsigned_abs))
}

/// The first place that still has a body.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn first_body(conn: &impl ConnectionTrait) -> Result<Option<u64>, StoreError> {
    let first = Entity::find()
        .select_only()
        .column(Column::LeafIndex)
        .filter(Column::LeafIndex.is_not_null())
        .order_by_asc(Column::LeafIndex)
        .limit(1);
    let index: Option<Option<i64>> = first.into_tuple().one(conn).await?;
    Ok(index.flatten().map(i64::unsigned_abs))
}

/// Deletes the bodies of the places from `from` to before `to`; returns how many there were. The database refuses what
/// is not below the published minimum index.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn delete(conn: &impl ConnectionTrait, from: u64, to: u64) -> Result<u64, StoreError> {
    let sql = r#"DELETE FROM "AuditLog" WHERE "leafIndex" IS NOT NULL AND "leafIndex">=$1 AND "leafIndex"<$2"#;
    let values = [Value::from(from.cast_signed()), Value::from(to.cast_signed())];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    Ok(conn.execute_raw(statement).await?.rows_affected())
}
