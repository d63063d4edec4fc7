//! Writes what became of a claim: status, audit entry and everything that goes with them, in one transaction.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use entity::audit_log::Action;
use entity::gdpr_job::{JobStatus, JobType, Outcome};
use serde_json::{Map, Value, json};

use super::held;
use super::machine::{self, Effect, Event, State};
use crate::audit::{self, Actor, Entry};
use crate::clock::Clock;
use crate::erasure::data_map::StoreMap;
use crate::erasure::progress::{Progress, StoreStep};
use crate::erasure::stores::Stores;
use crate::erasure::verify::Verified;
use crate::evidence::receipt::Signer;
use crate::retry::{RetryPolicy, jitter};
use crate::store::deletion_receipt::NewReceipt;
use crate::store::gdpr_job::{self, Claimed, Completion};
use crate::store::{Store, StoreError, deletion_receipt};
use crate::suppression::{self, Tombstone};

/// A claim whose work is done and verified.
#[derive(Debug)]
pub struct Finished {
    pub claim: Claimed,
    pub progress: Progress,
    pub done: Done,
    /// What an erasure leaves behind.
    pub tombstone: Option<Tombstone>,
}

/// What was done for a claim. An erasure cannot be said to be done without the verifier's word.
#[derive(Clone, Debug)]
pub enum Done {
    /// The rows are deleted or masked; `kept` counts those that a legal ground keeps, by the map's counters.
    Erased { whole_shop: bool, verified: Verified, kept: BTreeMap<String, u64> },
    /// The rows are collected.
    Exported,
}

impl Done {
    fn verified_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Erased { verified, .. } => Some(verified.at()),
            Self::Exported => None,
        }
    }

    pub(super) fn job_type(&self) -> JobType {
        match self {
            Self::Erased { whole_shop: true, .. } => JobType::ShopRedact,
            Self::Erased { whole_shop: false, .. } => JobType::CustomerRedact,
            Self::Exported => JobType::DataRequest,
        }
    }
}

/// The counters of a job's result: the keys that its type touches, zeros included; grounds of what was kept; and how
/// further stores came off.
fn result(stores: &Stores, job: &Finished, now: DateTime<Utc>) -> Value {
    let mut result = Map::new();
    let progress = &job.progress;
    let counted = |key: &str| Value::from(progress.counts.get(key).copied().unwrap_or_default());
    match &job.done {
        Done::Erased { whole_shop, kept, .. } => {
            let mut grounds = Map::new();
            for map in stores.maps() {
                for table in map.touched(*whole_shop) {
                    let key = table.counter(table.action(*whole_shop));
                    result.insert(key.to_owned(), counted(key));
                }
                for table in map.tables.iter().filter(|table| table.keeps_on_ground(*whole_shop)) {
                    let rows = kept.get(&table.keep_key).copied().unwrap_or_default();
                    result.insert(table.keep_key.clone(), Value::from(rows));
                    if let Some(ground) = table.ground.as_ref().filter(|_| rows > 0) {
                        grounds.insert(table.keep_key.clone(), Value::from(ground.as_str()));
                    }
                }
                if *whole_shop {
                    shop_row(map, &counted, &mut result, &mut grounds);
                }
            }
            if !grounds.is_empty() {
                result.insert("grounds".to_owned(), Value::Object(grounds));
            }
            if !progress.stores.is_empty() {
                let told = progress.stores.iter().map(|(store, step)| {
                    let absent = matches!(step, StoreStep::StartedAgain | StoreStep::DeletedRest);
                    (store.clone(), json!({ "state": "done", "alreadyAbsent": absent }))
                });
                result.insert("stores".to_owned(), Value::Object(told.collect()));
            }
            if let Some(cutoff) = progress.made_up_to {
                let cutoff = cutoff.to_rfc3339_opts(SecondsFormat::Micros, true);
                result.insert("madeUpTo".to_owned(), Value::from(cutoff));
            }
            result.insert("residual".to_owned(), Value::from(0));
        }
        Done::Exported => {
            for table in stores.maps().flat_map(StoreMap::exported) {
                result.insert(table.export_key.clone(), counted(&table.export_key));
            }
        }
    }
    result.insert("completedAt".to_owned(), Value::from(crate::clock::rfc3339(now)));
    Value::Object(result)
}

