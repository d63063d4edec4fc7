//! Evidence bundles: what an auditor gets to check without us. A zip of entries, proofs, receipts and a signed manifest.
//!
//! `docs/evidence-format.md` tells the format to whoever writes another verifier.

pub mod build;
pub mod container;
pub mod event;
pub mod gather;
mod ledger;
pub mod manifest;
pub mod proof;
mod report;
pub mod tlog_proof;
pub mod told;
pub mod verify;
pub mod withhold;

/// The name of the format.
pub const FORMAT: &str = "efface-evidence/v1";
/// The type under which the manifest is signed.
pub const MANIFEST_TYPE: &str = "application/vnd.efface.evidence-manifest+json";
/// Jobs of one bundle at most.
pub const JOBS_MAX: usize = 10_000;

/// The names of the files in a bundle.
pub mod names {
    /// The signed head of the log.
    pub const CHECKPOINT: &str = "checkpoint.txt";
    /// The proof that an earlier head is a beginning of this one.
    pub const CONSISTENCY: &str = "consistency.txt";
    /// The entries, one a line.
    pub const EVENTS: &str = "events.ndjson";
    /// The public keys.
    pub const KEYS: &str = "keys.pem";
    /// What the bundle holds.
    pub const MANIFEST: &str = "manifest.json";
    /// The same, signed.
    pub const SIGNATURE: &str = "manifest.dsse.json";
    /// The data map that was applied.
    pub const DATA_MAP: &str = "policy/data-map.toml";
    /// The hashes that lead from the entries to the root.
    pub const PROOF: &str = "proof.txt";
    /// For people.
    pub const REPORT: &str = "report.html";
    /// What the name of a receipt, and of its proof, begins with.
    pub const RECEIPTS: &str = "receipts/";
    /// What the name of a receipt ends with.
    pub const RECEIPT_END: &str = ".json";
    /// What the name of a receipt's proof ends with.
    pub const PROOF_END: &str = ".tlog-proof";

    /// The file of a job's receipt.
    pub fn receipt(job_id: &str) -> String {
        format!("{RECEIPTS}{job_id}{RECEIPT_END}")
    }

    /// The file of the proof of a job's last entry.
    pub fn tlog_proof(job_id: &str) -> String {
        format!("{RECEIPTS}{job_id}{PROOF_END}")
    }

    /// Whether a job's id can be part of a name.
    pub fn is_id(id: &str) -> bool {
        (1..=64).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    }

    /// Whether a bundle may have a file of that name.
    pub fn is_known(name: &str) -> bool {
        let of_job =
            |rest: &str| rest.strip_suffix(RECEIPT_END).or_else(|| rest.strip_suffix(PROOF_END)).is_some_and(is_id);
        [CHECKPOINT, CONSISTENCY, EVENTS, KEYS, MANIFEST, SIGNATURE, DATA_MAP, PROOF, REPORT].contains(&name)
            || name.strip_prefix(RECEIPTS).is_some_and(of_job)
    }
}
