//! Takes the bodies of old entries away. Their hashes stay in the tiles.

use chrono::{DateTime, Utc};
use entity::audit_log::{Column, Entity};
use sea_orm::{ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _};

use super::query::{Filter, placed};
use super::span::{self, Span};
use crate::store::StoreError;

/// The first place from `from` to before `size` whose entry is not older than `cutoff`.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn first_kept(
    conn: &impl ConnectionTrait,
    from: u64,
    size: u64,
    cutoff: DateTime<Utc>,
) -> Result<Option<u64>, StoreError> {
    let young = Filter { from: Some(cutoff), ..Filter::default() };
    Ok(placed(conn, &young, from, size, 1).await?.first().map(|first| first.index))
}

/// The first place before `size` that still has a body.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn first_body(conn: &impl ConnectionTrait, size: u64) -> Result<Option<u64>, StoreError> {
    Ok(placed(conn, &Filter::default(), 0, size, 1).await?.first().map(|first| first.index))
}

/// Deletes the bodies of the places from `from` to before `to`, and the spans that are then behind the last body; returns
/// how many bodies there were. The database refuses what is not below the published minimum index.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn delete(conn: &impl ConnectionTrait, from: u64, to: u64) -> Result<u64, StoreError> {
    let ordinals: Vec<i64> = span::between(conn, from, to).await?.iter().flat_map(Span::ordinals).collect();
    let deleted = Entity::delete_many().filter(Column::Ordinal.is_in(ordinals)).exec(conn).await?.rows_affected;
    span::delete_before(conn, to).await?;
    Ok(deleted)
}
