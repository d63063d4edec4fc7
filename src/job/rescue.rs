//! Takes claims back from workers that are gone: leases that have run out.

use entity::audit_log::Action;
use entity::gdpr_job::JobStatus;
use serde_json::json;

use super::machine::{self, Event, State};
use super::settle::Settler;
use super::wake::Wake;
use crate::audit::{self, Actor, Entry};
use crate::store::StoreError;
use crate::store::gdpr_job;

/// Jobs rescued in one transaction at most.
const BATCH_MAX: u64 = 500;

/// What one rescue came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RescueSummary {
    /// Jobs that will be tried again.
    pub retrying: u64,
    /// Jobs that have used up their attempts.
    pub failed: u64,
}

/// Frees jobs whose lease has run out; each such lapse counts as an attempt.
///
/// # Errors
/// When the database refuses or does not answer: then nothing has changed.
pub async fn rescue(settler: &Settler, wake: &Wake) -> Result<RescueSummary, StoreError> {
    let tx = settler.store.begin_write().await?;
    let now = settler.clock.now();
    let mut summary = RescueSummary::default();
    let mut entries = Vec::new();
    for expired in gdpr_job::expired(&*tx, &settler.clock, BATCH_MAX).await? {
        let state = State { status: JobStatus::Processing, attempts: expired.attempts, fence: expired.job.fence };
        // The lease was the pause: nothing is won by waiting on top of it.
        let event = Event::LeaseExpired { retry_at: now };
        let Ok(step) = machine::step(state, event, settler.attempts_max()) else { continue };
        if !gdpr_job::change_status(&*tx, now, &expired.job.id, Some(expired.job.fence), &step.change).await? {
            continue;
        }
        match step.state.status {
            JobStatus::Failed => summary.failed += 1,
            _ => summary.retrying += 1,
        }
        entries.push(Entry {
            actor: Actor::System("rescue"),
            action: Action::Update,
            resource_type: super::TABLE,
            resource_id: expired.job.id,
            shop_domain: Some(expired.shop_domain),
            metadata: json!({ "status": step.state.status, "attempts": step.state.attempts, "because": "lease expired" }),
        });
    }
    audit::append(&*tx, now, entries).await?;
    tx.commit().await?;
    if summary != RescueSummary::default() {
        metrics::counter!("efface_jobs_rescued_total").increment(summary.retrying + summary.failed);
        tracing::warn!(
            retrying = summary.retrying,
            failed = summary.failed,
            "leases had run out; their jobs were freed"
        );
        wake.ring();
    }
    Ok(summary)
}
