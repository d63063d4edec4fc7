//! Tells the signer of receipts what became of jobs.

use chrono::{DateTime, Utc};
use entity::gdpr_job::{JobType, Model};
use entity::source::Source;

use super::settle::{Done, Finished, keeps_shop_row};
use crate::erasure::data_map::{Action, StoreMap};
use crate::erasure::progress::{Progress, StoreStep};
use crate::erasure::stores::Stores;
use crate::evidence::receipt::{Duty, Ending, Signer, TableCounts};
use crate::evidence::statement::{CollectedTable, Hold, Policy};
use crate::store::StoreError;
use crate::store::deletion_receipt::NewReceipt;
use crate::store::gdpr_job::{Claimed, Completion};

/// Receipts signed without a pause: signing takes the processor for itself, and other tasks wait for it too.
const SIGNED_AT_ONCE: usize = 32;

/// Signs the receipts of jobs that are being completed.
pub(super) async fn of_finished(
    signer: &Signer,
    stores: &Stores,
    now: DateTime<Utc>,
    jobs: &[(&Finished, &Completion)],
) -> Result<Vec<NewReceipt>, StoreError> {
    let mut receipts = Vec::with_capacity(jobs.len());
    for some in jobs.chunks(SIGNED_AT_ONCE) {
        for (job, completion) in some {
            let duty = of_claim(&job.claim, job.done.job_type())?;
            let policy = Policy {
                data_map: Some(stores.digest().to_owned()),
                plan: stores.plan(job.done.job_type()).map(str::to_owned),
                approved_plan: job.claim.approved_plan.clone(),
            };
            receipts.push(signer.sign(&duty, ending(stores, job, completion), policy, holds(&job.progress), now)?);
        }
        tokio::task::yield_now().await;
    }
    Ok(receipts)
}

/// Signs the receipt of a job that is being withdrawn: it was not executed. The reason is an operator's own words, and
/// stays in the job's row and the audit log.
pub(super) fn of_cancelled(
    signer: &Signer,
    job: &Model,
    progress: &Progress,
    now: DateTime<Utc>,
) -> Result<NewReceipt, StoreError> {
    let duty = Duty {
        job_id: &job.id,
        job_type: job.job_type,
        topic: &job.topic,
        provider: &job.provider,
        source: job.source,
        shop_domain: &job.shop_domain,
        shop_id: job.shop_id.as_deref(),
        webhook_id: &job.webhook_id,
        event_id: job.event_id.as_deref(),
        payload: &job.payload,
        attempts: job.attempts,
        received_at: job.created_at,
        due_at: job.due_at,
    };
    Ok(signer.sign(&duty, Ending::NotExecuted, Policy::default(), holds(progress), now)?)
}

fn holds(progress: &Progress) -> Vec<Hold> {
    progress.held_by.iter().map(|by| Hold { reason: by.reason.clone(), id: by.id.clone() }).collect()
}

fn of_claim(claim: &Claimed, job_type: JobType) -> Result<Duty<'_>, StoreError> {
    let source: Source = claim.source.parse().map_err(|_| StoreError::Row {
        table: super::TABLE,
        column: "source",
        id: claim.id.clone(),
        reason: "an unknown door",
    })?;
    Ok(Duty {
        job_id: &claim.id,
        job_type,
        topic: &claim.topic,
        provider: &claim.provider,
        source,
        shop_domain: &claim.shop_domain,
        shop_id: claim.shop_id.as_deref(),
        webhook_id: &claim.webhook_id,
        event_id: claim.event_id.as_deref(),
        payload: &claim.payload,
        attempts: claim.attempts,
        received_at: claim.created_at,
        due_at: claim.due_at,
    })
}

fn ending<'a>(stores: &Stores, job: &'a Finished, completion: &Completion) -> Ending<'a> {
    let outcome = completion.outcome;
    match &job.done {
        Done::Erased { whole_shop, verified, .. } => Ending::Erased {
            verified,
            outcome,
            tables: stores.maps().flat_map(|map| erased(map, job, *whole_shop)).collect(),
            uncounted_stores: uncounted(job),
            made_up_to: job.progress.made_up_to,
        },
        Done::Exported => {
            let of_store = |map: &StoreMap| -> Vec<CollectedTable> {
                let tables = map.exported().map(|table| CollectedTable {
                    store: map.name.clone(),
                    table: table.name.as_str().to_owned(),
                    collected: counted(job, &table.export_key),
                });
                tables.collect()
            };
            Ending::Exported { outcome, tables: stores.maps().flat_map(of_store).collect(), manifest: None }
        }
    }
}

/// Rows of one store, by table; the shop's own row last.
fn erased(map: &StoreMap, job: &Finished, whole_shop: bool) -> Vec<TableCounts> {
    let counts =
        |table: &str| TableCounts { store: map.name.clone(), table: table.to_owned(), ..TableCounts::default() };
    let reached = map.tables.iter().filter_map(|table| {
        let (action, name) = (table.action(whole_shop), table.name.as_str());
        let rows = counted(job, table.counter(action));
        let already_absent = absent(job, table.counter(action));
        match action {
            Action::Delete => Some(TableCounts { deleted: rows, already_absent, ..counts(name) }),
            Action::Mask => Some(TableCounts { masked: rows, already_absent, ..counts(name) }),
            Action::Keep if table.keeps_on_ground(whole_shop) => {
                let kept = kept(job, &table.keep_key);
                Some(TableCounts { kept, ground: table.ground.clone(), ..counts(name) })
            }
            Action::Keep => None,
        }
    });
    let mut tables: Vec<TableCounts> = reached.collect();
    if let Some(shop) = map.shop.as_ref().filter(|_| whole_shop) {
        let counts = counts(shop.table.table.as_str());
        tables.push(match &shop.kept_because {
            None => {
                let already_absent = absent(job, &shop.result_key);
                TableCounts { deleted: counted(job, &shop.result_key), already_absent, ..counts }
            }
            ground => {
                let kept = keeps_shop_row(map, job).into();
                TableCounts { kept, ground: ground.clone(), ..counts }
            }
        });
    }
    tables
}

fn counted(job: &Finished, key: &str) -> u64 {
    job.progress.counts.get(key).copied().unwrap_or_default()
}

fn absent(job: &Finished, key: &str) -> u64 {
    job.progress.absent.get(key).copied().unwrap_or_default()
}

fn kept(job: &Finished, key: &str) -> u64 {
    match &job.done {
        Done::Erased { kept, .. } => kept.get(key).copied().unwrap_or_default(),
        Done::Exported => 0,
    }
}

/// Further stores in which an earlier attempt may have erased rows whose number was lost with it.
fn uncounted(job: &Finished) -> Vec<String> {
    let lost = |step: &StoreStep| matches!(step, StoreStep::StartedAgain | StoreStep::DeletedRest);
    job.progress.stores.iter().filter(|(_, step)| lost(step)).map(|(store, _)| store.clone()).collect()
}
