//! Rows of `"ExportPackage"` and `"ExportPart"`: what a `customers/data_request` collected, sealed.

use entity::export_package::{Column, Entity, Model};
use entity::export_part;
use sea_orm::{ColumnTrait as _, ConnectionTrait, EntityTrait as _, IntoActiveModel as _, QueryFilter as _};

use super::StoreError;

/// Removes what an earlier attempt at the same job collected.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn discard(conn: &impl ConnectionTrait, job_id: &str) -> Result<(), StoreError> {
    if let Some(package) = Entity::find().filter(Column::JobId.eq(job_id)).one(conn).await? {
        export_part::Entity::delete_many()
            .filter(export_part::Column::PackageId.eq(package.id.as_str()))
            .exec(conn)
            .await?;
        Entity::delete_by_id(package.id).exec(conn).await?;
    }
    Ok(())
}

/// Records a package.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn insert_package(conn: &impl ConnectionTrait, package: Model) -> Result<(), StoreError> {
    Entity::insert(package.into_active_model()).exec_without_returning(conn).await?;
    Ok(())
}

/// Records one sealed part.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn insert_part(conn: &impl ConnectionTrait, part: export_part::Model) -> Result<(), StoreError> {
    export_part::Entity::insert(part.into_active_model()).exec_without_returning(conn).await?;
    Ok(())
}
