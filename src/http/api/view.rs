//! What callers of the API see: camelCase, instants with `Z`, ids beyond 2^53 as text.

use chrono::{DateTime, Utc};
use entity::gdpr_job::{JobStatus, JobType, Outcome};
use serde::Serialize;
use serde_json::Value;

/// The largest integer that JavaScript reads exactly.
const EXACT_MAX: u64 = 1 << 53;

/// One job. Never holds personal data in the clear, because its row does not.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobView {
    /// `gdpr_…`
    pub id: String,
    /// The shop's domain.
    pub shop_domain: String,
    /// The platform's number for the shop, as text.
    pub shop_id: Option<String>,
    /// What the duty asks for.
    pub job_type: JobType,
    /// Where the job stands.
    pub status: JobStatus,
    /// What it came to, once it is final.
    pub outcome: Option<Outcome>,
    /// Ids of the request, as far as they may be shown.
    #[serde(serialize_with = "exact")]
    pub payload: Value,
    /// Counts per table, once completed.
    #[serde(serialize_with = "exact")]
    pub result: Value,
    /// Why the last attempt failed.
    pub error_message: Option<String>,
    /// Why it is held.
    pub hold_reason: Option<String>,
    /// Attempts so far.
    pub attempts: i32,
    /// The delivery that brought it.
    pub webhook_id: Option<String>,
    /// The event behind that delivery.
    pub event_id: Option<String>,
    /// When it was received.
    pub created_at: DateTime<Utc>,
    /// When the law wants it done.
    pub due_at: DateTime<Utc>,
    /// When the next attempt may start.
    pub scheduled_at: Option<DateTime<Utc>>,
    /// When the last attempt started.
    pub processed_at: Option<DateTime<Utc>>,
    /// When it became final.
    pub completed_at: Option<DateTime<Utc>>,
}

/// A page of jobs, the newest first.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobPage {
    /// The jobs.
    pub data: Vec<JobView>,
    /// Leads to the next page; none on the last one.
    pub next_cursor: Option<super::Cursor>,
}

/// How the duties of a period stand. Everything in it was counted when it was asked for.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ComplianceReport {
    /// Jobs received from this instant on; none means since ever.
    pub from: Option<DateTime<Utc>>,
    /// … and before this one.
    pub to: Option<DateTime<Utc>>,
    /// When the counts were taken.
    pub checked_at: DateTime<Utc>,
    /// Jobs by type, status and outcome.
    pub jobs: Vec<JobCount>,
    /// Jobs that are not final.
    pub open: u64,
    /// Open jobs due within seven days, overdue ones not among them.
    pub due_within_seven_days: u64,
    /// Open jobs past their deadline.
    pub overdue: u64,
    /// Jobs that the next two figures are taken from.
    pub completed: u64,
    /// Half of the completed jobs took no longer, in seconds from receipt.
    pub median_seconds: Option<f64>,
    /// Nineteen of twenty completed jobs took no longer.
    pub p95_seconds: Option<f64>,
    /// The open job that was received first.
    pub oldest_open: Option<OldestOpen>,
    /// When a retention sweep last ended.
    pub last_sweep_at: Option<DateTime<Utc>>,
}

/// Jobs that have type, status and outcome in common.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobCount {
    /// What they ask for.
    pub job_type: JobType,
    /// Where they stand.
    pub status: JobStatus,
    /// What they came to.
    pub outcome: Option<Outcome>,
    /// How many.
    pub count: u64,
}

/// The open job that has waited longest.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OldestOpen {
    /// Its id.
    pub id: String,
    /// When it was received.
    pub created_at: DateTime<Utc>,
    /// When it is due.
    pub due_at: DateTime<Utc>,
}

fn exact<S: serde::Serializer>(value: &Value, serializer: S) -> Result<S::Ok, S::Error> {
    with_exact_numbers(value.clone()).serialize(serializer)
}

/// Turns integers that JavaScript would round into text.
fn with_exact_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => {
            let size = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            if size.is_some_and(|size| size > EXACT_MAX) { number.to_string().into() } else { number.into() }
        }
        Value::Array(items) => items.into_iter().map(with_exact_numbers).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, item)| (name, with_exact_numbers(item))).collect(),
        Value::Null | Value::Bool(_) | Value::String(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_that_javascript_would_round_are_text() {
        let row = json!({ "customer_id": 9_007_199_254_740_993_u64, "orders_to_redact": [299_938, u64::MAX, -1] });
        let seen =
            json!({ "customer_id": "9007199254740993", "orders_to_redact": [299_938, "18446744073709551615", -1] });
        assert_eq!(with_exact_numbers(row), seen);
    }
}
