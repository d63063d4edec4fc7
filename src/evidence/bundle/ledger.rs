//! Whether the entries of each job tell a life that a job can have: legal moves, attempts in order, one end, and the
//! receipt of that end.
//!
//! Claims, and claims that were given back, leave no entry: between two entries a job may have been taken, and put back.
//! The places in the tree are the order in which the entries of one job happened: whoever writes the next one has waited
//! for the job's row, and with it for the commit of the one before.

use std::collections::{BTreeMap, HashSet};
use std::str::FromStr;

use entity::gdpr_job::{JobStatus, JobType, Outcome};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::event::Event;
use crate::clock::rfc3339;
use crate::evidence::statement::Receipt;

/// What the entries of each job tell, in the order of their places.
pub(super) struct Ledger {
    jobs: BTreeMap<String, Vec<Fact>>,
}

/// What an entry tells of its job.
struct Fact {
    kind: Kind,
    created_at: String,
    shop: Option<Value>,
    actor_webhook: Option<Value>,
    received_at: Option<Value>,
    receipt: Option<Value>,
}

enum Kind {
    Begins { held: bool, job_type: JobType },
    Moves { to: JobStatus, from: Option<JobStatus>, attempts: Option<u64> },
    Ends { job_type: Option<JobType>, outcome: Outcome, attempts: Option<u64>, rows: Option<u64> },
}

/// A receipt that verifies, with its envelope.
pub(super) struct Enclosed<'a> {
    pub receipt: Receipt,
    pub envelope: &'a [u8],
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self { jobs: BTreeMap::new() }
    }

    /// Takes in an entry, in the order of the places. Those of other things than jobs, and those that only look at one, tell nothing of its life.
    pub(super) fn take(&mut self, event: &Event) -> Result<(), String> {
        let (Some(id), true) = (event.text("resourceId"), event.is_of_job()) else { return Ok(()) };
        let Some(kind) = kind(event).map_err(|why| format!("line of {}: {why}", shown(id)))? else { return Ok(()) };
        let told = |name: &str| event.value(name).cloned();
        let fact = Fact {
            kind,
            created_at: event.text("createdAt").unwrap_or_default().to_owned(),
            shop: told("shopDomain"),
            actor_webhook: told("metadata.webhookId"),
            received_at: told("metadata.receivedAt"),
            receipt: told("metadata.receipt"),
        };
        self.jobs.entry(id.to_owned()).or_default().push(fact);
        Ok(())
    }

    /// Checks every job. `may_begin_late` when the first entries may be missing; `receipts` is none when they were left out.
    pub(super) fn check(
        self,
        may_begin_late: bool,
        receipts: Option<&BTreeMap<String, Enclosed<'_>>>,
    ) -> Result<(), String> {
        let mut keys = HashSet::new();
        for (id, facts) in &self.jobs {
            let wrong = |why: &str| format!("job {}: {why}", shown(id));
            let receipt =
                receipts.map_or(Told::LeftOut, |receipts| receipts.get(id).map_or(Told::Missing, Told::Enclosed));
            life(facts, may_begin_late, receipt).map_err(wrong)?;
            for fact in facts {
                if let (Kind::Begins { job_type, .. }, Some(shop), Some(key)) =
                    (&fact.kind, &fact.shop, fact.actor_webhook.as_ref().filter(|key| !key.is_null()))
                    && !keys.insert(format!("{shop} {key} {job_type}"))
                {
                    return Err(wrong("another job was made by the same delivery"));
                }
            }
        }
        for id in receipts.into_iter().flat_map(BTreeMap::keys) {
            if !self.jobs.contains_key(id) && !may_begin_late {
                return Err(format!("job {}: it has a receipt and no entries", shown(id)));
            }
        }
        Ok(())
    }
}

/// An id in a message: ours have no other characters.
fn shown(id: &str) -> String {
    id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect()
}

