//! How long each shop wants its rows kept, as the app's own row says.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

use super::lifecycle::instant;
use super::{Ident, ShopTable};
use crate::store::StoreError;

/// One shop's row, as far as retention needs it. A date that does not read is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShopDays {
    pub domain: String,
    /// What tables refer to.
    pub key: String,
    pub number: Option<String>,
    /// What stands in the days column, as text; none: null, or no such column.
    pub days: Option<String>,
    pub active: bool,
    pub uninstalled_at: Option<DateTime<Utc>>,
}

/// Reads the rows of all shops, or of one.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn shop_days(
    conn: &impl ConnectionTrait,
    shop: &ShopTable,
    days: Option<&Ident>,
    domain: Option<&str>,
) -> Result<Vec<ShopDays>, StoreError> {
    let text = |column: Option<&Ident>| column.map_or("NULL".to_owned(), |column| format!("CAST(s.{column} AS text)"));
    let active = shop.active.as_ref().map_or("true".to_owned(), |active| format!("COALESCE(s.{active}, true)"));
    let sql = format!(
        r#"SELECT s.{} AS "domain", CAST(s.{} AS text) AS "key", {} AS "number", {} AS "days", {active} AS "active",
           {} AS "uninstalled" FROM {} AS s {} ORDER BY s.{}"#,
        shop.domain,
        shop.id,
        text(shop.number.as_ref()),
        text(days),
        text(shop.uninstalled_at.as_ref()),
        shop.table,
        domain.map_or(String::new(), |_| format!("WHERE s.{}=$1", shop.domain)),
        shop.id,
    );
    let values: Vec<Value> = domain.map(Value::from).into_iter().collect();
    let rows = conn.query_all_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, values)).await?;
    rows.iter()
        .map(|row| {
            let uninstalled: Option<String> = row.try_get("", "uninstalled")?;
            Ok(ShopDays {
                domain: row.try_get("", "domain")?,
                key: row.try_get("", "key")?,
                number: row.try_get("", "number")?,
                days: row.try_get("", "days")?,
                active: row.try_get("", "active")?,
                uninstalled_at: uninstalled.as_deref().and_then(instant),
            })
        })
        .collect()
}

/// Writes a shop's choice; false when there is no such shop.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn mark_retention_days(
    conn: &impl ConnectionTrait,
    shop: &ShopTable,
    days_column: &Ident,
    domain: &str,
    days: u32,
) -> Result<bool, StoreError> {
    let backend = conn.get_database_backend();
    let value = if backend == DbBackend::Postgres { "CAST($2 AS int8)" } else { "$2" };
    let sql = format!("UPDATE {} SET {days_column}={value} WHERE {}=$1", shop.table, shop.domain);
    let values = [Value::from(domain), Value::from(i64::from(days))];
    Ok(conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?.rows_affected() > 0)
}
