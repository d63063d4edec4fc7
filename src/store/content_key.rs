//! Rows of `"SealingKey"`: content keys, wrapped. Destroying one makes all that was sealed with it unreadable.

use chrono::{DateTime, Utc};
use entity::sealing_key::{ActiveModel, Column, Entity, KeyPurpose, Model};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Statement, Value,
};

use super::audit_log::{self, NewEntry};
use super::{Store, StoreError};

/// The key of that id, if there is one.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn find(store: &Store, id: &str) -> Result<Option<Model>, StoreError> {
    Ok(Entity::find_by_id(id.to_owned()).one(store.db()).await?)
}

/// The oldest living key of a purpose that was made at or after `since`: what all processes seal with.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn first_since(
    store: &Store,
    purpose: KeyPurpose,
    since: DateTime<Utc>,
) -> Result<Option<Model>, StoreError> {
    Ok(Entity::find()
        .filter(Column::Purpose.eq(purpose))
        .filter(Column::CreatedAt.gte(since))
        .filter(Column::WrappedKey.is_not_null())
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .one(store.db())
        .await?)
}

/// The key that was made last, of those that live.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn newest(store: &Store) -> Result<Option<Model>, StoreError> {
    let living = Entity::find().filter(Column::WrappedKey.is_not_null());
    Ok(living.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).one(store.db()).await?)
}

/// Records a key with the audit entry of its making; does nothing when its id is there already.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn insert(
    store: &Store,
    id: &str,
    purpose: KeyPurpose,
    (wrapped, kek_id): (Vec<u8>, String),
    entry: NewEntry,
) -> Result<(), StoreError> {
    let row = ActiveModel {
        id: Set(id.to_owned()),
        purpose: Set(purpose),
        wrapped_key: Set(Some(wrapped)),
        kek_id: Set(kek_id),
        created_at: Set(entry.created_at),
        destroyed_at: Set(None),
    };
    let tx = store.begin_write().await?;
    let inserted = Entity::insert(row)
        .on_conflict(OnConflict::column(Column::Id).do_nothing().to_owned())
        .exec_without_returning(&*tx)
        .await?;
    if inserted > 0 {
        audit_log::append(&*tx, &[entry]).await?;
    }
    tx.commit().await
}

/// The living keys made before `before` that seal what is kept in the database, the oldest first.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn living_made_before(conn: &impl ConnectionTrait, before: DateTime<Utc>) -> Result<Vec<Model>, StoreError> {
    Ok(Entity::find()
        .filter(Column::Purpose.is_in([KeyPurpose::Payload, KeyPurpose::Export]))
        .filter(Column::WrappedKey.is_not_null())
        .filter(Column::CreatedAt.lt(before))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .all(conn)
        .await?)
}

/// Up to `limit` living keys that are not wrapped with the key-encryption key `kek_id`, the oldest first.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn wrapped_by_others(
    conn: &impl ConnectionTrait,
    kek_id: &str,
    limit: u64,
) -> Result<Vec<Model>, StoreError> {
    Ok(Entity::find()
        .filter(Column::WrappedKey.is_not_null())
        .filter(Column::KekId.ne(kek_id))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .limit(limit)
        .all(conn)
        .await?)
}

/// Puts another wrapping of a key in the place of the one with `kek_id`. False when that one is not there any more.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn rewrap(
    conn: &impl ConnectionTrait,
    id: &str,
    kek_id: &str,
    (wrapped, by): (Vec<u8>, &str),
) -> Result<bool, StoreError> {
    let changed = Entity::update_many()
        .col_expr(Column::WrappedKey, Expr::value(wrapped))
        .col_expr(Column::KekId, Expr::value(by))
        .filter(Column::Id.eq(id))
        .filter(Column::KekId.eq(kek_id))
        .filter(Column::WrappedKey.is_not_null())
        .exec(conn)
        .await?;
    Ok(changed.rows_affected == 1)
}

/// What a key may have sealed.
#[derive(Clone, Copy, Debug)]
pub struct Sealed<'a> {
    /// The key's id.
    pub by: &'a str,
    /// What was received from the first of these to the second may be sealed with it.
    pub received: (DateTime<Utc>, DateTime<Utc>),
}

/// Destroys a key unless something still names it: a job's sealed body, a part of a package; or something of its days may be
/// asked for again: a log row of a webhook, a package that was not removed. False when it stays, or was destroyed before.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn destroy_if_unneeded(
    conn: &impl ConnectionTrait,
    sealed: &Sealed<'_>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    // After the version, which is one byte, sealed bytes name their key: its length in one byte, then itself.
    let mut named =
        vec![u8::try_from(sealed.by.len()).map_err(|_| StoreError::Refused("a key id too long".to_owned()))?];
    named.extend_from_slice(sealed.by.as_bytes());
    let length = named.len();
    let is_by = |column: &str| format!("{column} IS NOT NULL AND substr({column},2,{length})=$3");
    let sql = format!(
        r#"UPDATE "SealingKey" SET "wrappedKey"=NULL,"destroyedAt"=$2 WHERE "id"=$1 AND "wrappedKey" IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM "GDPRJob" AS j WHERE {})
             AND NOT EXISTS (SELECT 1 FROM "ExportPart" AS p WHERE {})
             AND NOT EXISTS (SELECT 1 FROM "WebhookLog" AS w WHERE w."receivedAt">=$4 AND w."receivedAt"<$5)
             AND NOT EXISTS (SELECT 1 FROM "ExportPackage" AS e
               WHERE e."removedAt" IS NULL AND e."createdAt">=$4 AND e."createdAt"<$5)"#,
        is_by(r#"j."sealedPayload""#),
        is_by(r#"p."sealed""#),
    );
    let (from, to) = sealed.received;
    let values = [Value::from(sealed.by), Value::from(now), Value::from(named), Value::from(from), Value::from(to)];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    Ok(conn.execute_raw(statement).await?.rows_affected() == 1)
}
