//! Signs receipts, in the transaction that ends a job.
//!
//! The caller tells what became of the job; [`Signer`] pseudonymises, writes the statement, makes sure that it would
//! verify, and signs it. The row goes to the table together with the job's new status, or not at all.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use ed25519_dalek::SigningKey;
use entity::gdpr_job::{JobType, Outcome};
use entity::source::Source;
use serde::Deserialize as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::dsse::{self, PAYLOAD_TYPE};
use super::horizon::Horizon;
use super::pseudonym::{Pseudonyms, ShopPseudonyms};
use super::public_key::PublicKey;
use super::statement::{
    self, CollectedTable, Digest, ErasedTable, Erasure, Export, Hold, Method, ORDERS_MAX, Orders, Policy, Receipt,
    Request, Resource, SignedBy, Software, Statement, Subject, SubjectKind, Verification,
};
use super::verify;
use crate::erasure::verify::Verified;
use crate::seal::Keyring;
use crate::store::deletion_receipt::{self, NewReceipt};
use crate::store::{Store, StoreError, id};
use crate::webhook::ExternalId;

/// The only algorithm.
pub const ALGORITHM: &str = "ed25519";

/// Signs receipts. Cheap to clone; `Debug` shows the key's id only.
#[derive(Clone)]
pub struct Signer {
    inner: Arc<Inner>,
}

struct Inner {
    key: SigningKey,
    public: PublicKey,
    pseudonyms: Pseudonyms,
    horizon: Horizon,
    keep: TimeDelta,
}

/// The duty that a receipt is about, as its job's row tells it.
#[derive(Clone, Copy, Debug)]
pub struct Duty<'a> {
    pub job_id: &'a str,
    pub job_type: JobType,
    pub topic: &'a str,
    pub provider: &'a str,
    pub source: Source,
    pub shop_domain: &'a str,
    pub shop_id: Option<&'a str>,
    pub webhook_id: &'a str,
    pub event_id: Option<&'a str>,
    /// The ids of the request; only their pseudonyms go on.
    pub payload: &'a Value,
    pub attempts: i32,
    pub received_at: DateTime<Utc>,
    pub due_at: DateTime<Utc>,
}

/// Rows of one table that an erasure reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableCounts {
    pub store: String,
    pub table: String,
    pub deleted: u64,
    pub masked: u64,
    pub kept: u64,
    /// The legal ground of what is kept.
    pub ground: Option<String>,
    /// Rows that were found first and gone when they were to be erased.
    pub already_absent: u64,
}

/// What became of a duty.
#[derive(Debug)]
pub enum Ending<'a> {
    /// It was carried out, and the verifier found nothing left. There is no other way to say so: a [`Verified`] is made
    /// by the verifier alone.
    ///
    /// ```compile_fail,E0451
    /// use efface::erasure::verify::Verified;
    /// let verified = Verified { at: chrono::Utc::now() };
    /// ```
    ///
    /// `uncounted_stores` are those in which an earlier attempt may have erased rows whose number was lost with it.
    /// `made_up_to`: only rows made until then were erased, because the shop came back.
    Erased {
        verified: &'a Verified,
        outcome: Outcome,
        tables: Vec<TableCounts>,
        uncounted_stores: Vec<String>,
        made_up_to: Option<DateTime<Utc>>,
    },
    /// The rows were collected; `manifest` is the digest of the package's manifest.
    Exported { outcome: Outcome, tables: Vec<CollectedTable>, manifest: Option<String> },
    /// It was withdrawn before anything was done.
    NotExecuted,
}

/// Why a receipt was not signed: then its job must not end.
#[derive(Debug, thiserror::Error)]
#[error("no receipt was signed for {job_id}: {reason}")]
pub struct NotSigned {
    job_id: String,
    reason: String,
}

impl From<NotSigned> for StoreError {
    fn from(error: NotSigned) -> Self {
        Self::Refused(error.to_string())
    }
}

impl Signer {
    /// Signs with the current key of `keyring`. Rows are kept for `keep_days`.
    pub fn new(keyring: &Keyring, horizon: Horizon, keep_days: u32) -> Self {
        let (_, seed) = keyring.signing_seed();
        let key = SigningKey::from_bytes(seed);
        let public = PublicKey::new(key.verifying_key());
        let (pseudonyms, keep) = (Pseudonyms::new(keyring), TimeDelta::days(keep_days.into()));
        Self { inner: Arc::new(Inner { key, public, pseudonyms, horizon, keep }) }
    }

    /// The key that verifies what this signer signs.
    pub fn public_key(&self) -> &PublicKey {
        &self.inner.public
    }

    /// Signs anything of ours: a DSSE envelope around the payload.
    pub fn seal(&self, payload_type: &str, payload: &[u8]) -> String {
        dsse::seal(&self.inner.key, self.inner.public.id(), payload_type, payload)
    }

    /// Signs the receipt of a duty that ends at `now`, to be stored in the transaction that ends it.
    ///
    /// # Errors
    /// [`NotSigned`] when what the caller tells does not fit together: what would not verify is not signed.
    pub fn sign(
        &self,
        duty: &Duty<'_>,
        ending: Ending<'_>,
        policy: Policy,
        holds: Vec<Hold>,
        now: DateTime<Utc>,
    ) -> Result<NewReceipt, NotSigned> {
        let not_signed = |reason: String| NotSigned { job_id: duty.job_id.to_owned(), reason };
        let statement = self.statement(duty, ending, policy, holds, now);
        verify::fits_together(&statement).map_err(not_signed)?;
        let payload = serde_json::to_vec(&statement).map_err(|_| not_signed("it cannot be written".to_owned()))?;
        let key_id = self.inner.public.id();
        Ok(NewReceipt {
            id: id::row(),
            job_id: duty.job_id.to_owned(),
            shop_domain: duty.shop_domain.to_owned(),
            job_type: duty.job_type,
            outcome: statement.predicate.outcome,
            envelope: dsse::seal(&self.inner.key, key_id, PAYLOAD_TYPE, &payload).into_bytes(),
            key_id: key_id.to_owned(),
            created_at: now,
            expires_at: now + self.inner.keep,
        })
    }

