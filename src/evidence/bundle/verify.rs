//! Checks a bundle offline: without a database, and trusting no key but those given from outside.
//!
//! The order is fixed, so that two verifiers name the same part: container, manifest, checkpoint, events, hash chain,
//! receipts, ledger, earlier checkpoint. Nothing is believed before the parts before it hold.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::container::{self, Files};
use super::event::Event;
use super::ledger::{Enclosed, Ledger};
use super::manifest::{self, Manifest, Scope};
use super::{MANIFEST_TYPE, names, proof, tlog_proof};
use crate::clock::rfc3339;
use crate::evidence::checkpoint::SignedCheckpoint;
use crate::evidence::dsse::Envelope;
use crate::evidence::leaf;
use crate::evidence::merkle::{self, Hash};
use crate::evidence::public_key::PublicKey;
use crate::evidence::statement::Receipt;
use crate::evidence::verify;

/// A bundle that verifies.
#[derive(Clone, Debug)]
pub struct Checked {
    pub manifest: Manifest,
    /// The key that signed the manifest.
    pub key: PublicKey,
    /// Whether the keys were given from outside. If not, anybody could have made the bundle.
    pub is_trusted: bool,
    pub receipts: u64,
}

/// The part of a bundle that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Container,
    Manifest,
    Checkpoint,
    Events,
    HashChain,
    Receipts,
    Ledger,
    EarlierCheckpoint,
}

/// Why a bundle does not verify.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {reason}")]
pub struct Refused {
    pub part: Part,
    /// Without quoting the bundle.
    pub reason: String,
}

