//! The demo's last step: the evidence of an erasure leaves the server, and is checked without it.

use std::slice;
use std::time::Duration;

use anyhow::bail;
use bytes::Bytes;
use serde::Serialize;
use tokio::time::Instant;

use super::super::verify::told;
use super::checks::Checks;
use super::house::House;
use super::post::Post;
use super::stage::Stage;
use crate::evidence::bundle::verify::{Checked, verify};

/// How long the log may take to sign what has just happened.
const PATIENCE: Duration = Duration::from_secs(30);
/// Each look is an export, and so an entry of the log.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// A bundle that was exported, and what became of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exported {
    pub job_id: String,
    pub bytes: usize,
    /// Whether it verified, with the key from outside and nothing else.
    pub verified: bool,
    pub events: u64,
    pub receipts: u64,
}

/// Exports the evidence of a job over the API, and verifies it as `efface verify` does: with the bytes and the public key.
///
/// # Errors
/// When the server hands out no bundle that holds the job's receipt.
pub async fn exported(
    post: &Post<'_>,
    house: &House,
    stage: &Stage,
    checks: &mut Checks,
    id: &str,
) -> anyhow::Result<Exported> {
    stage.scene(6, "Evidence: exported, and verified offline")?;
    let bundle = bundle_with_receipt(post, house, id).await?;
    stage.fact("customers/redact", &format!("a bundle of {} bytes; the public key; no server", bundle.len()))?;
    let keys = slice::from_ref(&house.key);
    let checked = verify(&bundle, keys, None);
    match &checked {
        Ok(checked) => stage.text(&told::bundle_passed(checked))?,
        Err(refused) => stage.text(&told::bundle_failed(refused))?,
    }
    checks.expect("the evidence verifies offline", true, checked.is_ok());
    checks.expect("it was verified with a key from outside", true, checked.as_ref().is_ok_and(|it| it.is_trusted));
    let mut altered = bundle.to_vec();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    checks.expect("evidence with one bit altered is refused", true, verify(&altered, keys, None).is_err());
    let told = |what: fn(&Checked) -> u64| checked.as_ref().map_or(0, what);
    Ok(Exported {
        job_id: id.to_owned(),
        bytes: bundle.len(),
        verified: checked.is_ok(),
        events: told(|it| it.manifest.events),
        receipts: told(|it| it.receipts),
    })
}

/// Asks until the log has signed the job's end, which it does within about two seconds. A bundle that does not verify is
/// shown as it is.
async fn bundle_with_receipt(post: &Post<'_>, house: &House, id: &str) -> anyhow::Result<Bytes> {
    let (until, keys) = (Instant::now() + PATIENCE, slice::from_ref(&house.key));
    loop {
        let (status, bundle) = post.fetch(&format!("/api/v1/jobs/{id}/evidence")).await?;
        if status == 200 && verify(&bundle, keys, None).map_or(true, |checked| checked.receipts > 0) {
            return Ok(bundle);
        }
        if Instant::now() > until {
            bail!("no evidence of job {id} within {} s (HTTP {status})", PATIENCE.as_secs());
        }
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    }
}
