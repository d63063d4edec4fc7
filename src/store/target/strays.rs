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
    // Grouped first, so that each shop is looked for once, however many rows name it.
    let sql = format!(
        r#"SELECT CAST(coalesce(sum(g."n"),0) AS bigint) AS "n"
           FROM (SELECT CAST(t.{column} AS text) AS "key", count(*) AS "n" FROM {table} AS t GROUP BY 1) AS g
           WHERE NOT EXISTS (SELECT 1 FROM {} AS s WHERE CAST(s.{key} AS text)=g."key")"#,
        shop.table
    );
    let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await;
    let row = row.map_err(|error| StoreError::from(error).of_table(table))?;
    let n: i64 = row.map_or(Ok(0), |row| row.try_get("", "n"))?;
    Ok(n.unsigned_abs())
}
