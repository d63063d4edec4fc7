//! The table of shops: how a domain becomes the key that other tables refer to.

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::Ident;
use crate::store::StoreError;
use crate::store::rows::Rows;

/// The table of shops.
#[derive(Clone, Debug)]
pub struct ShopTable {
    pub table: Ident,
    pub id: Ident,
    pub domain: Ident,
    /// The platform's own number of the shop.
    pub number: Option<Ident>,
    pub active: Option<Ident>,
    pub installed_at: Option<Ident>,
    pub uninstalled_at: Option<Ident>,
}

/// A shop's row, as far as erasure needs it.
#[derive(Clone, Debug)]
pub struct ShopRow {
    pub domain: String,
    pub key: String,
    pub number: Option<String>,
    /// Whether the row says that the shop was installed again after it was uninstalled.
    pub reinstalled: bool,
}

/// Finds the rows of shops by domain. With `lock`, on PostgreSQL, the rows stay locked until the
/// transaction ends, so that nobody adds children to a shop that is being erased.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn shops(
    conn: &impl ConnectionTrait,
    shop: &ShopTable,
    domains: Vec<String>,
    lock: bool,
) -> Result<Vec<ShopRow>, StoreError> {
    if domains.is_empty() {
        return Ok(Vec::new());
    }
    let backend = conn.get_database_backend();
    let mut values = Vec::new();
    let keys = Rows::new().text("wanted", domains).table(backend, &mut values);
    let ShopTable { table, id, domain, .. } = shop;
    let reinstalled = match (&shop.active, &shop.installed_at, &shop.uninstalled_at) {
        (active, Some(installed), Some(uninstalled)) => {
            let active = active.as_ref().map_or(String::new(), |active| format!("s.{active} AND "));
            format!("COALESCE({active}s.{uninstalled} IS NOT NULL AND s.{installed} > s.{uninstalled}, false)")
        }
        _ => "false".to_owned(),
    };
    let for_update = if lock && backend == DbBackend::Postgres { "FOR UPDATE OF s" } else { "" };
    let number = shop.number.as_ref().map_or("NULL".to_owned(), |number| format!("s.{number}"));
    let sql = format!(
        r#"SELECT k."wanted" AS "wanted", CAST(s.{id} AS text) AS "key", CAST({number} AS text) AS "number", {reinstalled} AS "reinstalled"
           FROM {keys} AS k JOIN {table} AS s ON s.{domain}=k."wanted" ORDER BY s.{id} {for_update}"#
    );
    let rows = conn.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    rows.iter()
        .map(|row| {
            Ok(ShopRow {
                domain: row.try_get("", "wanted")?,
                key: row.try_get("", "key")?,
                number: row.try_get("", "number")?,
                reinstalled: row.try_get("", "reinstalled")?,
            })
        })
        .collect()
}