impl Part {
    /// The part's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Container => "Container",
            Self::Manifest => "Manifest",
            Self::Checkpoint => "Checkpoint",
            Self::Events => "Events",
            Self::HashChain => "Hash chain",
            Self::Receipts => "Receipts",
            Self::Ledger => "Ledger consistency",
            Self::EarlierCheckpoint => "Earlier checkpoint",
        }
    }

    fn refuse(self, reason: impl Into<String>) -> Refused {
        Refused { part: self, reason: reason.into() }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is said of a file of more than [`container::BYTES_MAX`] bytes, without reading it.
pub fn too_large() -> Refused {
    Part::Container.refuse(container::TOO_LARGE)
}

/// Checks a bundle against keys given from outside; with none, against those that it encloses. With the note of an
/// `earlier` checkpoint, the log must have grown from it.
///
/// # Errors
/// [`Refused`] names the first part that does not hold.
pub fn verify(bundle: &[u8], trusted: &[PublicKey], earlier: Option<&[u8]>) -> Result<Checked, Refused> {
    let files = container::read(bundle).map_err(|why| Part::Container.refuse(why))?;
    let file = |name: &str| files.get(name).copied().ok_or_else(|| Part::Container.refuse(format!("it lacks {name}")));
    for name in
        [names::CHECKPOINT, names::EVENTS, names::KEYS, names::MANIFEST, names::SIGNATURE, names::PROOF, names::REPORT]
    {
        file(name)?;
    }
    let is_trusted = !trusted.is_empty();
    let keys = if is_trusted { trusted.to_vec() } else { enclosed(file(names::KEYS)?)? };
    let (manifest, key) = manifest(&files, &keys)?;
    let checkpoint = checkpoint(file(names::CHECKPOINT)?, &keys, &manifest)?;
    let mut ledger = Ledger::new();
    let (leaves, problem) = events(file(names::EVENTS)?, &manifest, &mut ledger)?;
    hash_chain(&files, &leaves, &checkpoint)?;
    let receipts = receipts(&files, &keys, &manifest)?;
    problem.map_or(Ok(()), |why| Err(Part::Ledger.refuse(why)))?;
    let enclosed = (!manifest.receipts_left_out).then_some(&receipts);
    ledger.check(manifest.may_begin_late(), enclosed).map_err(|why| Part::Ledger.refuse(why))?;
    if let Some(earlier) = earlier {
        grown(earlier, &files, &keys, &checkpoint)?;
    }
    Ok(Checked { manifest, key, is_trusted, receipts: receipts.len() as u64 })
}

fn enclosed(pem: &[u8]) -> Result<Vec<PublicKey>, Refused> {
    let pem = std::str::from_utf8(pem).map_err(|_| Part::Manifest.refuse("the enclosed keys are not text"))?;
    PublicKey::read_all(pem).map_err(|why| Part::Manifest.refuse(format!("the enclosed keys: {why}")))
}

fn manifest(files: &Files<'_>, keys: &[PublicKey]) -> Result<(Manifest, PublicKey), Refused> {
    let refuse = |why: &str| Part::Manifest.refuse(why);
    let (text, signature) = (files[names::MANIFEST], files[names::SIGNATURE]);
    let manifest = Manifest::parse(text).map_err(refuse)?;
    if manifest.files != manifest::files(files) {
        return Err(refuse("a file is not the one that it lists, or is not listed, or is missing"));
    }
    let envelope = Envelope::parse(signature).map_err(|why| Part::Manifest.refuse(format!("its signature: {why}")))?;
    if envelope.payload_type != MANIFEST_TYPE || envelope.payload != text {
        return Err(refuse("what was signed is not this manifest"));
    }
    let signers = envelope.signers(keys);
    let key = signers.first().ok_or_else(|| refuse("it is not signed by any of the keys"))?;
    Ok((manifest, (*key).clone()))
}

fn checkpoint(note: &[u8], keys: &[PublicKey], manifest: &Manifest) -> Result<SignedCheckpoint, Refused> {
    let signed = SignedCheckpoint::parse(note).map_err(|why| Part::Checkpoint.refuse(why.to_string()))?;
    if signed.signer(keys).is_none() {
        return Err(Part::Checkpoint.refuse("it is not signed by any of the keys"));
    }
    let (head, listed) = (signed.checkpoint(), &manifest.checkpoint);
    if head.origin != listed.origin || head.size != listed.size || STANDARD.encode(head.root) != listed.root {
        return Err(Part::Checkpoint.refuse("it is not the one that the manifest names"));
    }
    Ok(signed)
}

type Leaves = Vec<(u64, Hash)>;

/// Reads the entries; what is wrong with the life that they tell is not yet an error.
fn events(text: &[u8], manifest: &Manifest, ledger: &mut Ledger) -> Result<(Leaves, Option<String>), Refused> {
    let refuse = |line: usize, why: &str| Part::Events.refuse(format!("line {line}: {why}"));
    let text = std::str::from_utf8(text).map_err(|_| Part::Events.refuse("they are not text"))?;
    let text = match text.strip_suffix('\n') {
        Some(text) => Some(text),
        None if text.is_empty() => None,
        None => return Err(Part::Events.refuse("the last line does not end")),
    };
    let (mut leaves, mut withheld, mut problem) = (Leaves::new(), 0, None);
    for (at, line) in text.into_iter().flat_map(|text| text.split('\n')).enumerate() {
        let event = Event::parse(line).map_err(|why| refuse(at + 1, why))?;
        if leaves.last().is_some_and(|(last, _)| *last >= event.index) {
            return Err(refuse(at + 1, "its index does not follow the one before"));
        }
        if event.index >= manifest.checkpoint.size || event.index < manifest.minimum_index {
            return Err(refuse(at + 1, "its index is outside of what the bundle can hold"));
        }
        if !in_scope(&event, manifest) {
            return Err(refuse(at + 1, "it is outside of the bundle's scope"));
        }
        withheld += event.withheld() as u64;
        leaves.push((event.index, leaf::hash(&event.fields)));
        if let Err(why) = ledger.take(&event) {
            problem = problem.or(Some(why));
        }
    }
    if leaves.len() as u64 != manifest.events || withheld != manifest.withheld {
        return Err(Part::Events.refuse("they are not as many as the manifest says"));
    }
    Ok((leaves, problem))
}

fn in_scope(event: &Event, manifest: &Manifest) -> bool {
    let scope = &manifest.scope;
    if let Some(job) = &scope.job {
        return event.is_of_job() && event.text("resourceId") == Some(job);
    }
    let (shop, at) = (event.value("shopDomain"), event.text("createdAt").unwrap_or_default());
    shop.is_none_or(|shop| shop.as_str() == scope.shop.as_deref()) && within(scope, at)
}

fn hash_chain(files: &Files<'_>, leaves: &Leaves, signed: &SignedCheckpoint) -> Result<(), Refused> {
    let refuse = |why: &str| Part::HashChain.refuse(why);
    let head = signed.checkpoint();
    let hashes = proof::from_text(files[names::PROOF]).ok_or_else(|| refuse("the proof is not of its form"))?;
    match proof::root(leaves, head.size, &hashes) {
        None => return Err(refuse("the proof has not the length that it must have")),
        Some(root) if root != head.root => return Err(refuse("entries and proof do not lead to the signed root")),
        Some(_) => {}
    }
    for (name, text) in files.iter().filter(|(name, _)| name.ends_with(names::PROOF_END)) {
        let text = std::str::from_utf8(text).ok().and_then(tlog_proof::read);
        let (index, hashes, note) = text.ok_or_else(|| refuse("the proof of a receipt is not of its form"))?;
        let at = leaves.binary_search_by_key(&index, |(index, _)| *index);
        let leaf = at.ok().map(|at| leaves[at].1).ok_or_else(|| refuse("the proof of a receipt is of no entry"))?;
        if note != signed.note() {
            return Err(refuse("the proof of a receipt is under another checkpoint"));
        }
        merkle::verify_inclusion(&leaf, index, head.size, &hashes, &head.root)
            .map_err(|why| refuse(&why.to_string()))?;
        if !files.contains_key(name.replace(names::PROOF_END, names::RECEIPT_END).as_str()) {
            return Err(refuse("the proof of a receipt is there without the receipt"));
        }
    }
    Ok(())
}

fn receipts<'a>(
    files: &Files<'a>,
    keys: &[PublicKey],
    manifest: &Manifest,
) -> Result<BTreeMap<String, Enclosed<'a>>, Refused> {
    let mut receipts = BTreeMap::new();
    for (name, envelope) in files {
        let id = name.strip_prefix(names::RECEIPTS).and_then(|name| name.strip_suffix(names::RECEIPT_END));
        let Some(id) = id else { continue };
        let checked = verify::verify(envelope, keys)
            .map_err(|why| Part::Receipts.refuse(format!("{name}: {}: {}", why.part, why.reason)))?;
        if checked.statement.predicate.request.job_id != id {
            return Err(Part::Receipts.refuse(format!("{name}: it is the receipt of another job")));
        }
        if !receipt_in_scope(&checked.statement.predicate, manifest) {
            return Err(Part::Receipts.refuse(format!("{name}: it is outside of the bundle's scope")));
        }
        receipts.insert(id.to_owned(), Enclosed { receipt: checked.statement.predicate, envelope });
    }
    if manifest.receipts_left_out && !receipts.is_empty() {
        return Err(Part::Receipts.refuse("they are there, and said to be left out"));
    }
    Ok(receipts)
}