fn shop_row(
    map: &StoreMap,
    counted: &impl Fn(&str) -> Value,
    result: &mut Map<String, Value>,
    grounds: &mut Map<String, Value>,
) {
    let Some(shop) = &map.shop else { return };
    match &shop.kept_because {
        None => result.insert(shop.result_key.clone(), counted(&shop.result_key)),
        Some(ground) => grounds.insert(shop.table.table.as_str().to_owned(), Value::from(ground.as_str())),
    };
}

/// Whether the row of the shop itself was found in a store, and stays.
pub(super) fn keeps_shop_row(map: &StoreMap, job: &Finished) -> bool {
    let keeps = map.shop.as_ref().is_some_and(|shop| shop.kept_because.is_some());
    keeps && job.progress.shops.contains_key(&map.name)
}

fn outcome(stores: &Stores, job: &Finished) -> Outcome {
    let kept = match &job.done {
        Done::Erased { kept, whole_shop, .. } => {
            kept.values().any(|rows| *rows > 0) || (*whole_shop && stores.maps().any(|map| keeps_shop_row(map, job)))
        }
        Done::Exported => false,
    };
    match (&job.done, job.progress.total()) {
        (Done::Erased { .. }, _) if kept => Outcome::Retained,
        (_, 0) => Outcome::NothingFound,
        (Done::Exported, _) => Outcome::Exported,
        (Done::Erased { .. }, _) => Outcome::Erased,
    }
}

/// Completes jobs in the caller's transaction, each with its receipt, and names those whose claim still held.
///
/// # Errors
/// When the database refuses or does not answer; the caller rolls back.
pub async fn complete(
    conn: &impl sea_orm::ConnectionTrait,
    stores: &Stores,
    signer: &Signer,
    now: DateTime<Utc>,
    jobs: &[Finished],
) -> Result<HashSet<String>, StoreError> {
    let completions: Vec<Completion> = jobs
        .iter()
        .map(|job| Completion {
            job: job.claim.fenced(),
            outcome: outcome(stores, job),
            result: result(stores, job, now),
            verified_at: job.done.verified_at(),
        })
        .collect();
    let completed = gdpr_job::complete(conn, now, &completions).await?;
    let ended: Vec<(&Finished, &Completion)> =
        jobs.iter().zip(&completions).filter(|(job, _)| completed.contains(&job.claim.id)).collect();
    let receipts = super::receipts::of_finished(signer, stores, now, &ended).await?;
    let digests: Vec<String> = receipts.iter().map(NewReceipt::digest).collect();
    deletion_receipt::insert(conn, receipts).await?;
    let entries = ended
        .iter()
        .zip(digests)
        .map(|((job, completion), receipt)| Entry {
            actor: Actor::System("worker"),
            action: if job.done.job_type() == JobType::DataRequest { Action::Export } else { Action::Delete },
            resource_type: super::TABLE,
            resource_id: job.claim.id.clone(),
            shop_domain: Some(job.claim.shop_domain.clone()),
            metadata: json!({
                "jobType": job.done.job_type(),
                "outcome": completion.outcome,
                "rows": job.progress.total(),
                "attempts": job.claim.attempts,
                "receipt": receipt,
            }),
        })
        .collect();
    audit::append(conn, now, entries).await?;
    let erased = jobs.iter().filter(|job| completed.contains(&job.claim.id));
    suppression::record(conn, now, erased.filter_map(|job| job.tombstone.as_ref())).await?;
    for (job, completion) in jobs.iter().zip(&completions) {
        if completed.contains(&job.claim.id) {
            metrics::counter!("efface_jobs_completed_total", "type" => job.done.job_type().as_str(),
                "outcome" => completion.outcome.as_str())
            .increment(1);
            metrics::histogram!("efface_job_seconds", "type" => job.done.job_type().as_str())
                .record((now - job.claim.created_at).as_seconds_f64().max(0.0));
        }
    }
    Ok(completed)
}

