//! Rows of `"RetentionRun"`: one for each pass of a policy over a table.

use chrono::{DateTime, Utc};
use entity::retention_run::{Column, Entity, Model};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, QueryTrait as _, Statement, Value,
};

use super::StoreError;

/// Which runs to list; an absent field does not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub sweep_id: Option<String>,
    pub table_name: Option<String>,
    /// Only runs older than this id: ids sort by the time they were made.
    pub before: Option<String>,
}

/// What a pass came to.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    pub rows_held: u64,
    pub strategy: Option<String>,
    pub because: Option<String>,
    pub longest_ms: u64,
    pub vacuumed: bool,
    pub limit_reached: bool,
    pub resume: Option<String>,
    pub error: Option<String>,
}

/// Records the beginning of a pass.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn insert(conn: &impl ConnectionTrait, run: Model) -> Result<(), StoreError> {
    Entity::insert(run.into_active_model()).exec_without_returning(conn).await?;
    Ok(())
}

/// Adds a batch to a pass that has not ended. To be called in the batch's own transaction.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn add_batch(conn: &impl ConnectionTrait, id: &str, rows: u64) -> Result<(), StoreError> {
    let sql = r#"UPDATE "RetentionRun" SET "rowsPurged"="rowsPurged"+$2,"batches"="batches"+1
                 WHERE "id"=$1 AND "finishedAt" IS NULL"#;
    let values = [Value::from(id), Value::from(rows.cast_signed())];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    super::error::exactly("counting a batch", 1, conn.execute_raw(statement).await?.rows_affected())
}

/// Counts what a dry run, whose batches were rolled back, would have purged.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn count_dry(conn: &impl ConnectionTrait, id: &str, rows: u64, batches: u32) -> Result<(), StoreError> {
    let sql =
        r#"UPDATE "RetentionRun" SET "rowsPurged"=$2,"batches"=$3 WHERE "id"=$1 AND "dryRun" AND "finishedAt" IS NULL"#;
    let values = [Value::from(id), Value::from(rows.cast_signed()), Value::from(batches.cast_signed())];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    super::error::exactly("counting a dry run", 1, conn.execute_raw(statement).await?.rows_affected())
}

/// Records the end of a pass, and reads it back.
///
/// # Errors
/// When the database refuses or does not answer, or the pass had ended before.
pub async fn finish(
    conn: &impl ConnectionTrait,
    id: &str,
    ending: &Ending,
    now: DateTime<Utc>,
) -> Result<Model, StoreError> {
    let sql = r#"UPDATE "RetentionRun" SET "rowsHeld"=$2,"strategy"=$3,"because"=$4,"longestMs"=$5,"vacuumed"=$6,
                 "limitReached"=$7,"resume"=$8,"error"=$9,"finishedAt"=$10 WHERE "id"=$1 AND "finishedAt" IS NULL"#;
    let values = [
        Value::from(id),
        Value::from(ending.rows_held.cast_signed()),
        Value::from(ending.strategy.clone()),
        Value::from(ending.because.clone()),
        Value::from(ending.longest_ms.cast_signed()),
        Value::from(ending.vacuumed),
        Value::from(ending.limit_reached),
        Value::from(ending.resume.clone()),
        Value::from(ending.error.clone()),
        Value::from(now),
    ];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    super::error::exactly("ending a retention run", 1, conn.execute_raw(statement).await?.rows_affected())?;
    let run = Entity::find_by_id(id.to_owned()).one(conn).await?;
    run.ok_or(StoreError::Count { what: "reading a retention run", expected: 1, touched: 0 })
}

/// Says of passes whose process died that they were interrupted, and returns them. `finishedAt` stays null.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn interrupt_unfinished(conn: &impl ConnectionTrait) -> Result<Vec<Model>, StoreError> {
    let unfinished = Entity::find().filter(Column::FinishedAt.is_null()).filter(Column::Error.is_null());
    let runs = unfinished.order_by_asc(Column::Id).all(conn).await?;
    if !runs.is_empty() {
        let sql = r#"UPDATE "RetentionRun" SET "error"='interrupted' WHERE "finishedAt" IS NULL AND "error" IS NULL"#;
        conn.execute_unprepared(sql).await?;
    }
    Ok(runs)
}

/// Where the last pass of a policy that ended at a limit left off, unless a later one went to the end.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn resume(conn: &impl ConnectionTrait, policy: &str) -> Result<Option<String>, StoreError> {
    let last = Entity::find().filter(Column::Policy.eq(policy)).filter(Column::DryRun.eq(false));
    let last = last.filter(Column::FinishedAt.is_not_null()).order_by_desc(Column::Id).one(conn).await?;
    Ok(last.filter(|run| run.limit_reached).and_then(|run| run.resume))
}

/// Up to `limit` runs, newest first.
///
/// # Errors
/// When the database refuses or does not answer, or a row does not read back.
pub async fn list(conn: &impl ConnectionTrait, filter: &Filter, limit: u64) -> Result<Vec<Model>, StoreError> {
    let query = Entity::find()
        .apply_if(filter.sweep_id.as_deref(), |query, sweep| query.filter(Column::SweepId.eq(sweep)))
        .apply_if(filter.table_name.as_deref(), |query, table| query.filter(Column::TableName.eq(table)))
        .apply_if(filter.before.as_deref(), |query, before| query.filter(Column::Id.lt(before)));
    Ok(query.order_by_desc(Column::Id).limit(limit).all(conn).await?)
}
