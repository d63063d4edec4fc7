//! What an erasure deletes, what it leaves alone, and what it says about it.

mod any_schema;
mod customers;
mod exports;
mod large_shops;
mod residue;
mod shops;
mod triggers;

use entity::gdpr_job::Model;

/// The names of a result's figures, sorted.
fn keys(job: &Model) -> Vec<String> {
    let mut keys: Vec<String> = job.result.as_ref().unwrap().as_object().unwrap().keys().cloned().collect();
    keys.sort_unstable();
    keys
}

/// One figure of a result.
fn figure(job: &Model, key: &str) -> u64 {
    job.result.as_ref().unwrap()[key].as_u64().unwrap_or_else(|| panic!("no figure {key} in {:?}", job.result))
}
