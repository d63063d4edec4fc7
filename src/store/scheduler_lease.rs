//! Rows of `"SchedulerLease"`: what only one process at a time may do, by a lease with a fence.

use chrono::{DateTime, Utc};
use entity::scheduler_lease::{Entity, Model};
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait as _, Statement, Value};

use super::gdpr_job::from_now;
use super::{Store, StoreError};
use crate::clock::Clock;

/// The lease under which rows are purged.
pub const RETENTION: &str = "retention";
/// The lease of the process that keeps the clock.
pub const SCHEDULER: &str = "scheduler";

/// A lease that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Ours as long as the row has it.
    pub fence: i64,
    /// The last scheduled instant that was dealt with.
    pub slot_at: Option<DateTime<Utc>>,
}

/// Takes a lease that nobody holds, for `lease_ms` milliseconds; none when somebody does.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn take(
    store: &Store,
    clock: &Clock,
    name: &str,
    owner: &str,
    lease_ms: i64,
) -> Result<Option<Taken>, StoreError> {
    let backend = store.backend();
    let mut values = vec![Value::from(name), Value::from(owner)];
    let until = from_now(backend, clock, lease_ms, &mut values);
    let now = from_now(backend, clock, 0, &mut values);
    let sql = format!(
        r#"INSERT INTO "SchedulerLease" AS l ("name","owner","fence","leaseUntil") VALUES ($1,$2,1,{until})
           ON CONFLICT ("name") DO UPDATE SET "owner"=excluded."owner","fence"=l."fence"+1,"leaseUntil"=excluded."leaseUntil"
           WHERE l."leaseUntil"<={now} RETURNING "fence","slotAt""#
    );
    let tx = store.begin_write().await?;
    if backend == DbBackend::Postgres {
        // Waits for a batch of the last holder that has passed its fence: renewals do not, or they would wait for their own.
        let mut values = vec![Value::from(name)];
        let now = from_now(backend, clock, 0, &mut values);
        let sql = format!(r#"SELECT "fence" FROM "SchedulerLease" WHERE "name"=$1 AND "leaseUntil"<={now} FOR UPDATE"#);
        tx.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    }
    let row = tx.query_one_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    let taken = match row {
        Some(row) => Some(Taken { fence: row.try_get("", "fence")?, slot_at: row.try_get("", "slotAt")? }),
        None => None,
    };
    tx.commit().await?;
    Ok(taken)
}

/// Moves the end of a lease on; false when it is somebody else's by now.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn renew(store: &Store, clock: &Clock, name: &str, fence: i64, lease_ms: i64) -> Result<bool, StoreError> {
    let backend = store.backend();
    let mut values = vec![Value::from(name), Value::from(fence)];
    let until = from_now(backend, clock, lease_ms, &mut values);
    let sql = format!(r#"UPDATE "SchedulerLease" SET "leaseUntil"={until} WHERE "name"=$1 AND "fence"=$2"#);
    let tx = store.begin_write().await?;
    let renewed = tx.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?.rows_affected();
    tx.commit().await?;
    Ok(renewed == 1)
}

/// Whether a lease is still ours; while the transaction lasts, nobody else can take it.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn share(conn: &impl ConnectionTrait, name: &str, fence: i64) -> Result<bool, StoreError> {
    let backend = conn.get_database_backend();
    // SQLite has one writer: when this transaction is it, reading is enough.
    let lock = if backend == DbBackend::Postgres { "FOR KEY SHARE" } else { "" };
    let sql = format!(r#"SELECT "fence" FROM "SchedulerLease" WHERE "name"=$1 AND "fence"=$2 {lock}"#);
    let statement = Statement::from_sql_and_values(backend, sql, [Value::from(name), Value::from(fence)]);
    Ok(conn.query_one_raw(statement).await?.is_some())
}

/// Waits for the batch of a retention run that is under way, if one is, to commit. On SQLite the caller is the only writer.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn wait_for_batches(conn: &impl ConnectionTrait) -> Result<(), StoreError> {
    lock(conn, RETENTION).await
}

/// Waits until nobody else's transaction has the row of a lease, and keeps it from all others until this one ends. On SQLite
/// the caller is the only writer.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn lock(conn: &impl ConnectionTrait, name: &str) -> Result<(), StoreError> {
    let backend = conn.get_database_backend();
    if backend == DbBackend::Postgres {
        let sql = r#"SELECT "fence" FROM "SchedulerLease" WHERE "name"=$1 FOR UPDATE"#;
        conn.query_all_raw(Statement::from_sql_and_values(backend, sql, [Value::from(name)])).await?;
    }
    Ok(())
}

/// Gives a lease back, if it is still ours.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn give_back(store: &Store, clock: &Clock, name: &str, fence: i64) -> Result<(), StoreError> {
    renew(store, clock, name, fence, 0).await?;
    Ok(())
}

/// Notes that a scheduled instant was dealt with; false when the lease is somebody else's by now.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn deal_with(store: &Store, name: &str, fence: i64, slot: DateTime<Utc>) -> Result<bool, StoreError> {
    let sql = r#"UPDATE "SchedulerLease" SET "slotAt"=$3 WHERE "name"=$1 AND "fence"=$2"#;
    let values = [Value::from(name), Value::from(fence), Value::from(slot)];
    let tx = store.begin_write().await?;
    let noted = tx.execute_raw(Statement::from_sql_and_values(store.backend(), sql, values)).await?.rows_affected();
    tx.commit().await?;
    Ok(noted == 1)
}

/// The row of a lease, held or not.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn find(conn: &impl ConnectionTrait, name: &str) -> Result<Option<Model>, StoreError> {
    Ok(Entity::find_by_id(name.to_owned()).one(conn).await?)
}
