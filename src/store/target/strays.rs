//! Rows that belong to no shop that is known.

use sea_orm::{ConnectionTrait, Statement};

use super::{Ident, ShopTable};
use crate::store::StoreError;

/// How many rows of a table name a shop that has no row of its own, or none at all. `column` refers to the shop's `key`.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn strays(
    conn: &impl ConnectionTrait,
    (table, column): (&Ident, &Ident),
    (shop, key): (&ShopTable, &Ident),
) -> Result<u64, StoreError> {
    let sql = format!(
        r#"SELECT count(*) AS "n" FROM {table} AS t WHERE NOT EXISTS
           (SELECT 1 FROM {} AS s WHERE CAST(s.{key} AS text)=CAST(t.{column} AS text))"#,
        shop.table
    );
    let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await;
    let row = row.map_err(|error| StoreError::from(error).of_table(table))?;
    let n: i64 = row.map_or(Ok(0), |row| row.try_get("", "n"))?;
    Ok(n.unsigned_abs())
}
