//! Rows of `"LegalHold"`: orders not to erase. A hold is in force until it is released; the row stays as a record.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use entity::legal_hold::{Column, Entity, HoldScope, Model};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbBackend, EntityTrait as _, IntoActiveModel as _, QueryFilter as _,
    QueryOrder as _, QueryResult, QuerySelect as _, QueryTrait as _, Statement, Value,
};

use super::StoreError;
use super::rows::Rows;

const TABLE: &str = "LegalHold";

/// Keyed hashes of a person's identifiers, by kind.
pub type SubjectHashes = BTreeMap<String, Vec<String>>;

/// A hold in force, as far as the question before a step needs it.
#[derive(Clone, Debug)]
pub struct InForce {
    pub id: String,
    pub scope: HoldScope,
    /// None: all shops.
    pub shop_domain: Option<String>,
    pub table_name: Option<String>,
    /// Every hash of the person, whatever its kind.
    pub subject: HashSet<String>,
}

/// Which holds to list; an absent field does not narrow.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Holds that name this shop.
    pub shop_domain: Option<String>,
    pub scope: Option<HoldScope>,
    /// In force, or released.
    pub in_force: Option<bool>,
    /// Only holds older than this id: ids sort by the time they were made.
    pub before: Option<String>,
}

/// Records a hold.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn insert(conn: &impl ConnectionTrait, hold: Model) -> Result<(), StoreError> {
    Entity::insert(hold.into_active_model()).exec_without_returning(conn).await?;
    Ok(())
}

/// The hold of that id.
///
/// # Errors
/// When the database refuses or does not answer, or the row does not read back.
pub async fn find(conn: &impl ConnectionTrait, id: &str) -> Result<Option<Model>, StoreError> {
    Ok(Entity::find_by_id(id.to_owned()).one(conn).await?)
}

/// Up to `limit` holds, newest first.
///
/// # Errors
/// When the database refuses or does not answer, or a row does not read back.
pub async fn list(conn: &impl ConnectionTrait, filter: &Filter, limit: u64) -> Result<Vec<Model>, StoreError> {
    let query = Entity::find()
        .apply_if(filter.shop_domain.as_deref(), |query, shop| query.filter(Column::ShopDomain.eq(shop)))
        .apply_if(filter.scope, |query, scope| query.filter(Column::Scope.eq(scope)))
        .apply_if(filter.in_force, |query, yes| {
            query.filter(if yes { Column::ReleasedAt.is_null() } else { Column::ReleasedAt.is_not_null() })
        })
        .apply_if(filter.before.as_deref(), |query, before| query.filter(Column::Id.lt(before)));
    Ok(query.order_by_desc(Column::Id).limit(limit).all(conn).await?)
}

/// The holds in force that name one of these shops, or none: two probes of the index of holds in force, which is empty
/// while there are none.
///
/// # Errors
/// When the database refuses or does not answer, or a row does not read back.
pub async fn in_force(conn: &impl ConnectionTrait, shops: Vec<String>) -> Result<Vec<InForce>, StoreError> {
    let backend = conn.get_database_backend();
    let mut values = Vec::new();
    let keys = Rows::new().text("shop", shops).table(backend, &mut values);
    let columns = r#"h."id",h."scope",h."shopDomain",h."tableName",h."subject""#;
    let sql = format!(
        r#"SELECT {columns} FROM {keys} AS k JOIN "{TABLE}" AS h ON h."shopDomain"=k."shop" WHERE h."releasedAt" IS NULL
           UNION ALL
           SELECT {columns} FROM "{TABLE}" AS h WHERE h."releasedAt" IS NULL AND h."shopDomain" IS NULL"#
    );
    let rows = conn.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    rows.iter().map(read_in_force).collect()
}

/// All holds in force, in the order of their ids.
///
/// # Errors
/// When the database refuses or does not answer, or a row does not read back.
pub async fn all_in_force(conn: &impl ConnectionTrait) -> Result<Vec<InForce>, StoreError> {
    let sql = format!(
        r#"SELECT "id","scope","shopDomain","tableName","subject" FROM "{TABLE}" WHERE "releasedAt" IS NULL ORDER BY "id""#
    );
    let rows = conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await?;
    rows.iter().map(read_in_force).collect()
}

fn read_in_force(row: &QueryResult) -> Result<InForce, StoreError> {
    let id: String = row.try_get("", "id")?;
    let scope: String = row.try_get("", "scope")?;
    let subject: Option<serde_json::Value> = row.try_get("", "subject")?;
    let unreadable = |column, reason| StoreError::Row { table: TABLE, column, id: id.clone(), reason };
    let subject = subject_hashes(subject).ok_or_else(|| unreadable("subject", "not lists of hashes by kind"))?;
    Ok(InForce {
        scope: scope.parse().map_err(|_| unreadable("scope", "an unknown text"))?,
        shop_domain: row.try_get("", "shopDomain")?,
        table_name: row.try_get("", "tableName")?,
        subject: subject.into_values().flatten().collect(),
        id,
    })
}

/// Reads the column `subject`; null is nobody.
pub fn subject_hashes(column: Option<serde_json::Value>) -> Option<SubjectHashes> {
    column.map_or_else(|| Some(SubjectHashes::new()), |subject| serde_json::from_value(subject).ok())
}

/// Locks those of these holds that are still in force until the transaction ends, so that none is released meanwhile,
/// and names them.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn lock_in_force(conn: &impl ConnectionTrait, ids: Vec<String>) -> Result<HashSet<String>, StoreError> {
    let backend = conn.get_database_backend();
    let mut values = Vec::new();
    let keys = Rows::new().text("holdId", ids).table(backend, &mut values);
    // SQLite has one writer: when this transaction is it, reading is enough.
    let lock = if backend == DbBackend::Postgres { "FOR SHARE OF h" } else { "" };
    let sql = format!(
        r#"SELECT h."id" FROM {keys} AS k JOIN "{TABLE}" AS h ON h."id"=k."holdId" WHERE h."releasedAt" IS NULL
           ORDER BY h."id" {lock}"#
    );
    let rows = conn.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    rows.iter().map(|row| row.try_get("", "id").map_err(StoreError::from)).collect()
}

/// Ends a hold; false when it is not in force, in which case nothing has changed.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn release(conn: &impl ConnectionTrait, id: &str, by: &str, at: DateTime<Utc>) -> Result<bool, StoreError> {
    let sql = r#"UPDATE "LegalHold" SET "releasedAt"=$2,"releasedBy"=$3 WHERE "id"=$1 AND "releasedAt" IS NULL"#;
    let values = vec![Value::from(id), Value::from(at), Value::from(by)];
    let backend = conn.get_database_backend();
    Ok(conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?.rows_affected() == 1)
}
