//! Reads jobs for people: one by id, or a page of a filtered list.

use entity::gdpr_job::{Column, Entity, JobStatus, JobType, Model};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use crate::store::StoreError;

/// Which jobs to list; an absent field does not narrow.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub shop_domain: Option<String>,
    pub job_type: Option<JobType>,
    pub status: Option<JobStatus>,
    /// Only jobs older than this id: ids sort by the time they were made.
    pub before: Option<String>,
}

/// The job of that id.
///
/// # Errors
/// When the database refuses or does not answer, or the row does not read back.
pub async fn find(conn: &impl ConnectionTrait, id: &str) -> Result<Option<Model>, StoreError> {
    Ok(Entity::find_by_id(id.to_owned()).one(conn).await?)
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
    if let Some(job_type) = filter.job_type {
        query = query.filter(Column::JobType.eq(job_type));
    }
    if let Some(status) = filter.status {
        query = query.filter(Column::Status.eq(status));
    }
    if let Some(before) = &filter.before {
        query = query.filter(Column::Id.lt(before.as_str()));
    }
    Ok(query.order_by_desc(Column::Id).limit(limit).all(conn).await?)
}
