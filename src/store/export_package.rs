//! Rows of `"ExportPackage"` and `"ExportPart"`: what a `customers/data_request` collected, sealed.

use chrono::{DateTime, Utc};
use entity::export_package::{ActiveModel, Column, Entity, Model, PackageStatus};
use entity::export_part;
use sea_orm::sea_query::{Expr, ExprTrait as _, LockBehavior, LockType};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, IntoActiveModel as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use super::StoreError;
use super::error::exactly;

/// The package of that id.
///
/// # Errors
/// When the database refuses or does not answer, or the row does not read back.
pub async fn find(conn: &impl ConnectionTrait, id: &str) -> Result<Option<Model>, StoreError> {
    Ok(Entity::find_by_id(id.to_owned()).one(conn).await?)
}

/// The package that answers a job.
///
/// # Errors
/// When the database refuses or does not answer, or the row does not read back.
pub async fn of_job(conn: &impl ConnectionTrait, job_id: &str) -> Result<Option<Model>, StoreError> {
    Ok(Entity::find().filter(Column::JobId.eq(job_id)).one(conn).await?)
}

/// Removes up to `parts_max` parts of what an earlier attempt at the same job collected, and the package with the last
/// of them. True when nothing is left.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn discard(conn: &impl ConnectionTrait, job_id: &str, parts_max: u64) -> Result<bool, StoreError> {
    let Some(package) = of_job(conn, job_id).await? else { return Ok(true) };
    if delete_parts(conn, &package.id, parts_max).await? == parts_max {
        return Ok(false);
    }
    Entity::delete_by_id(package.id).exec(conn).await?;
    Ok(true)
}

/// Records a package whose parts are still to come.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn begin(conn: &impl ConnectionTrait, package: Model) -> Result<(), StoreError> {
    Entity::insert(package.into_active_model()).exec_without_returning(conn).await?;
    Ok(())
}

/// Records one sealed part of a package that is being collected.
///
/// # Errors
/// [`StoreError::Count`] when it is not being collected any more; otherwise when the database refuses or does not answer.
pub async fn add_part(conn: &impl ConnectionTrait, part: export_part::Model) -> Result<(), StoreError> {
    let counted = Entity::update_many()
        .col_expr(Column::RowsTotal, Expr::col(Column::RowsTotal).add(i64::from(part.rows)))
        .filter(Column::Id.eq(part.package_id.as_str()))
        .filter(Column::Status.eq(PackageStatus::Collecting))
        .exec(conn)
        .await?;
    exactly("adding a part to a package", 1, counted.rows_affected)?;
    export_part::Entity::insert(part.into_active_model()).exec_without_returning(conn).await?;
    Ok(())
}

/// What is known of a package once all its parts are there.
#[derive(Debug)]
pub struct Ready {
    pub counts: serde_json::Value,
    pub contents: serde_json::Value,
    pub rows_total: i64,
    pub at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// Ends the collecting of a package: it may be fetched.
///
/// # Errors
/// [`StoreError::Count`] when it was not being collected, or the parts do not add up to its rows; otherwise when the
/// database refuses or does not answer.
pub async fn make_ready(conn: &impl ConnectionTrait, id: &str, ready: Ready) -> Result<(), StoreError> {
    let row = ActiveModel {
        status: Set(PackageStatus::Ready),
        counts: Set(ready.counts),
        contents: Set(Some(ready.contents)),
        ready_at: Set(Some(ready.at)),
        expires_at: Set(ready.expires_at),
        ..ActiveModel::default()
    };
    let changed = Entity::update_many()
        .set(row)
        .filter(Column::Id.eq(id))
        .filter(Column::Status.eq(PackageStatus::Collecting))
        .filter(Column::RowsTotal.eq(ready.rows_total))
        .exec(conn)
        .await?;
    exactly("making a package ready", 1, changed.rows_affected)
}

/// One part of a package.
///
/// # Errors
/// When the database refuses or does not answer, or the row does not read back.
pub async fn part(
    conn: &impl ConnectionTrait,
    package_id: &str,
    sequence: i32,
) -> Result<Option<export_part::Model>, StoreError> {
    let found = export_part::Entity::find()
        .filter(export_part::Column::PackageId.eq(package_id))
        .filter(export_part::Column::Sequence.eq(sequence));
    Ok(found.one(conn).await?)
}

/// A link as its row keeps it.
#[derive(Debug)]
pub struct NewLink {
    pub digest: Vec<u8>,
    pub expires_at: DateTime<Utc>,
    pub recipient: Option<String>,
}

/// Puts a link in force in place of any earlier one. False when the package may not be fetched.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn set_link(conn: &impl ConnectionTrait, id: &str, link: NewLink) -> Result<bool, StoreError> {
    let row = ActiveModel {
        link_digest: Set(Some(link.digest)),
        link_expires_at: Set(Some(link.expires_at)),
        link_recipient: Set(link.recipient),
        link_tries: Set(0),
        link_used_at: Set(None),
        ..ActiveModel::default()
    };
    let ready =
        Entity::update_many().set(row).filter(Column::Id.eq(id)).filter(Column::Status.eq(PackageStatus::Ready));
    Ok(ready.exec(conn).await?.rows_affected == 1)
}