fn kind(event: &Event) -> Result<Option<Kind>, &'static str> {
    let status = |name: &str| match event.value(name) {
        Some(Value::String(text)) => text.parse::<JobStatus>().map(Some).map_err(|_| "an unknown status"),
        // A request of the API is recorded with the status of its answer, which is a number.
        _ => Ok(None),
    };
    let number = |name: &str| match event.value(name) {
        None => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or("a count that is none"),
    };
    let (attempts, to) = (number("metadata.attempts")?, status("metadata.status")?);
    let job_type = match event.value("metadata.jobType") {
        None => None,
        Some(told) => Some(known::<JobType>(told).ok_or("an unknown type of job")?),
    };
    Ok(match (event.text("action"), job_type) {
        (Some("create"), Some(job_type)) => Some(Kind::Begins {
            held: event.value("metadata.holdReason").is_some_and(|reason| !reason.is_null()),
            job_type,
        }),
        (Some("update"), _) => {
            let from = status("metadata.from")?;
            to.map(|to| Kind::Moves { to, from, attempts })
        }
        (Some(action @ ("delete" | "export")), _) => match event.value("metadata.outcome") {
            None => None,
            Some(told) => {
                let outcome = known(told).ok_or("an unknown outcome")?;
                if !may_end(action == "export", job_type, outcome) {
                    return Err("an outcome that such a job does not have");
                }
                Some(Kind::Ends { job_type, outcome, attempts, rows: number("metadata.rows")? })
            }
        },
        _ => None,
    })
}

fn known<T: FromStr>(told: &Value) -> Option<T> {
    told.as_str()?.parse().ok()
}

/// Whether a job is completed so. What is collected is exported, and nothing else is.
fn may_end(exports: bool, job_type: Option<JobType>, outcome: Outcome) -> bool {
    let of_type = job_type.is_none_or(|job_type| (job_type == JobType::DataRequest) == exports);
    of_type
        && match outcome {
            Outcome::NothingFound => true,
            Outcome::Exported => exports,
            Outcome::Erased | Outcome::Retained => !exports,
            Outcome::NotExecuted => false,
        }
}

/// Where a job stands after an entry, with its attempts so far; they are unknown while the beginning is missing and nothing
/// has told them.
type State = (JobStatus, Option<u64>);

const ATTEMPTS: &str = "its attempts are not in order";

/// What a job may have become since, without an entry.
fn since(status: JobStatus) -> &'static [JobStatus] {
    match status {
        JobStatus::Queued => &[JobStatus::Queued, JobStatus::Processing],
        JobStatus::Retrying => &[JobStatus::Retrying, JobStatus::Processing, JobStatus::Queued],
        JobStatus::Processing => &[JobStatus::Processing],
        JobStatus::Held => &[JobStatus::Held],
        JobStatus::Failed => &[JobStatus::Failed],
        JobStatus::Completed => &[JobStatus::Completed],
        JobStatus::Cancelled => &[JobStatus::Cancelled],
    }
}

/// What a bundle holds of a job's receipt.
enum Told<'a> {
    LeftOut,
    Missing,
    Enclosed(&'a Enclosed<'a>),
}

fn life(facts: &[Fact], may_begin_late: bool, receipt: Told<'_>) -> Result<(), &'static str> {
    let mut state: Option<State> = None;
    let mut job_type: Option<JobType> = None;
    let mut ended: Option<&Fact> = None;
    for fact in facts {
        if ended.is_some() {
            return Err("something happened after its end");
        }
        match &fact.kind {
            Kind::Begins { held, job_type: of } => {
                if state.is_some() {
                    return Err("it begins twice");
                }
                state = Some((if *held { JobStatus::Held } else { JobStatus::Queued }, Some(0)));
                job_type = Some(*of);
            }
            Kind::Moves { to, from, attempts } => {
                if state.is_none() && !may_begin_late {
                    return Err("its beginning is missing");
                }
                state = Some(moved(state, *to, *from, *attempts)?);
                if *to == JobStatus::Cancelled {
                    ended = Some(fact);
                }
            }
            Kind::Ends { attempts, job_type: of, .. } => {
                match state {
                    None if !may_begin_late => return Err("its beginning is missing"),
                    Some((status, _)) if !since(status).contains(&JobStatus::Processing) => {
                        return Err("it ends without having been worked");
                    }
                    Some((_, Some(before))) if attempts.is_some_and(|told| Some(told) != before.checked_add(1)) => {
                        return Err(ATTEMPTS);
                    }
                    _ => {}
                }
                if job_type.is_some() && *of != job_type {
                    return Err("it ends as a job of another type");
                }
                ended = Some(fact);
            }
        }
    }
    let attempts = state.and_then(|(_, attempts)| attempts);
    match (receipt, ended) {
        (Told::LeftOut, _) | (Told::Missing, None) => Ok(()),
        (Told::Missing, Some(_)) => Err("it has ended, and its receipt is missing"),
        (Told::Enclosed(_), None) => Err("it has a receipt, and has not ended"),
        (Told::Enclosed(enclosed), Some(end)) => receipt_fits(enclosed, facts, end, attempts),
    }
}

fn moved(
    state: Option<State>,
    to: JobStatus,
    from: Option<JobStatus>,
    told: Option<u64>,
) -> Result<State, &'static str> {
    // What completes a job tells what it came to.
    if to == JobStatus::Completed {
        return Err("it is completed without an outcome");
    }
    let Some((status, before)) = state else { return Ok((to, told)) };
    let may = |step: &&JobStatus| step.may_become(to) && from.is_none_or(|from| from == **step);
    if !since(status).iter().any(|step| may(&step)) {
        return Err("a move that the life of a job does not have");
    }
    let expected = match (status, to, before) {
        (JobStatus::Failed, JobStatus::Queued, _) => Some(0),
        (_, JobStatus::Retrying | JobStatus::Failed, Some(before)) => Some(before.checked_add(1).ok_or(ATTEMPTS)?),
        _ => before,
    };
    match (told, expected) {
        (Some(told), Some(expected)) if told != expected => Err(ATTEMPTS),
        _ => Ok((to, expected.or(told))),
    }
}