    fn statement(
        &self,
        duty: &Duty<'_>,
        ending: Ending<'_>,
        policy: Policy,
        holds: Vec<Hold>,
        now: DateTime<Utc>,
    ) -> Statement {
        let pseudonyms = self.inner.pseudonyms.of_shop(duty.shop_domain);
        let (outcome, erasure, export) = match ending {
            Ending::Erased { verified, outcome, tables, uncounted_stores, made_up_to } => {
                let method = Method::FreshSnapshotAfterCommit;
                let erasure = Erasure {
                    tables: tables.into_iter().map(erased).collect(),
                    uncounted_stores,
                    made_up_to: made_up_to.map(|at| at.to_rfc3339_opts(SecondsFormat::Micros, true)),
                    verification: Verification { method, verified_at: verified.at() },
                    residual_horizon: self.inner.horizon.of(now),
                };
                (outcome, Some(erasure), None)
            }
            Ending::Exported { outcome, tables, manifest } => (outcome, None, Some(Export { tables, manifest })),
            Ending::NotExecuted => (Outcome::NotExecuted, None, None),
        };
        Statement {
            kind: statement::STATEMENT_TYPE.to_owned(),
            subject: vec![Resource { name: duty.job_id.to_owned(), digest: digest(duty.job_id) }],
            predicate_type: statement::PREDICATE_TYPE.to_owned(),
            predicate: Receipt {
                request: request(duty, &pseudonyms),
                subject: subject(duty, &pseudonyms),
                outcome,
                attempts: u32::try_from(duty.attempts).unwrap_or_default(),
                ended_at: now,
                policy,
                erasure,
                export,
                holds,
                software: Software {
                    name: env!("CARGO_PKG_NAME").to_owned(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                },
                signed_by: SignedBy {
                    algorithm: ALGORITHM.to_owned(),
                    public_key: STANDARD.encode(self.inner.key.verifying_key().as_bytes()),
                },
            },
        }
    }
}

/// The envelope of a job's receipt, byte for byte as it was signed.
///
/// # Errors
/// When the database refuses or does not answer, or the row does not read back.
pub async fn find(store: &Store, job_id: &str) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(deletion_receipt::of_job(store.db(), job_id).await?.map(|receipt| receipt.envelope))
}

/// What in-toto's tools find the statement by.
pub(super) fn digest(job_id: &str) -> Digest {
    Digest { sha256: hex::encode(Sha256::digest(job_id)) }
}

fn request(duty: &Duty<'_>, pseudonyms: &ShopPseudonyms) -> Request {
    Request {
        job_id: duty.job_id.to_owned(),
        job_type: duty.job_type,
        topic: duty.topic.to_owned(),
        provider: duty.provider.to_owned(),
        source: duty.source,
        shop_domain: duty.shop_domain.to_owned(),
        shop_id: duty.shop_id.map(str::to_owned),
        webhook_id: pseudonyms.unless_made_by_machine("webhook", duty.webhook_id),
        event_id: duty.event_id.map(|id| pseudonyms.unless_made_by_machine("event", id)),
        received_at: duty.received_at,
        due_at: duty.due_at,
    }
}

fn subject(duty: &Duty<'_>, pseudonyms: &ShopPseudonyms) -> Subject {
    let orders = match duty.job_type {
        JobType::ShopRedact => return Subject { kind: SubjectKind::Shop, customer: None, orders: None },
        JobType::CustomerRedact => "orders_to_redact",
        JobType::DataRequest => "orders_requested",
    };
    let id = |value: &Value| ExternalId::deserialize(value).ok();
    let customer = duty.payload.get("customer_id").and_then(id);
    let listed = duty.payload.get(orders).and_then(Value::as_array).into_iter().flatten();
    // By their numbers: `1001` and `gid://shopify/Order/1001` are one order.
    let mut orders: Vec<String> = listed.filter_map(id).map(|order| pseudonyms.of("order", &order.plain())).collect();
    orders.sort_unstable();
    orders.dedup();
    let count = orders.len() as u64;
    orders.truncate(ORDERS_MAX);
    Subject {
        kind: SubjectKind::Customer,
        customer: customer.map(|customer| pseudonyms.of("customer", &customer.plain())),
        orders: Some(Orders { count, pseudonyms: orders }),
    }
}

fn erased(counts: TableCounts) -> ErasedTable {
    ErasedTable {
        matched: counts.deleted + counts.masked + counts.kept + counts.already_absent,
        store: counts.store,
        table: counts.table,
        deleted: counts.deleted,
        masked: counts.masked,
        kept: counts.kept,
        ground: counts.ground,
        already_absent: counts.already_absent,
        residual: 0,
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.inner.public.id())
    }
}

/// Two signers are the same when they sign with the same key.
impl PartialEq for Signer {
    fn eq(&self, other: &Self) -> bool {
        self.inner.public == other.inner.public
    }
}

impl Eq for Signer {}
