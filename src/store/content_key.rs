//! Rows of `"SealingKey"`: content keys, wrapped. Destroying one makes all that was sealed with it unreadable.

use chrono::{DateTime, Utc};
use entity::sealing_key::{ActiveModel, Column, Entity, KeyPurpose, Model};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _};

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
