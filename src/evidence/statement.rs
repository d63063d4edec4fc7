//! What a receipt says: an in-toto Statement v1 whose predicate is our own.
//!
//! Source: in-toto Attestation Framework, `spec/v1/statement.md`. Every field is told in `docs/receipt-format.md`, and
//! `docs/schemas/receipt-v1.json` is the same as a JSON schema; a field that changes, changes in all three.
//!
//! No field may hold personal data: people and orders appear as pseudonyms, free words of operators not at all.

use chrono::{DateTime, Utc};
use entity::gdpr_job::{JobType, Outcome};
use entity::source::Source;
use serde::{Deserialize, Serialize};

/// The type of the statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The type of the predicate. A change that an old reader would misread makes it `/v2`.
pub const PREDICATE_TYPE: &str = "https://github.com/efface/efface/deletion-receipt/v1";

/// The whole statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// [`STATEMENT_TYPE`].
    #[serde(rename = "_type")]
    pub kind: String,
    /// One: the job.
    pub subject: Vec<Resource>,
    /// [`PREDICATE_TYPE`].
    pub predicate_type: String,
    /// What was done for the job.
    pub predicate: Receipt,
}

/// What a statement is about, in in-toto's form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// The job's id.
    pub name: String,
    /// SHA-256 of the job's id, in lower-case hex: tools find statements by digest.
    pub digest: Digest,
}

/// in-toto's `DigestSet`, of which we use one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    pub sha256: String,
}

/// What became of one job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    pub request: Request,
    pub subject: Subject,
    pub outcome: Outcome,
    /// Attempts that it took, the last one included; 0 for a job that was never worked.
    pub attempts: u32,
    /// When the job ended.
    #[serde(with = "instant")]
    pub ended_at: DateTime<Utc>,
    pub policy: Policy,
    /// Present for an erasure that was carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erasure: Option<Erasure>,
    /// Present for a request for data that was carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<Export>,
    /// What had forbidden the job, or parts of it, for a time.
    pub holds: Vec<Hold>,
    pub software: Software,
    pub signed_by: SignedBy,
}

/// The request that made the job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    pub job_id: String,
    pub job_type: JobType,
    /// The webhook's topic, `customers/redact`.
    pub topic: String,
    /// Whose dialect of webhooks it was.
    pub provider: String,
    /// The door it came through.
    pub source: Source,
    pub shop_domain: String,
    /// The platform's own number of the shop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shop_id: Option<String>,
    /// The delivery's id, or its pseudonym when it has not the form of an id that a machine made.
    pub webhook_id: String,
    /// The event's id, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    #[serde(with = "instant")]
    pub received_at: DateTime<Utc>,
    #[serde(with = "instant")]
    pub due_at: DateTime<Utc>,
}

/// Whom the request is about, by pseudonyms only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    pub kind: SubjectKind,
    /// Pseudonym of the customer's id, when the request gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// The orders that the request lists; absent for a whole shop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders: Option<Orders>,
}

/// How much of a shop a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SubjectKind {
    Customer,
    Shop,
}

/// The orders of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    /// How many are listed, each counted once.
    pub count: u64,
    /// Their pseudonyms, sorted, at most [`ORDERS_MAX`].
    pub pseudonyms: Vec<String>,
}

/// Pseudonyms of orders that one receipt names, at most.
pub const ORDERS_MAX: usize = 1_000;

/// The rules that were applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// Digest of the data map that was in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_map: Option<String>,
    /// Hash of what that map makes of this type of job: tables, actions and columns, without keys and counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Hash of the very plan, with its keys and counts, that an operator was shown and approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_plan: Option<String>,
}

/// What an erasure did, and how it was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Erasure {
    /// One entry for each table that the request reaches, those without a row included.
    pub tables: Vec<ErasedTable>,
    /// Stores in which an earlier attempt may have erased rows whose number was lost with it: what is counted there is
    /// what that attempt left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uncounted_stores: Vec<String>,
    /// Of a shop that came back: only rows made until then were erased, to the microsecond; later ones and the shop's own row
    /// stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_up_to: Option<String>,
    pub verification: Verification,
    pub residual_horizon: Vec<Copies>,
}

/// Rows of one table. `matched` is the sum of `deleted`, `masked`, `kept` and `alreadyAbsent`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErasedTable {
    /// The database, by its name in the configuration; `default` is the one of Efface's own tables.
    pub store: String,
    pub table: String,
    /// Rows of the subject that were found, over all attempts.
    pub matched: u64,
    pub deleted: u64,
    /// Rows whose personal columns were overwritten.
    pub masked: u64,
    /// Rows that stay, on the ground that `ground` tells.
    pub kept: u64,
    /// The legal ground, in the data map's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ground: Option<String>,
    /// Rows that were found first and gone when they were to be erased: somebody else took them.
    pub already_absent: u64,
    /// Rows that should be gone and were found by the verification. Always 0: a job with residue gets no receipt.
    pub residual: u64,
}

/// How it was made sure that the rows are gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    pub method: Method,
    #[serde(with = "instant")]
    pub verified_at: DateTime<Utc>,
}

/// Ways to verify an erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Method {
    /// The same subject was looked for again in every mapped table, in a fresh snapshot, after the deletes had committed.
    FreshSnapshotAfterCommit,
}

/// Copies that a committed delete does not reach, and when the last of them should be gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Copies {
    #[serde(rename = "in")]
    pub place: Place,
    pub days: u32,
    /// `days` after the job ended.
    #[serde(with = "instant")]
    pub until: DateTime<Utc>,
    pub stated_by: StatedBy,
}

/// Where copies stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Place {
    DeadRows,
    WriteAheadLog,
    Replicas,
    Backups,
    Broker,
}

/// Whose word a duration is. Efface measures none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StatedBy {
    /// The operator set it.
    Operator,
    /// Nobody has set it: it is Efface's default, which may be wrong.
    Default,
}

/// What was collected for a request for data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Export {
    pub tables: Vec<CollectedTable>,
    /// Digest of the package's manifest, when the package has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
}

/// Rows collected from one table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectedTable {
    pub store: String,
    pub table: String,
    pub collected: u64,
}

/// Something that forbade the job or a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// A code: `legal_hold`, `shop_reinstalled`, `payload_mismatch`, …; `other` for words of an operator.
    pub reason: String,
    /// The legal hold's id, when it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// What made the receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Software {
    pub name: String,
    pub version: String,
}

/// The key that the signer says it used. It proves nothing by itself: whoever forges a receipt encloses a key too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignedBy {
    /// `ed25519`.
    pub algorithm: String,
    /// The raw public key, in base64.
    pub public_key: String,
}

/// Instants as Efface writes them: RFC 3339, UTC, milliseconds, `Z`.
mod instant {
    use chrono::{DateTime, Utc};
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&crate::clock::rfc3339(*at))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let at = text.parse().ok().filter(|at| crate::clock::rfc3339(*at) == text);
        at.ok_or_else(|| D::Error::custom("an instant is not written as instants are"))
    }
}
