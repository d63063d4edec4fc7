//! An endpoint that somebody else wrote: Shopify's own client library, from npm.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::play;
use crate::outside::webhook::SECRET;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_built_on_shopifys_library_conforms_and_gets_advice() {
    let packages = std::env::var("EFFACE_TEST_SHOPIFY_API")
        .expect("EFFACE_TEST_SHOPIFY_API is not set: run ./scripts/test, which installs @shopify/shopify-api with npm");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/npm/webhook-endpoint.mjs");
    let mut node = Command::new("node");
    node.args([script, &packages, SECRET]).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut node = node.spawn().expect("node starts");
    let url = BufReader::new(node.stdout.take().unwrap()).lines().next_line().await.unwrap().expect("it listens");
    // The library calls a signature that is missing a bad request, and its template parses without looking.
    play(&url, &[]).await.assert(&[], &["missing-hmac", "empty-hmac", "not-json"]);
}
