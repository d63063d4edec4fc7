//! What legal holds do to jobs: a covered one becomes `held` before its next step, and goes on by itself when the last
//! hold that covers it is released.

use std::collections::{BTreeMap, HashSet};
use std::str::FromStr as _;

use entity::audit_log::Action;
use entity::gdpr_job::{JobStatus, JobType};
use sea_orm::ConnectionTrait;
use serde_json::json;

use super::held;
use super::machine::{self, Event, State};
use super::settle::Settler;
use super::wake::Wake;
use crate::audit::{self, Actor, Entry};
use crate::clock::Clock;
use crate::erasure::stores::Stores;
use crate::hold::{Cover, HoldError, Holds, Question, Reach};
use crate::store::gdpr_job::holding::{self, Held};
use crate::store::gdpr_job::{self, Claimed};
use crate::store::{Store, StoreError};

/// The reason of a job that a legal hold forbids, as its row and the audit log name it.
pub const REASON: &str = "legal_hold";

/// Jobs that a release looks at in one go.
const PAGE: u64 = 256;

/// The tables that erasures may touch, as the data map says.
pub fn reach(stores: &Stores) -> Reach {
    let touched = |whole: bool| {
        let tables = stores.maps().flat_map(move |map| map.touched(whole));
        tables.map(|table| table.name.as_str().to_owned())
    };
    let rows = stores.maps().filter_map(|map| map.shop.as_ref()).map(|shop| shop.table.table.as_str().to_owned());
    Reach { customer: touched(false).collect(), shop: touched(true).chain(rows).collect() }
}

fn question(claim: &Claimed) -> Question<'_> {
    Question {
        job_id: &claim.id,
        shop_domain: &claim.shop_domain,
        whole_shop: claim.job_type == JobType::ShopRedact.as_str(),
    }
}

/// The ids of those claims that a hold forbids: to be asked in the transaction that goes on to erase, after its fence
/// check. When there are any, that transaction must erase nothing: roll it back, and call [`keep_back`].
///
/// # Errors
/// When the database refuses or does not answer: then nothing may be erased.
pub async fn covered<'a>(
    holds: &Holds,
    conn: &impl ConnectionTrait,
    claims: impl IntoIterator<Item = &'a Claimed>,
) -> Result<HashSet<String>, StoreError> {
    let questions: Vec<Question<'_>> = claims.into_iter().map(question).collect();
    let covers = holds.in_force(conn, &questions).await?;
    Ok(covers.into_keys().map(|place| questions[place].job_id.to_owned()).collect())
}

/// What became of claims that were found to be covered.
#[derive(Debug, Default)]
pub struct KeptBack {
    /// Ids of jobs that are `held` now.
    pub held: HashSet<String>,
    /// Ids of claims that another worker had taken meanwhile.
    pub lost: HashSet<String>,
}

/// Moves claimed jobs to `held` with [`REASON`], in one transaction that asks again: what a release has let go meanwhile
/// stays claimed. Counters of steps that were done stay in the row.
///
/// # Errors
/// When the database refuses or does not answer: then nothing has changed.
pub async fn keep_back(settler: &Settler, holds: &Holds, claims: &[&Claimed]) -> Result<KeptBack, StoreError> {
    let now = settler.clock.now();
    let tx = settler.store.begin_write().await?;
    let fenced: Vec<_> = claims.iter().map(|claim| claim.fenced()).collect();
    let ours = gdpr_job::hold_claims(&*tx, &settler.clock, &fenced, None).await?;
    let (claims, lost): (Vec<&Claimed>, Vec<&Claimed>) = claims.iter().partition(|claim| ours.contains(&claim.id));
    let mut kept = KeptBack { lost: lost.into_iter().map(|claim| claim.id.clone()).collect(), ..KeptBack::default() };
    let questions: Vec<Question<'_>> = claims.iter().map(|claim| question(claim)).collect();
    let mut entries = Vec::new();
    for (place, covers) in holds.in_force(&*tx, &questions).await? {
        let claim = claims[place];
        let state = State { status: JobStatus::Processing, attempts: claim.attempts, fence: claim.fence };
        let event = Event::Forbidden { reason: REASON.to_owned() };
        let Ok(step) = machine::step(state, event, settler.attempts_max()) else { continue };
        if !gdpr_job::change_status(&*tx, now, &claim.id, Some(claim.fence), &step.change).await? {
            continue;
        }
        let holds: Vec<String> = covers.into_iter().map(|cover| cover.hold_id).collect();
        held::note(&*tx, &claim.id, holds.iter().cloned().map(held::by_legal_hold)).await?;
        entries.push(Entry {
            actor: Actor::System("worker"),
            action: Action::Update,
            resource_type: super::TABLE,
            resource_id: claim.id.clone(),
            shop_domain: Some(claim.shop_domain.clone()),
            metadata: json!({
                "status": step.state.status, "attempts": step.state.attempts, "because": REASON, "holds": holds,
            }),
        });
        kept.held.insert(claim.id.clone());
    }
    audit::append(&*tx, now, entries).await?;
    tx.commit().await?;
    for id in &kept.held {
        metrics::counter!("efface_jobs_needing_attention_total", "status" => JobStatus::Held.as_str()).increment(1);
        tracing::warn!(job.id = %id, reason = REASON, "a job is under a legal hold; its deadline keeps running");
    }
    Ok(kept)
}