fn receipt_fits(
    enclosed: &Enclosed<'_>,
    facts: &[Fact],
    end: &Fact,
    attempts: Option<u64>,
) -> Result<(), &'static str> {
    let receipt = &enclosed.receipt;
    let same = |value: Option<&Value>, text: &str| value.is_none_or(|value| value.as_str() == Some(text));
    if end
        .receipt
        .as_ref()
        .is_some_and(|digest| digest.as_str() != Some(&hex::encode(Sha256::digest(enclosed.envelope))))
    {
        return Err("its receipt is not the one that its entry names");
    }
    if end.created_at != rfc3339(receipt.ended_at) {
        return Err("its receipt ends at another instant");
    }
    if !same(end.shop.as_ref(), &receipt.request.shop_domain) {
        return Err("its receipt is of another shop");
    }
    end_fits(receipt, facts, end, attempts)?;
    for fact in facts {
        let Kind::Begins { job_type, .. } = fact.kind else { continue };
        if job_type != receipt.request.job_type {
            return Err("its receipt is of a job of another type");
        }
        if !same(fact.received_at.as_ref(), &rfc3339(receipt.request.received_at)) {
            return Err("its receipt tells of another request");
        }
        // A receipt names a delivery by a pseudonym when its id could be a person's.
        let named = !receipt.request.webhook_id.starts_with("pseudonym:");
        if named && !same(fact.actor_webhook.as_ref(), &receipt.request.webhook_id) {
            return Err("its receipt tells of another delivery");
        }
    }
    Ok(())
}

fn end_fits(receipt: &Receipt, facts: &[Fact], end: &Fact, attempts: Option<u64>) -> Result<(), &'static str> {
    let counted_attempts = u64::from(receipt.attempts);
    let Kind::Ends { job_type, outcome, attempts: told, rows } = &end.kind else {
        let begun = facts.first().is_some_and(|fact| matches!(fact.kind, Kind::Begins { .. }));
        return match (receipt.outcome, begun) {
            (Outcome::NotExecuted, true) if attempts != Some(counted_attempts) => {
                Err("its receipt counts other attempts")
            }
            (Outcome::NotExecuted, _) => Ok(()),
            _ => Err("its receipt tells another outcome"),
        };
    };
    if job_type.is_some_and(|job_type| job_type != receipt.request.job_type) {
        return Err("its receipt is of a job of another type");
    }
    if *outcome != receipt.outcome {
        return Err("its receipt tells another outcome");
    }
    if told.is_some_and(|told| told != counted_attempts) {
        return Err("its receipt counts other attempts");
    }
    if rows.is_some_and(|rows| Some(rows) != counted(receipt)) {
        return Err("its receipt counts other rows");
    }
    Ok(())
}

/// Rows that a receipt says were deleted, masked or collected.
fn counted(receipt: &Receipt) -> Option<u64> {
    let erased =
        receipt.erasure.iter().flat_map(|erasure| &erasure.tables).flat_map(|table| [table.deleted, table.masked]);
    let collected = receipt.export.iter().flat_map(|export| &export.tables).map(|table| table.collected);
    erased.chain(collected).try_fold(0_u64, u64::checked_add)
}