/// The row of a link that is in force and was not used.
fn in_force(id: &str, digest: &[u8]) -> Condition {
    Condition::all()
        .add(Column::Id.eq(id))
        .add(Column::Status.eq(PackageStatus::Ready))
        .add(Column::LinkDigest.eq(digest))
        .add(Column::LinkUsedAt.is_null())
}

/// Counts one opening of a link. False when it is not in force any more, or was opened `tries_max` times.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn open_link(
    conn: &impl ConnectionTrait,
    id: &str,
    digest: &[u8],
    tries_max: i32,
) -> Result<bool, StoreError> {
    let counted = Entity::update_many()
        .col_expr(Column::LinkTries, Expr::col(Column::LinkTries).add(1))
        .filter(in_force(id, digest))
        .filter(Column::LinkTries.lt(tries_max));
    Ok(counted.exec(conn).await?.rows_affected == 1)
}

/// Uses a link up: true for exactly one caller.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn use_link(
    conn: &impl ConnectionTrait,
    id: &str,
    digest: &[u8],
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let row = ActiveModel { link_used_at: Set(Some(now)), ..ActiveModel::default() };
    Ok(Entity::update_many().set(row).filter(in_force(id, digest)).exec(conn).await?.rows_affected == 1)
}

/// A package whose parts must go: past its time, half removed, or left half collected before `abandoned_before`. On
/// PostgreSQL the row stays locked until the transaction ends, and rows that others work on are passed over.
///
/// # Errors
/// When the database refuses or does not answer, or the row does not read back.
pub async fn due_for_removal(
    conn: &impl ConnectionTrait,
    now: DateTime<Utc>,
    abandoned_before: DateTime<Utc>,
) -> Result<Option<Model>, StoreError> {
    let in_status = |status: PackageStatus| Condition::all().add(Column::Status.eq(status));
    let due = Condition::any()
        .add(in_status(PackageStatus::Removing))
        .add(in_status(PackageStatus::Ready).add(Column::ExpiresAt.lte(now)))
        .add(in_status(PackageStatus::Collecting).add(Column::CreatedAt.lte(abandoned_before)));
    let found = Entity::find().filter(due).order_by_asc(Column::Id);
    Ok(found.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked).one(conn).await?)
}

/// The package that answers a job, locked until the transaction ends.
///
/// # Errors
/// When the database refuses or does not answer, or the row does not read back.
pub async fn lock_of_job(conn: &impl ConnectionTrait, job_id: &str) -> Result<Option<Model>, StoreError> {
    Ok(Entity::find().filter(Column::JobId.eq(job_id)).lock(LockType::Update).one(conn).await?)
}

/// Deletes up to `limit` parts of a package, the first ones first, and says how many.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn delete_parts(conn: &impl ConnectionTrait, package_id: &str, limit: u64) -> Result<u64, StoreError> {
    let ids: Vec<String> = export_part::Entity::find()
        .select_only()
        .column(export_part::Column::Id)
        .filter(export_part::Column::PackageId.eq(package_id))
        .order_by_asc(export_part::Column::Sequence)
        .limit(limit)
        .into_tuple()
        .all(conn)
        .await?;
    if ids.is_empty() {
        return Ok(0);
    }
    let found = ids.len() as u64;
    let gone = export_part::Entity::delete_many().filter(export_part::Column::Id.is_in(ids)).exec(conn).await?;
    exactly("deleting parts of a package", found, gone.rows_affected)?;
    Ok(found)
}

/// Says that the parts of a package are going, or are gone; links to it end.
///
/// # Errors
/// [`StoreError::Count`] when the package is not there; otherwise when the database refuses or does not answer.
pub async fn mark(
    conn: &impl ConnectionTrait,
    id: &str,
    status: PackageStatus,
    removed_at: Option<DateTime<Utc>>,
) -> Result<(), StoreError> {
    let row = ActiveModel {
        status: Set(status),
        removed_at: Set(removed_at),
        link_digest: Set(None),
        link_recipient: Set(None),
        ..ActiveModel::default()
    };
    let changed = Entity::update_many().set(row).filter(Column::Id.eq(id)).exec(conn).await?;
    exactly("marking a package", 1, changed.rows_affected)
}