/// Of a job whose end is pruned there is no entry that would tell it.
fn receipt_in_scope(receipt: &Receipt, manifest: &Manifest) -> bool {
    let scope = &manifest.scope;
    if let Some(job) = &scope.job {
        return receipt.request.job_id == *job;
    }
    scope.shop.as_ref() == Some(&receipt.request.shop_domain) && within(scope, &rfc3339(receipt.ended_at))
}

/// Whether an instant is one of the scope's.
fn within(scope: &Scope, at: &str) -> bool {
    scope.from.as_deref().is_none_or(|from| from <= at) && scope.to.as_deref().is_none_or(|to| at < to)
}

/// Whether the log has grown from an earlier checkpoint to this one.
fn grown(earlier: &[u8], files: &Files<'_>, keys: &[PublicKey], now: &SignedCheckpoint) -> Result<(), Refused> {
    let refuse = |why: String| Part::EarlierCheckpoint.refuse(why);
    let before = SignedCheckpoint::parse(earlier).map_err(|why| refuse(why.to_string()))?;
    if before.signer(keys).is_none() {
        return Err(refuse("it is not signed by any of the keys".to_owned()));
    }
    let (before, now) = (before.checkpoint(), now.checkpoint());
    if before.origin != now.origin {
        return Err(refuse("it is of another log".to_owned()));
    }
    let hashes = if before.size == now.size || before.size == 0 {
        Vec::new()
    } else {
        let text = files.get(names::CONSISTENCY).and_then(|text| std::str::from_utf8(text).ok());
        let (head, hashes) = text
            .and_then(|text| text.split_once('\n'))
            .ok_or_else(|| refuse("the bundle holds no proof that the log has grown from it".to_owned()))?;
        if head != format!("old {}", before.size) {
            return Err(refuse("the bundle holds a proof for another earlier checkpoint".to_owned()));
        }
        proof::from_text(hashes.as_bytes()).ok_or_else(|| refuse("the proof is not of its form".to_owned()))?
    };
    merkle::verify_consistency(before.size, &before.root, now.size, &now.root, &hashes)
        .map_err(|why| refuse(why.to_string()))
}
