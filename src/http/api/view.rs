//! What callers of the API see: camelCase, instants with `Z`, ids beyond 2^53 as text.

use chrono::{DateTime, Utc};
use entity::gdpr_job::{JobStatus, JobType, Model, Outcome};
use entity::source::Source;
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
    /// The topic of the webhook that asked for it.
    pub topic: String,
    /// Through which door it came.
    pub source: Source,
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
    /// Why the last attempt failed, or what does not fit of one that is held for it.
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
    /// When the rows were last looked for and none was found; erasures only.
    pub verified_at: Option<DateTime<Utc>>,
    /// When it became final.
    pub completed_at: Option<DateTime<Utc>>,
}

impl From<Model> for JobView {
    fn from(job: Model) -> Self {
        Self {
            id: job.id,
            shop_domain: job.shop_domain,
            shop_id: job.shop_id,
            job_type: job.job_type,
            topic: job.topic,
            source: job.source,
            status: job.status,
            outcome: job.outcome,
            payload: job.payload,
            result: job.result.unwrap_or_default(),
            error_message: job.error_message,
            hold_reason: job.hold_reason,
            attempts: job.attempts,
            webhook_id: Some(job.webhook_id),
            event_id: job.event_id,
            created_at: job.created_at,
            due_at: job.due_at,
            scheduled_at: Some(job.scheduled_at),
            processed_at: job.processed_at,
            verified_at: job.verified_at,
            completed_at: job.completed_at,
        }
    }
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
