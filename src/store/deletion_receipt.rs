//! Rows of `"DeletionReceipt"`: one for each job that ended, never changed.

use chrono::{DateTime, Utc};
use entity::deletion_receipt::{Column, Entity, Model};
use entity::gdpr_job::{JobType, Outcome};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Statement,
};

use sha2::{Digest as _, Sha256};

use super::StoreError;
use super::rows::Rows;

/// A signed receipt that is to be stored.
#[derive(Clone, Debug)]
pub struct NewReceipt {
    pub id: String,
    pub job_id: String,
    pub shop_domain: String,
    pub job_type: JobType,
    pub outcome: Outcome,
    /// The DSSE envelope, byte for byte as signed.
    pub envelope: Vec<u8>,
    pub key_id: String,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

impl NewReceipt {
    /// SHA-256 of the envelope in hex: by it the audit log names the receipt.
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(&self.envelope))
    }
}

/// Stores receipts in the transaction that ends their jobs.
///
/// # Errors
/// When the database refuses or does not answer; a job that has a receipt is refused. Then no job may end.
pub async fn insert(conn: &impl ConnectionTrait, receipts: Vec<NewReceipt>) -> Result<(), StoreError> {
    if receipts.is_empty() {
        return Ok(());
    }
    let backend = conn.get_database_backend();
    let (envelopes, receipts): (Vec<_>, Vec<_>) =
        receipts.into_iter().map(|mut receipt| (std::mem::take(&mut receipt.envelope), receipt)).unzip();
    let mut values = Vec::new();
    let table = Rows::new()
        .text("id", receipts.iter().map(|r| r.id.as_str()))
        .text("jobId", receipts.iter().map(|r| r.job_id.as_str()))
        .text("shopDomain", receipts.iter().map(|r| r.shop_domain.as_str()))
        .text("jobType", receipts.iter().map(|r| r.job_type.as_str()))
        .text("outcome", receipts.iter().map(|r| r.outcome.as_str()))
        .bytes("envelope", envelopes)
        .text("keyId", receipts.iter().map(|r| r.key_id.as_str()))
        .instant("createdAt", receipts.iter().map(|r| r.created_at))
        .instant("expiresAt", receipts.iter().map(|r| r.expires_at))
        .table(backend, &mut values);
    let columns = r#""id","jobId","shopDomain","jobType","outcome","envelope","keyId","createdAt","expiresAt""#;
    let sql = format!(r#"INSERT INTO "DeletionReceipt" ({columns}) SELECT {columns} FROM {table} AS k"#);
    let stored = conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?.rows_affected();
    super::error::exactly("storing receipts", receipts.len() as u64, stored)
}

/// The receipt of a job, if it has one.
///
/// # Errors
/// When the database refuses or does not answer, or the row does not read back.
pub async fn of_job(conn: &impl ConnectionTrait, job_id: &str) -> Result<Option<Model>, StoreError> {
    Ok(Entity::find().filter(Column::JobId.eq(job_id)).one(conn).await?)
}

/// Up to `limit` receipts of a shop that were signed from an instant to before another.
///
/// # Errors
/// As [`of_job`].
pub async fn of_shop(
    conn: &impl ConnectionTrait,
    shop: &str,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
    limit: u64,
) -> Result<Vec<Model>, StoreError> {
    let within = Condition::all()
        .add(Column::ShopDomain.eq(shop))
        .add_option(from.map(|from| Column::CreatedAt.gte(from)))
        .add_option(to.map(|to| Column::CreatedAt.lt(to)));
    Ok(Entity::find().filter(within).order_by_asc(Column::JobId).limit(limit).all(conn).await?)
}