/// What every settlement needs.
#[derive(Clone, Debug)]
pub struct Settler {
    pub store: Store,
    pub clock: Clock,
    pub retry: RetryPolicy,
}

impl Settler {
    pub(super) fn attempts_max(&self) -> i32 {
        i32::try_from(self.retry.attempts_max).unwrap_or(i32::MAX)
    }

    /// When a job is to be tried again that has used up `attempts`.
    pub fn retry_at(&self, attempts: i32) -> DateTime<Utc> {
        // The machine decides whether there is another attempt; the pause of the last one serves as well.
        let attempt = u32::try_from(attempts).unwrap_or(1).clamp(1, self.retry.attempts_max.saturating_sub(1).max(1));
        let pause = self.retry.delay(attempt, jitter()).unwrap_or(self.retry.max);
        // In whole milliseconds, as the clock tells them: what is due at an instant is due when the clock shows it.
        self.clock.now() + i64::try_from(pause.as_millis()).map_or(TimeDelta::hours(1), TimeDelta::milliseconds)
    }

    /// Applies an event to one claimed job, with its audit entry. False when the claim no longer held.
    ///
    /// # Errors
    /// When the database refuses or does not answer: then nothing has changed.
    pub async fn claimed(&self, claim: &Claimed, actor: &'static str, event: Event) -> Result<bool, StoreError> {
        let state = State { status: JobStatus::Processing, attempts: claim.attempts, fence: claim.fence };
        let metadata = describe(&event);
        let forbidden = if let Event::Forbidden { reason } = &event { Some(held::by(reason)) } else { None };
        let Ok(step) = machine::step(state, event, self.attempts_max()) else { return Ok(false) };
        let now = self.clock.now();
        let tx = self.store.begin_write().await?;
        let changed = gdpr_job::change_status(&*tx, now, &claim.id, Some(claim.fence), &step.change).await?;
        if changed && forbidden.is_some() {
            held::note(&*tx, &claim.id, forbidden).await?;
        }
        if changed && step.effects.contains(&Effect::Audit) {
            let entry = Entry {
                actor: Actor::System(actor),
                action: Action::Update,
                resource_type: super::TABLE,
                resource_id: claim.id.clone(),
                shop_domain: Some(claim.shop_domain.clone()),
                metadata: json!({ "status": step.state.status, "attempts": step.state.attempts, "because": metadata }),
            };
            audit::append(&*tx, now, vec![entry]).await?;
        }
        tx.commit().await?;
        if changed && step.effects.contains(&Effect::Alert) {
            metrics::counter!("efface_jobs_needing_attention_total", "status" => step.state.status.as_str())
                .increment(1);
            tracing::warn!(job.id = %claim.id, job.status = %step.state.status, reason = metadata,
                "a job needs a person");
        }
        Ok(changed)
    }
}

/// An event as the audit log tells it.
pub fn describe(event: &Event) -> String {
    match event {
        Event::Claimed => "claimed".to_owned(),
        Event::Succeeded(_) => "succeeded".to_owned(),
        Event::AttemptFailed { message, .. } => message.clone(),
        Event::Forbidden { reason } | Event::Cancelled { reason } => reason.clone(),
        Event::GivenBack => "given back at shutdown".to_owned(),
        Event::LeaseExpired { .. } => "lease expired".to_owned(),
        Event::Released { .. } => "released".to_owned(),
        Event::Requeued { .. } => "queued again".to_owned(),
    }
}
