//! How the kit is called, and what it prints.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::endpoint::{Endpoint, Received, Reply};
use super::{efface, play};
use crate::docs::text;
use crate::outside::webhook::SECRET;

/// Nobody listens there: these calls must end before anything is sent.
const NOWHERE: &str = "http://127.0.0.1:9/webhooks";

#[tokio::test]
async fn wrong_usage_ends_with_code_2() {
    for arguments in [
        &["--as-shopify", NOWHERE][..],
        &["--as-shopify", NOWHERE, "--secret", ""],
        &["--as-shopify", "app.example.com", "--secret", "x"],
        &["--as-shopify", "http://user:hunter2@127.0.0.1:9/", "--secret", "x"],
        &["--as-shopify", NOWHERE, "--secret", "x", "--only", "no-such-check"],
        &["--as-shopify", NOWHERE, "--secret", "x", "--timeout-ms", "0"],
        &["--as-shopify", NOWHERE, "--secret", "x", "--timeout-ms", "5001"],
        &["--as-shopify", NOWHERE, "--secret", "x", "--config", "efface.toml"],
        &["--as-shopify", NOWHERE, "--secret", "x", "--database-url", "sqlite::memory:"],
        &["--only", "forged-hmac"],
        &["--path-per-topic"],
    ] {
        let output = efface(&[&["check"], arguments].concat()).await;
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(output.stdout.is_empty() && !told.contains("hunter2"), "{arguments:?}: {told}");
    }
}

#[tokio::test]
async fn a_secret_in_the_environment_does_not_turn_a_plain_check_into_another() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_efface"));
    command.arg("check").env_clear().env("SHOPIFY_API_SECRET", SECRET).current_dir(folder.path());
    let output = command.output().await.unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("configuration  valid"), "{shown}{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_list_sends_nothing_and_needs_no_secret() {
    let output = efface(&["check", "--list", "--as-shopify", NOWHERE]).await;
    assert_eq!(output.status.code(), Some(0));
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.starts_with("CHECK") && shown.contains("forged-hmac") && shown.contains("https://shopify.dev/"));
    let one = efface(&["check", "--list", "--only", "burst,hex-hmac", "--json"]).await;
    let listed: Value = serde_json::from_slice(&one.stdout).unwrap();
    assert_eq!(
        (&listed[0]["id"], &listed[1]["id"], listed.as_array().unwrap().len()),
        (&"hex-hmac".into(), &"burst".into(), 2)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_at_the_address_fails_once_and_skips_the_rest() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/webhooks", listener.local_addr().unwrap());
    drop(listener);
    let findings = play(&address, &[]).await;
    findings.assert(&["valid-data-request"], &[]);
    assert_eq!(findings.with("skipped").len() + 1, findings.checks().len());
    let detail = findings.check("valid-data-request")["detail"].as_str().unwrap();
    assert!(detail.starts_with("no connection: ") && detail.contains("refused"), "{detail}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_says_what_failed_why_and_where_the_rule_comes_from() {
    let endpoint = Endpoint::open(|_| Reply::Status(200)).await;
    let arguments =
        ["check", "--as-shopify", &endpoint.url(), "--secret", SECRET, "--only", "valid-shop-redact,hex-hmac"];
    let output = efface(&arguments).await;
    assert_eq!(output.status.code(), Some(1));
    let shown = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with("RESULT  CHECK"), "{shown}");
    assert!(lines[1].starts_with("passed  valid-shop-redact  required") && lines[1].contains("https://"), "{shown}");
    assert!(lines[2].starts_with("failed  hex-hmac"), "{shown}");
    for told in [
        "failed hex-hmac: expected 401, came 200",
        "sent      POST customers/redact, signed in hexadecimal",
        "expected  401",
        "came      200",
        "1 passed, 1 failed, 0 advised, 0 noted, 0 skipped",
        "does not conform",
    ] {
        assert!(shown.contains(told), "{told} is not in\n{shown}");
    }
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.starts_with("[ 1/2] passed  valid-shop-redact") && told.contains("[ 2/2] failed  hex-hmac"), "{told}");
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_json_has_the_shape_that_the_document_shows() {
    let endpoint = Endpoint::open(Received::answered_well).await;
    let findings = play(&format!("{}?token=hunter2", endpoint.url()), &["--only", "valid-shop-redact"]).await;
    assert_eq!(findings.report["endpoint"], format!("{}?…", endpoint.url()), "a query may hold a token");
    let document = text::Document::read("docs/conformance.md");
    let sample = document.blocks.iter().find(|block| block.language == "json").expect("a sample");
    let sample: Value = serde_json::from_str(&sample.code).unwrap();
    let (check, came) = (&sample["checks"][0], &findings.report["checks"][0]);
    assert_eq!(keys(&findings.report), keys(&sample));
    assert_eq!(keys(&findings.report["counts"]), keys(&sample["counts"]));
    assert_eq!(keys(came), keys(check));
    assert_eq!(keys(&came["exchanges"][0]), keys(&check["exchanges"][0]));
}

