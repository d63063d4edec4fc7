//! Writes how long a shop wants its rows kept into the app's own row, because an operator said so.

use sea_orm::ConnectionTrait;

use crate::erasure::data_map::StoreMap;
use crate::store::StoreError;
use crate::store::target;

/// Writes a shop's choice; false when there is no such shop, or the map names no column for it.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn write(conn: &impl ConnectionTrait, map: &StoreMap, domain: &str, days: u32) -> Result<bool, StoreError> {
    let Some(shop) = &map.shop else { return Ok(false) };
    let Some(column) = &shop.retention_days else { return Ok(false) };
    target::mark_retention_days(conn, &shop.table, column, domain, days).await
}
