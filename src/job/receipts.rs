//! Tells the signer of receipts what became of jobs.

use chrono::{DateTime, Utc};
use entity::gdpr_job::{JobType, Model};
use entity::source::Source;

use super::settle::{Done, Finished};
use crate::erasure::data_map::DataMap;
use crate::evidence::receipt::{Duty, Ending, Signer, TableCounts};
use crate::evidence::statement::{CollectedTable, Hold, Policy};
use crate::store::StoreError;
use crate::store::deletion_receipt::NewReceipt;
use crate::store::gdpr_job::{Claimed, Completion};

/// The store that a data map speaks of when it names none.
const STORE: &str = "default";
/// Receipts signed without a pause: signing takes the processor for itself, and other tasks wait for it too.
const SIGNED_AT_ONCE: usize = 32;

/// Signs the receipts of jobs that are being completed.
pub(super) async fn of_finished(
    signer: &Signer,
    map: &DataMap,
    now: DateTime<Utc>,
    jobs: &[(&Finished, &Completion)],
) -> Result<Vec<NewReceipt>, StoreError> {
    let mut receipts = Vec::with_capacity(jobs.len());
    for some in jobs.chunks(SIGNED_AT_ONCE) {
        for (job, completion) in some {
            let duty = of_claim(&job.claim, job.done.job_type())?;
            let ending = ending(map, job, completion);
            receipts.push(signer.sign(&duty, ending, Policy::default(), Vec::new(), now)?);
        }
        tokio::task::yield_now().await;
    }
    Ok(receipts)
}

/// Signs the receipt of a job that is being withdrawn: it was not executed. The reason is an operator's own words, and
/// stays in the job's row and the audit log.
pub(super) fn of_cancelled(signer: &Signer, job: &Model, now: DateTime<Utc>) -> Result<NewReceipt, StoreError> {
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
    let holds = job.hold_reason.iter().map(|reason| Hold { reason: code(reason).to_owned(), id: None }).collect();
    Ok(signer.sign(&duty, Ending::NotExecuted, Policy::default(), holds, now)?)
}

/// A reason as it may stand in a receipt: one of our codes, and never free words.
fn code(reason: &str) -> &str {
    let is_code = reason.len() <= 40 && reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_code { reason } else { "other" }
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

fn ending<'a>(map: &DataMap, job: &'a Finished, completion: &Completion) -> Ending<'a> {
    let outcome = completion.outcome;
    let rows = |key: &str| job.progress.deleted.get(key).copied().unwrap_or_default();
    let deleted = |table: &str, key: &str| TableCounts {
        store: STORE.to_owned(),
        table: table.to_owned(),
        deleted: rows(key),
        ..TableCounts::default()
    };
    match &job.done {
        Done::Erased { whole_shop: true, verified } => {
            let mut tables: Vec<TableCounts> =
                map.shop_tables().map(|table| deleted(table.name.as_str(), &table.result_key)).collect();
            tables.push(deleted(map.shop.table.as_str(), &map.shop_result_key));
            Ending::Erased { verified, outcome, tables }
        }
        Done::Erased { whole_shop: false, verified } => {
            let tables =
                map.customer_tables().map(|(table, _)| deleted(table.name.as_str(), &table.result_key)).collect();
            Ending::Erased { verified, outcome, tables }
        }
        Done::Exported => {
            let collected = map.export_tables().map(|(table, _)| CollectedTable {
                store: STORE.to_owned(),
                table: table.name.as_str().to_owned(),
                collected: rows(&table.export_key),
            });
            Ending::Exported { outcome, tables: collected.collect(), manifest: None }
        }
    }
}
