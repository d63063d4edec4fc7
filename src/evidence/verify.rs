//! Checks a receipt offline: without a database, and trusting no key but those given from outside.
//!
//! The order is the one that DSSE asks for: decode, verify the signature over the bytes, and only then read what they
//! say. Whatever the receipt encloses, its own key included, is read as a claim until then.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use entity::gdpr_job::{JobType, Outcome};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::dsse::{Envelope, PAYLOAD_TYPE};
use super::public_key::PublicKey;
use super::receipt::{ALGORITHM, digest};
use super::statement::{
    Erasure, ORDERS_MAX, Orders, PREDICATE_TYPE, Receipt, Resource, STATEMENT_TYPE, Statement, SubjectKind,
};
use super::{horizon, strict_json};
use crate::webhook::Topic;

/// The largest receipt that is read, in bytes.
pub const RECEIPT_BYTES_MAX: usize = 1_048_576;

/// A receipt that verifies.
#[derive(Clone, Debug)]
pub struct Checked {
    pub statement: Statement,
    /// The key that signed it.
    pub key: PublicKey,
    /// Whether that key was given from outside. If not, it is the one that the receipt encloses, and anybody could have
    /// made the receipt.
    pub is_trusted: bool,
}

/// The part of a receipt that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its size.
    Size,
    /// The DSSE envelope.
    Envelope,
    /// The signature, or the key that made it.
    Signature,
    /// The in-toto statement.
    Statement,
    /// What the statement says.
    Receipt,
}

/// Why a receipt does not verify.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {reason}")]
pub struct Refused {
    pub part: Part,
    /// Without quoting the receipt.
    pub reason: String,
}

impl Part {
    /// The part's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Size => "Size",
            Self::Envelope => "Envelope",
            Self::Signature => "Signature",
            Self::Statement => "Statement",
            Self::Receipt => "Receipt",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Checks one receipt against keys given from outside; with none, against the key that it encloses.
///
/// # Errors
/// [`Refused`] names the first part that does not hold.
pub fn verify(file: &[u8], trusted: &[PublicKey]) -> Result<Checked, Refused> {
    let refuse = |part: Part| move |reason: String| Refused { part, reason };
    if file.len() > RECEIPT_BYTES_MAX {
        return Err(refuse(Part::Size)(format!("it is larger than {RECEIPT_BYTES_MAX} bytes")));
    }
    let envelope = Envelope::parse(file).map_err(refuse(Part::Envelope))?;
    if envelope.payload_type != PAYLOAD_TYPE {
        return Err(refuse(Part::Envelope)(format!("its payload is not of the type {PAYLOAD_TYPE}")));
    }
    let is_trusted = !trusted.is_empty();
    let keys = if is_trusted { trusted.to_vec() } else { vec![enclosed(&envelope).map_err(refuse(Part::Signature))?] };
    let signers = envelope.signers(&keys);
    let statement = statement(&envelope, !signers.is_empty(), is_trusted)?;
    fits_together(&statement).map_err(refuse(Part::Receipt))?;
    // The key that it encloses must have signed it too: a receipt does not speak for another signer.
    let named = key_of(&statement.predicate).map_err(refuse(Part::Receipt))?;
    let by_named = envelope.signers(std::slice::from_ref(&named));
    match (signers.first(), by_named.is_empty()) {
        (Some(key), false) => Ok(Checked { key: (*key).clone(), is_trusted, statement }),
        _ => Err(refuse(Part::Receipt)("the key that it encloses has not signed it".to_owned())),
    }
}

/// Reads what was signed, if it was.
fn statement(envelope: &Envelope, is_signed: bool, is_trusted: bool) -> Result<Statement, Refused> {
    let refuse = |part: Part| move |reason: String| Refused { part, reason };
    if !is_signed {
        let whose = if is_trusted { "any of the keys given" } else { "the key that it encloses" };
        return Err(refuse(Part::Signature)(format!("it is not signed by {whose}, or was altered since")));
    }
    let header: Header = strict_json::read(&envelope.payload).map_err(refuse(Part::Statement))?;
    if header.kind != STATEMENT_TYPE {
        return Err(refuse(Part::Statement)(format!("its type is not {STATEMENT_TYPE}")));
    }
    if header.predicate_type != PREDICATE_TYPE {
        return Err(refuse(Part::Statement)(format!("its predicate is not of the type {PREDICATE_TYPE}")));
    }
    let predicate: Receipt = strict_json::read(header.predicate.get().as_bytes()).map_err(refuse(Part::Receipt))?;
    Ok(Statement { kind: header.kind, subject: header.subject, predicate_type: header.predicate_type, predicate })
}

/// A statement whose predicate may be of any type.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Resource>,
    predicate_type: String,
    predicate: Box<RawValue>,
}

