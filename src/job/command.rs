//! What an operator may ask of a job: retry, release, cancel. Each is one compare-and-set and one audit entry.

use entity::audit_log::Action;
use entity::gdpr_job::{JobStatus, Model};
use serde_json::json;

use super::held;
use super::machine::{self, Effect, Event, Refused, State};
use super::wake::Wake;
use crate::audit::{self, Actor, Entry};
use crate::clock::Clock;
use crate::erasure::reinstall::Back;
use crate::evidence::receipt::Signer;
use crate::hold::{BadWish, check_reason};
use crate::store::gdpr_job::{self, holding, query};
use crate::store::{Store, StoreError, deletion_receipt};

/// An operator's wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Try a failed job again.
    Retry,
    /// Let a held job go on. One that waits for an approval goes on only with the hash of the plan it waits with.
    Release { plan: Option<String> },
    /// Withdraw a job that is not being worked; the reason stays in the row and in the audit log, and names nobody. The
    /// receipt that it was not executed is signed with it.
    Cancel { reason: String, signer: Signer },
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// There is no such job.
    #[error("there is no job {0}")]
    NotFound(String),
    /// The life of a job does not have that move.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The job changed while the command was under way; look again.
    #[error("the job changed meanwhile; look at it again")]
    Changed,
    /// The job waits for the approval of exactly one plan, and this is not it.
    #[error("the job waits for the approval of plan {waits_with}; look at it, and name its hash")]
    NotThePlan { waits_with: String },
    /// The reason cannot be kept.
    #[error("{0}")]
    BadReason(&'static str),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The plan that a release approves, if the job waits for one.
fn approved(job: &Model, command: &Command) -> Result<Option<String>, CommandError> {
    let Command::Release { plan } = command else { return Ok(None) };
    if job.hold_reason.as_deref() != Some(super::approval::AWAITING) {
        return Ok(None);
    }
    let waits_with = job.plan_hash.clone().unwrap_or_default();
    if plan.as_ref() == Some(&waits_with) { Ok(plan.clone()) } else { Err(CommandError::NotThePlan { waits_with }) }
}

/// Carries out a command, and returns the job as it is afterwards.
///
/// # Errors
/// See [`CommandError`]; nothing has changed then.
pub async fn apply(
    store: &Store,
    clock: &Clock,
    wake: &Wake,
    actor: Actor,
    id: &str,
    command: Command,
) -> Result<Model, CommandError> {
    if let Command::Cancel { reason, .. } = &command {
        check_reason(reason).map_err(|bad| match bad {
            BadWish::NoReason => CommandError::BadReason("the reason is empty"),
            bad => CommandError::BadReason(bad.text()),
        })?;
    }
    let now = clock.now();
    let tx = store.begin_write().await?;
    let job = query::find(&*tx, id).await?.ok_or_else(|| CommandError::NotFound(id.to_owned()))?;
    let event = match &command {
        Command::Retry => Event::Requeued { at: now },
        Command::Release { .. } => Event::Released { at: now },
        Command::Cancel { reason, .. } => Event::Cancelled { reason: reason.clone() },
    };
    let approved = approved(&job, &command)?;
    let because = super::settle::describe(&event);
    let state = State { status: job.status, attempts: job.attempts, fence: job.fence };
    let step = machine::step(state, event, i32::MAX)?;
    if job.status == JobStatus::Processing || !gdpr_job::change_status(&*tx, now, id, None, &step.change).await? {
        return Err(CommandError::Changed);
    }
    // What intake held is noted here: its row begins without progress.
    let mut progress = held::note(&*tx, id, job.hold_reason.as_deref().map(held::by)).await?;
    if matches!(command, Command::Release { .. }) && job.hold_reason.as_deref().is_some_and(Back::is_reason) {
        // An operator's word: the same installation does not hold it again.
        progress.reinstall_released_at = Some(now);
        holding::put_progress(&*tx, id, &progress.to_json()).await?;
    }
    if let Some(hash) = &approved {
        gdpr_job::approve_plan(&*tx, id, hash).await?;
    }
    let mut receipt = None;
    if let Command::Cancel { signer, .. } = &command {
        let signed = super::receipts::of_cancelled(signer, &job, &progress, now)?;
        receipt = Some(signed.digest());
        deletion_receipt::insert(&*tx, vec![signed]).await?;
    }
    let entry = Entry {
        actor,
        action: Action::Update,
        resource_type: super::TABLE,
        resource_id: id.to_owned(),
        shop_domain: Some(job.shop_domain),
        metadata: json!({ "from": step.change.from, "status": step.state.status, "because": because,
            "holdReason": job.hold_reason, "approvedPlan": approved, "receipt": receipt }),
    };
    audit::append(&*tx, now, vec![entry]).await?;
    let after = query::find(&*tx, id).await?.ok_or_else(|| CommandError::NotFound(id.to_owned()))?;
    tx.commit().await?;
    if step.effects.contains(&Effect::Wake) {
        wake.ring();
    }
    Ok(after)
}
