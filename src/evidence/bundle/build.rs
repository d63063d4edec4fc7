//! Puts a bundle together. Pure: what is given makes the bytes, and the same gives the same bytes.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::container::{self, Files, WriteError};
use super::manifest::{self, Head, Manifest, Scope, Software};
use super::report::{self, Line};
use super::told::Told;
use super::{FORMAT, MANIFEST_TYPE, names, proof, tlog_proof};
use crate::clock::rfc3339;
use crate::evidence::checkpoint::SignedCheckpoint;
use crate::evidence::dsse::Envelope;
use crate::evidence::merkle::{self, Hash};
use crate::evidence::public_key::PublicKey;
use crate::evidence::receipt::Signer;
use crate::evidence::statement::Statement;

/// What a bundle is made of.
#[derive(Debug)]
pub struct Contents {
    pub scope: Scope,
    pub checkpoint: SignedCheckpoint,
    /// Entries below it may be pruned.
    pub minimum_index: u64,
    /// Entries whose places are below the checkpoint's size.
    pub events: Told,
    /// The hashes of [`proof::nodes`] of the events' places.
    pub proof: Vec<Hash>,
    /// Envelopes by job; none when they are left out.
    pub receipts: Option<BTreeMap<String, Vec<u8>>>,
    /// For each receipt whose job's end is among the events: that entry's place and its inclusion proof.
    pub inclusion: BTreeMap<String, (u64, Vec<Hash>)>,
    /// Keys that checkpoint, manifest and receipts are signed with.
    pub keys: Vec<PublicKey>,
    /// The data map in force. It goes in when a receipt names its digest.
    pub data_map: Option<String>,
    /// The size of an earlier checkpoint, and the proof that the log has grown from it.
    pub earlier: Option<(u64, Vec<Hash>)>,
}

/// Makes the bytes of a bundle, and signs its manifest.
///
/// # Errors
/// [`WriteError`] when it would be too large.
pub fn build(contents: Contents, signer: &Signer) -> Result<Vec<u8>, WriteError> {
    let receipts_left_out = contents.receipts.is_none();
    let receipts = contents.receipts.unwrap_or_default();
    if receipts.len() > super::JOBS_MAX {
        return Err(WriteError::TooMany);
    }
    let head = contents.checkpoint.checkpoint();
    let head = Head { origin: head.origin.clone(), size: head.size, root: STANDARD.encode(head.root) };
    let statements: BTreeMap<&String, Statement> =
        receipts.iter().filter_map(|(id, envelope)| Some((id, statement(envelope)?))).collect();
    let mut made: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let (events, withheld) = (contents.events.indices().len() as u64, contents.events.withheld);
    made.insert(names::PROOF.to_owned(), proof::to_text(&contents.proof).into_bytes());
    made.insert(names::CHECKPOINT.to_owned(), contents.checkpoint.note().as_bytes().to_vec());
    let mut keys: Vec<&PublicKey> = contents.keys.iter().collect();
    keys.sort_unstable_by_key(|key| key.id());
    keys.dedup();
    made.insert(names::KEYS.to_owned(), keys.iter().map(|key| key.to_pem()).collect::<String>().into_bytes());
    if let Some(map) = contents.data_map {
        let digest = hex::encode(Sha256::digest(map.as_bytes()));
        let applied = |statement: &Statement| statement.predicate.policy.data_map.as_ref() == Some(&digest);
        if statements.values().any(applied) {
            made.insert(names::DATA_MAP.to_owned(), map.into_bytes());
        }
    }
    if let Some((size, hashes)) = &contents.earlier {
        made.insert(names::CONSISTENCY.to_owned(), format!("old {size}\n{}", proof::to_text(hashes)).into_bytes());
    }
    let lines: Vec<Line> = statements
        .iter()
        .map(|(id, statement)| Line {
            job_id: (*id).clone(),
            outcome: statement.predicate.outcome.to_string(),
            ended_at: rfc3339(statement.predicate.ended_at),
        })
        .collect();
    let report = report::write(&contents.scope, &head, &contents.events, &lines);
    made.insert(names::REPORT.to_owned(), report.into_bytes());
    made.insert(names::EVENTS.to_owned(), contents.events.lines.into_bytes());
    for (id, envelope) in &receipts {
        made.insert(names::receipt(id), envelope.clone());
        if let Some((index, hashes)) = contents.inclusion.get(id) {
            let text = tlog_proof::write(*index, hashes, contents.checkpoint.note());
            made.insert(names::tlog_proof(id), text.into_bytes());
        }
    }
    let mut files: Files<'_> = made.iter().map(|(name, data)| (name.as_str(), data.as_slice())).collect();
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        software: Software { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
        scope: contents.scope,
        checkpoint: head,
        minimum_index: contents.minimum_index,
        events,
        withheld,
        receipts_left_out,
        files: manifest::files(&files),
    }
    .to_text();
    let signature = signer.seal(MANIFEST_TYPE, manifest.as_bytes());
    files.insert(names::MANIFEST, manifest.as_bytes());
    files.insert(names::SIGNATURE, signature.as_bytes());
    container::write(&files)
}

/// What a receipt of ours says; it was verified when it was signed.
fn statement(envelope: &[u8]) -> Option<Statement> {
    serde_json::from_slice(&Envelope::parse(envelope).ok()?.payload).ok()
}

/// The proofs that entries are in a tree in memory, for logs that are small and at hand.
pub fn inclusion_of(tree: &merkle::Tree, ends: &BTreeMap<String, u64>) -> BTreeMap<String, (u64, Vec<Hash>)> {
    let proven = |(id, index): (&String, &u64)| Some((id.clone(), (*index, tree.inclusion(*index, tree.size())?)));
    ends.iter().filter_map(proven).collect()
}