#[tokio::test]
async fn the_document_lists_every_check_with_its_severity_and_source() {
    let output = efface(&["check", "--list", "--json"]).await;
    let listed: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let row = |check: &Value| {
        let text = |key: &str| check[key].as_str().unwrap();
        format!("| `{}` | {} | {} |", text("id"), text("severity"), text("basis"))
    };
    let expected: Vec<String> = listed.iter().map(row).collect();
    let document = text::read("docs/conformance.md");
    let rows: Vec<&str> = document.lines().filter(|line| line.starts_with("| `")).collect();
    let shown: Vec<String> =
        rows.iter().map(|row| row.split('|').take(4).collect::<Vec<_>>().join("|") + "|").collect();
    assert_eq!(shown, expected);
    for check in &listed {
        let (id, source) = (check["id"].as_str().unwrap(), check["source"].as_str().unwrap());
        let row = rows.iter().find(|row| row.contains(&format!("`{id}`"))).unwrap();
        assert!(row.contains(&format!("]({source})")), "{id}: {source} is not in {row}");
    }
}

/// The ids of shop, customer and orders in a body.
fn ids(body: &Value) -> Vec<u64> {
    let orders = [&body["orders_to_redact"], &body["orders_requested"]];
    let orders = orders.into_iter().filter_map(Value::as_array).flatten();
    let all = orders.chain([&body["shop_id"], &body["customer"]["id"]]).filter(|id| !id.is_null());
    all.map(|id| id.to_string().trim_matches(['"', '#']).parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_about_nobody() {
    let strange = Arc::new(Mutex::new(Vec::new()));
    let (seen, bodies) = (Arc::clone(&strange), Arc::new(AtomicUsize::new(0)));
    let read = Arc::clone(&bodies);
    let endpoint = Endpoint::open(move |received| {
        let text = String::from_utf8_lossy(&received.body).into_owned();
        let shop = received.shop();
        let mut is_nobody = shop.starts_with("efface-conformance-") && shop.ends_with(".myshopify.com");
        // Every address is of a name that cannot exist; every id is beyond those that Shopify gives.
        is_nobody &= text.matches('@').count() == text.matches("@efface-conformance.invalid").count();
        if let Some(body) = received.json() {
            is_nobody &= body["shop_domain"] == shop && ids(&body).iter().all(|id| *id > 9_007_199_254_000_000);
            read.fetch_add(1, Ordering::Relaxed);
        }
        if !is_nobody {
            seen.lock().unwrap().push(format!("{shop}: {text:.300}"));
        }
        received.answered_well()
    })
    .await;
    play(&endpoint.url(), &["--old-secret", "older"]).await;
    assert_eq!(*strange.lock().unwrap(), Vec::<String>::new());
    assert!(bodies.load(Ordering::Relaxed) > 90, "the bodies were not read");
}
