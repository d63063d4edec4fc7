//! Says what each event makes of a job: a pure function, so that it can be run through millions of schedules.
//!
//! The allowed moves themselves are declared once, in `entity::gdpr_job::TRANSITIONS`; a step that is not among them
//! is refused here, whatever asked for it.

use chrono::{DateTime, Utc};
use entity::gdpr_job::{JobStatus, Outcome};

use crate::store::gdpr_job::StatusChange;

/// What the machine needs to know of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    pub status: JobStatus,
    /// Attempts counted so far.
    pub attempts: i32,
    /// The number of the latest claim.
    pub fence: i64,
}

/// Something that happened to a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A worker took it.
    Claimed,
    /// Its rows are gone and verified.
    Succeeded(Outcome),
    /// The attempt failed. A cause that waiting cannot cure is not tried again.
    AttemptFailed { curable: bool, retry_at: DateTime<Utc>, message: String },
    /// Something forbids it for now.
    Forbidden { reason: String },
    /// The worker stops and gives it back.
    GivenBack,
    /// Its lease ran out under a worker that is gone.
    LeaseExpired { retry_at: DateTime<Utc> },
    /// An operator lets it go on.
    Released { at: DateTime<Utc> },
    /// An operator asks for another try.
    Requeued { at: DateTime<Utc> },
    /// An operator withdraws it.
    Cancelled { reason: String },
}

/// What a step asks the caller to do besides changing the row, in the same transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Append to the audit log.
    Audit,
    /// Wake the workers once it has committed.
    Wake,
    /// Tell a person.
    Alert,
}

/// The outcome of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub state: State,
    pub change: StatusChange,
    pub effects: Vec<Effect>,
}

/// A move that the life of a job does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {from} cannot become {to}")]
pub struct Refused {
    pub from: JobStatus,
    pub to: JobStatus,
}

/// Applies one event. `attempts_max` is how many attempts a job has before a person must look.
///
/// # Errors
/// [`Refused`] when the life of a job does not have that move; the job stays as it is.
pub fn step(state: State, event: Event, attempts_max: i32) -> Result<Step, Refused> {
    let mut next = state;
    let mut change = StatusChange {
        from: state.status,
        to: state.status,
        attempts: 0,
        scheduled_at: None,
        hold_reason: None,
        error_message: None,
        outcome: None,
        ends: false,
    };
    let mut effects = vec![Effect::Audit];
    match event {
        Event::Claimed => {
            next.fence += 1;
            change.attempts = 1;
            change.to = JobStatus::Processing;
            effects.clear();
        }
        Event::Succeeded(outcome) => {
            change.to = JobStatus::Completed;
            change.outcome = Some(outcome);
            change.ends = true;
        }
        Event::AttemptFailed { curable, retry_at, message } => {
            change.error_message = Some(message);
            try_again(curable && state.attempts < attempts_max, retry_at, &mut change, &mut effects);
        }
        Event::LeaseExpired { retry_at } => {
            change.error_message = Some("the worker did not come back before its lease ran out".to_owned());
            try_again(state.attempts < attempts_max, retry_at, &mut change, &mut effects);
        }
        Event::Forbidden { reason } => {
            change.to = JobStatus::Held;
            change.hold_reason = Some(reason);
            // A hold is not a failure: the attempt that found it does not count.
            change.attempts = if state.status == JobStatus::Processing { -1 } else { 0 };
            effects.push(Effect::Alert);
        }
        Event::GivenBack => {
            change.to = JobStatus::Queued;
            change.attempts = -1;
            effects = vec![Effect::Wake];
            only_from(JobStatus::Processing, state.status, JobStatus::Queued)?;
        }
        Event::Released { at } => {
            change.to = JobStatus::Queued;
            change.scheduled_at = Some(at);
            effects.push(Effect::Wake);
            only_from(JobStatus::Held, state.status, JobStatus::Queued)?;
        }
        Event::Requeued { at } => {
            change.to = JobStatus::Queued;
            change.scheduled_at = Some(at);
            change.attempts = -state.attempts;
            effects.push(Effect::Wake);
            only_from(JobStatus::Failed, state.status, JobStatus::Queued)?;
        }
        Event::Cancelled { reason } => {
            change.to = JobStatus::Cancelled;
            change.outcome = Some(Outcome::NotExecuted);
            change.error_message = Some(reason);
            change.ends = true;
        }
    }
    if !state.status.may_become(change.to) {
        return Err(Refused { from: state.status, to: change.to });
    }
    next.status = change.to;
    next.attempts += change.attempts;
    Ok(Step { state: next, change, effects })
}

fn try_again(again: bool, retry_at: DateTime<Utc>, change: &mut StatusChange, effects: &mut Vec<Effect>) {
    if again {
        change.to = JobStatus::Retrying;
        change.scheduled_at = Some(retry_at);
        effects.push(Effect::Wake);
    } else {
        change.to = JobStatus::Failed;
        effects.push(Effect::Alert);
    }
}

fn only_from(wanted: JobStatus, from: JobStatus, to: JobStatus) -> Result<(), Refused> {
    if from == wanted { Ok(()) } else { Err(Refused { from, to }) }
}

#[cfg(test)]
mod tests;
