//! Much at once.

use super::source::{CONTENT_TOO_LARGE, HTTPS};
use super::{Basis, Check, Scene, Script, Severity};
use crate::cli::check::as_shopify::bodies;
use crate::cli::check::as_shopify::expect::Expect;
use crate::webhook::Topic;

/// Just under a mebibyte, which many servers take as their limit.
const LARGE_BYTES: usize = 1_000_000;
const BURST: u64 = 50;

pub static CHECKS: [Check; 2] = [
    Check {
        id: "large-body",
        severity: Severity::Advised,
        basis: Basis::Inferred,
        rule: "A body of a megabyte is confirmed, or refused as too large; it is not an error of the server.",
        source: CONTENT_TOO_LARGE,
        script: large,
    },
    Check {
        id: "burst",
        severity: Severity::Required,
        basis: Basis::Documented,
        rule: "Fifty webhooks at once are all confirmed in time, none with 429: what is not 2xx was not received.",
        source: HTTPS,
        script: burst,
    },
];

/// Spaces make the size: tens of thousands of orders would be written down somewhere.
fn large(scene: &Scene<'_>) -> anyhow::Result<Script> {
    let orders = |spaces: usize| " ".repeat(spaces) + bodies::ORDERS;
    let body = |spaces: usize| bodies::redact(&scene.shop, &bodies::customer(), &orders(spaces));
    let body = body(LARGE_BYTES.saturating_sub(body(0).len()));
    let letter = scene.letter(Topic::CustomersRedact, body)?.expecting(Expect::Answered);
    Ok(Script::OneByOne(vec![letter.saying("genuine, 1,000,000 bytes long")]))
}

fn burst(scene: &Scene<'_>) -> anyhow::Result<Script> {
    let topic = Topic::CustomersRedact;
    let letters = (0..BURST).map(|number| scene.letter(topic, bodies::of(topic, &scene.shop, number)?));
    Ok(Script::AtOnce(letters.collect::<anyhow::Result<_>>()?))
}