/// The key that a receipt encloses: nobody has vouched for it.
fn enclosed(envelope: &Envelope) -> Result<PublicKey, String> {
    let none = |_| "it encloses no key, and none was given".to_owned();
    let header: Header = strict_json::read(&envelope.payload).map_err(none)?;
    let predicate: Receipt = strict_json::read(header.predicate.get().as_bytes()).map_err(none)?;
    key_of(&predicate)
}

fn key_of(receipt: &Receipt) -> Result<PublicKey, String> {
    let bad = || "the key that it encloses is no Ed25519 key".to_owned();
    if receipt.signed_by.algorithm != ALGORITHM {
        return Err(bad());
    }
    let bytes = STANDARD.decode(&receipt.signed_by.public_key).map_err(|_| bad())?;
    PublicKey::from_bytes(&bytes.try_into().map_err(|_| bad())?).map_err(|_| bad())
}

/// Whether the parts of a statement fit together. The signer asks this too, of what it is about to sign.
pub(super) fn fits_together(statement: &Statement) -> Result<(), String> {
    let receipt = &statement.predicate;
    let job_id = &receipt.request.job_id;
    let [subject] = statement.subject.as_slice() else { return Err("it has not exactly one subject".to_owned()) };
    if subject.name != *job_id || subject.digest != digest(job_id) {
        return Err("its subject is not the job that it speaks of".to_owned());
    }
    request_fits(receipt)?;
    let is_export = receipt.request.job_type == JobType::DataRequest;
    match (receipt.outcome, &receipt.erasure, &receipt.export) {
        (Outcome::NotExecuted, None, None) => Ok(()),
        (Outcome::Exported | Outcome::NothingFound, None, Some(export)) if is_export => {
            let collected = export.tables.iter().any(|table| table.collected > 0);
            if collected == (receipt.outcome == Outcome::Exported) {
                Ok(())
            } else {
                Err("its outcome is not what its counts say".to_owned())
            }
        }
        (Outcome::Erased | Outcome::NothingFound | Outcome::Retained, Some(erasure), None) if !is_export => {
            erasure_fits(receipt, erasure)
        }
        _ => Err("its outcome does not fit what was asked for and done".to_owned()),
    }
}

/// Whether the request is of one kind throughout. Whatever a platform calls its topics, receipts have our names of them.
fn request_fits(receipt: &Receipt) -> Result<(), String> {
    let (request, subject) = (&receipt.request, &receipt.subject);
    let (topic, kind) = match request.job_type {
        JobType::DataRequest => (Topic::CustomersDataRequest, SubjectKind::Customer),
        JobType::CustomerRedact => (Topic::CustomersRedact, SubjectKind::Customer),
        JobType::ShopRedact => (Topic::ShopRedact, SubjectKind::Shop),
    };
    let names_nobody = subject.customer.is_none() && subject.orders.is_none();
    let why = if request.topic != topic.as_str() {
        "its topic is not that of such a job"
    } else if subject.kind != kind || (kind == SubjectKind::Shop && !names_nobody) {
        "it is not about whom such a job is about"
    } else if !subject.orders.as_ref().is_none_or(are_counted) {
        "the orders that it names are not as many as it says, or not in order"
    } else if request.due_at < request.received_at {
        "it was due before it was received"
    } else {
        return Ok(());
    };
    Err(why.to_owned())
}

/// Whether the pseudonyms are there, each once and in order: all of them, or as many as a receipt may name.
fn are_counted(orders: &Orders) -> bool {
    orders.pseudonyms.len() as u64 == orders.count.min(ORDERS_MAX as u64)
        && orders.pseudonyms.is_sorted_by(|one, next| one < next)
}

fn erasure_fits(receipt: &Receipt, erasure: &Erasure) -> Result<(), String> {
    let (mut changed, mut kept) = (false, false);
    for table in &erasure.tables {
        let parts = [table.deleted, table.masked, table.kept, table.already_absent];
        let sum = parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(*part));
        if sum != Some(table.matched) {
            return Err("the counts of a table do not add up".to_owned());
        }
        if table.residual > 0 {
            return Err("rows were found by the verification".to_owned());
        }
        if table.kept > 0 && table.ground.as_ref().is_none_or(|ground| ground.trim().is_empty()) {
            return Err("rows are kept without a legal ground".to_owned());
        }
        changed |= table.deleted > 0 || table.masked > 0;
        kept |= table.kept > 0;
    }
    let fits = match receipt.outcome {
        Outcome::NothingFound => !changed && !kept,
        Outcome::Retained => kept,
        _ => changed,
    };
    if !fits {
        return Err("its outcome is not what its counts say".to_owned());
    }
    if erasure.verification.verified_at > receipt.ended_at {
        return Err("it was verified after it ended".to_owned());
    }
    if erasure.residual_horizon.iter().any(|copies| copies.until != horizon::until(receipt.ended_at, copies.days)) {
        return Err("its residual horizon is not counted from its end".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