/// A hold that was released, and what it let go.
#[derive(Debug)]
pub struct Released {
    pub hold: entity::legal_hold::Model,
    /// Jobs that no hold covers any more: they are queued.
    pub jobs_queued: u64,
}

/// Releases a hold in the name of `releaser`, and queues every job that it was the last to cover: all in one
/// transaction, because nobody would ask for those jobs again.
///
/// # Errors
/// See [`HoldError`]; nothing has changed then.
pub async fn release(
    store: &Store,
    clock: &Clock,
    wake: &Wake,
    holds: &Holds,
    releaser: &str,
    id: &str,
) -> Result<Released, HoldError> {
    let now = clock.now();
    let tx = store.begin_write().await?;
    let hold = holds.end(&*tx, now, releaser, id).await?;
    let mut jobs_queued = 0;
    let mut after = String::new();
    loop {
        let jobs = holding::held(&*tx, REASON, hold.shop_domain.as_deref(), &after, PAGE).await?;
        let Some(last) = jobs.last() else { break };
        after.clone_from(&last.id);
        let still_covered = still_covered(holds, &*tx, &jobs).await?;
        let mut entries = Vec::new();
        for (place, job) in jobs.iter().enumerate() {
            let state = State { status: JobStatus::Held, attempts: job.attempts, fence: job.fence };
            let Ok(step) = machine::step(state, Event::Released { at: now }, i32::MAX) else { continue };
            if let Some(holds) = still_covered.get(&place) {
                // Some may have been placed since it became `held`.
                take_over(&*tx, job, holds).await?;
                continue;
            }
            if !gdpr_job::change_status(&*tx, now, &job.id, None, &step.change).await? {
                continue;
            }
            held::note(&*tx, &job.id, [held::by_legal_hold(hold.id.clone())]).await?;
            entries.push(Entry {
                actor: Actor::Operator(releaser.to_owned()),
                action: Action::Update,
                resource_type: super::TABLE,
                resource_id: job.id.clone(),
                shop_domain: Some(job.shop_domain.clone()),
                metadata: json!({
                    "from": JobStatus::Held, "status": step.state.status, "because": "legal hold released",
                    "hold": hold.id,
                }),
            });
        }
        jobs_queued += entries.len() as u64;
        audit::append(&*tx, now, entries).await?;
    }
    tx.commit().await?;
    if jobs_queued > 0 {
        wake.ring();
    }
    Ok(Released { hold, jobs_queued })
}

/// Notes holds that go on where a released one ends.
async fn take_over(conn: &impl ConnectionTrait, job: &Held, holds: &[Cover]) -> Result<(), StoreError> {
    // Whoever cancels it or lets it go meanwhile has the row: then there is nothing to note.
    if holding::lock_held(conn, &job.id).await? {
        held::note(conn, &job.id, holds.iter().map(|cover| held::by_legal_hold(cover.hold_id.clone()))).await?;
    }
    Ok(())
}

/// The holds that cover those jobs besides, by the jobs' places.
async fn still_covered(
    holds: &Holds,
    conn: &impl ConnectionTrait,
    jobs: &[Held],
) -> Result<BTreeMap<usize, Vec<Cover>>, StoreError> {
    let questions: Vec<Question<'_>> = jobs
        .iter()
        .map(|job| Question {
            job_id: &job.id,
            shop_domain: &job.shop_domain,
            whole_shop: JobType::from_str(&job.job_type) == Ok(JobType::ShopRedact),
        })
        .collect();
    holds.in_force(conn, &questions).await
}
