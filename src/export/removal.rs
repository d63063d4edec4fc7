//! Takes the parts of packages away: after their time, or when an operator asks for it.
//!
//! The parts, the status and the audit entry go in one transaction. A package of more parts than one transaction should
//! delete is marked `removing` by the first one, with an audit entry of its own: from then on nobody may fetch it, and
//! whoever comes next, after a crash too, goes on until it is `removed`.

use chrono::{DateTime, TimeDelta, Utc};
use entity::audit_log::Action;
use entity::export_package::{Model, PackageStatus};
use sea_orm::ConnectionTrait;
use serde_json::json;

use super::collect::PARTS_PER_STEP;
use super::packages::entry;
use crate::audit::{self, Actor};
use crate::clock::Clock;
use crate::store::{Store, StoreError, export_package};

/// How long a package may say `collecting` before it counts as left behind. A job that is tried again discards it sooner;
/// one that was cancelled or has failed does not.
const ABANDONED_AFTER: TimeDelta = TimeDelta::days(1);

/// What a pass removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    pub packages: u64,
}

/// Whether a package's parts are all gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removal {
    More,
    Done,
}

/// Removes all packages whose time is over, in bounded transactions. Safe to be called by many at once, at any time.
///
/// # Errors
/// When the database refuses or does not answer; what was committed before stays removed.
pub async fn expire(store: &Store, clock: &Clock) -> Result<Expired, StoreError> {
    let mut expired = Expired::default();
    loop {
        let now = clock.now();
        let tx = store.begin_write().await?;
        let Some(package) = export_package::due_for_removal(&*tx, now, now - ABANDONED_AFTER).await? else {
            tx.rollback().await?;
            break;
        };
        let because = match package.status {
            PackageStatus::Collecting => "its collecting was given up",
            PackageStatus::Removing => "its removal had begun",
            PackageStatus::Ready | PackageStatus::Removed => "its time was over",
        };
        let step = step(&*tx, &package, Actor::System("scheduler"), because, now).await?;
        tx.commit().await?;
        if step == Removal::Done {
            expired.packages += 1;
            metrics::counter!("efface_export_packages_removed_total").increment(1);
        }
    }
    if expired.packages > 0 {
        off_the_disk(store).await;
        tracing::info!(packages = expired.packages, "removed data request packages");
    }
    Ok(expired)
}

/// Deletes a bounded number of a package's parts in the caller's transaction, which holds its row.
pub(super) async fn step(
    conn: &impl ConnectionTrait,
    package: &Model,
    actor: Actor,
    because: &'static str,
    now: DateTime<Utc>,
) -> Result<Removal, StoreError> {
    let deleted = export_package::delete_parts(conn, &package.id, PARTS_PER_STEP).await?;
    if deleted < PARTS_PER_STEP {
        export_package::mark(conn, &package.id, PackageStatus::Removed, Some(now)).await?;
        let about = json!({ "rows": package.rows_total, "because": because });
        audit::append(conn, now, vec![entry(actor, Action::Delete, package, about)]).await?;
        return Ok(Removal::Done);
    }
    if package.status != PackageStatus::Removing {
        export_package::mark(conn, &package.id, PackageStatus::Removing, None).await?;
        let about = json!({ "removal": "begun", "because": because });
        audit::append(conn, now, vec![entry(actor, Action::Update, package, about)]).await?;
    }
    Ok(Removal::More)
}

/// Cuts SQLite's write-ahead log, which still holds copies of the deleted parts.
pub(super) async fn off_the_disk(store: &Store) {
    if let Err(error) = store.truncate_wal().await {
        tracing::warn!(error = %error, "the write-ahead log still holds copies of removed parts; the next removal cuts it");
    }
}
