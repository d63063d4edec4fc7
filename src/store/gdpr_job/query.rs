//! Reads jobs for people: one by id, or a page of a filtered list.

use entity::gdpr_job::{Column, Entity, JobStatus, JobType, Model, Outcome};
use entity::source::Source;
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Statement,
};

use crate::store::StoreError;

/// Which jobs to list; an absent or empty field does not narrow.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub shop_domain: Option<String>,
    pub job_types: Vec<JobType>,
    pub statuses: Vec<JobStatus>,
    /// Only jobs older than this id: ids sort by the time they were made.
    pub before: Option<String>,
}

/// The job of that id.
///
/// # Errors
/// When the database refuses or does not answer, or the row does not read back.
pub async fn find(conn: &impl ConnectionTrait, id: &str) -> Result<Option<Model>, StoreError> {
    match Entity::find_by_id(id.to_owned()).one(conn).await {
        Ok(job) => Ok(job),
        Err(error) => Err(told(conn, StoreError::from(error), id).await),
    }
}

/// The error with the row that it is about, and the column when a text in it means nothing.
async fn told(conn: &impl ConnectionTrait, error: StoreError, id: &str) -> StoreError {
    let texts = Entity::find_by_id(id.to_owned()).select_only();
    let texts = texts.columns([Column::JobType, Column::Status, Column::Source, Column::Outcome]);
    let read: Result<Option<Texts>, _> = texts.into_tuple().one(conn).await;
    let Ok(Some((job_type, status, source, outcome))) = read else { return error.of_row("GDPRJob", id) };
    let unknown = [
        ("jobType", job_type.parse::<JobType>().is_err()),
        ("status", status.parse::<JobStatus>().is_err()),
        ("source", source.parse::<Source>().is_err()),
        ("outcome", outcome.is_some_and(|outcome| outcome.parse::<Outcome>().is_err())),
    ];
    match unknown.into_iter().find(|(_, is_unknown)| *is_unknown) {
        Some((column, _)) => StoreError::Row { table: "GDPRJob", column, id: id.to_owned(), reason: "an unknown text" },
        None => error.of_row("GDPRJob", id),
    }
}

type Texts = (String, String, String, Option<String>);

/// The shop of a job, as its row says, or its receipt when that is all that is left.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn shop_of(conn: &impl ConnectionTrait, id: &str) -> Result<Option<String>, StoreError> {
    let sql = r#"SELECT "shopDomain" FROM "GDPRJob" WHERE "id"=$1
                 UNION ALL SELECT "shopDomain" FROM "DeletionReceipt" WHERE "jobId"=$1 LIMIT 1"#;
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, [id.into()]);
    let row = conn.query_one_raw(statement).await?;
    row.map(|row| row.try_get("", "shopDomain").map_err(StoreError::from)).transpose()
}

/// Up to `limit` jobs, newest first.
///
/// # Errors
/// When the database refuses or does not answer, or a row does not read back.
pub async fn list(conn: &impl ConnectionTrait, filter: &Filter, limit: u64) -> Result<Vec<Model>, StoreError> {
    let mut query = Entity::find();
    if let Some(shop) = &filter.shop_domain {
        query = query.filter(Column::ShopDomain.eq(shop.as_str()));
    }
    if !filter.job_types.is_empty() {
        query = query.filter(Column::JobType.is_in(filter.job_types.iter().copied()));
    }
    if !filter.statuses.is_empty() {
        query = query.filter(Column::Status.is_in(filter.statuses.iter().copied()));
    }
    if let Some(before) = &filter.before {
        query = query.filter(Column::Id.lt(before.as_str()));
    }
    let query = query.order_by_desc(Column::Id).limit(limit);
    let error = match query.clone().all(conn).await {
        Ok(jobs) => return Ok(jobs),
        Err(error) => StoreError::from(error),
    };
    // One of them does not read back: which?
    for id in query.select_only().column(Column::Id).into_tuple::<String>().all(conn).await? {
        find(conn, &id).await?;
    }
    Err(error)
}
