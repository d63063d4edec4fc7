//! Our receipts under other people's code, from `PyPI`. `EFFACE_TEST_PYPI` names a folder with it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use efface::evidence::verify::verify;
use serde_json::{Value, json};

use super::payload;
use super::schema::SCHEMA;
use crate::docs::text;
use crate::house::{House, signer};

/// What the other verifier says to each envelope: null when it verifies.
fn ask(key: &str, envelopes: &[String]) -> Vec<Value> {
    let packages = std::env::var("EFFACE_TEST_PYPI")
        .expect("EFFACE_TEST_PYPI is not set: run ./scripts/test, which installs securesystemslib and others with pip");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pypi/verify-receipts.py");
    let mut python = Command::new("python3");
    python.arg(script).env("PYTHONPATH", packages).env("PYTHONDONTWRITEBYTECODE", "1");
    let mut python = python.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let schema: Value = serde_json::from_str(&text::read(SCHEMA)).unwrap();
    let asked = json!({ "key": key, "schema": schema, "envelopes": envelopes });
    python.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_implementation_verifies_our_receipts_and_agrees_on_altered_ones() {
    let house = House::sqlite().await;
    let receipts: Vec<String> =
        house.one_receipt_of_each_ending().await.into_iter().map(|bytes| String::from_utf8(bytes).unwrap()).collect();
    let mut altered = Vec::new();
    for receipt in &receipts {
        let envelope: Value = serde_json::from_str(receipt).unwrap();
        let signed = payload(receipt.as_bytes());
        // Every 16th byte of what is signed, and every 4th of the signature.
        for at in (0..signed.len()).step_by(16) {
            let mut signed = signed.clone();
            signed[at] ^= 1;
            altered.push({
                let mut envelope = envelope.clone();
                envelope["payload"] = STANDARD.encode(signed).into();
                envelope.to_string()
            });
        }
        let signature = STANDARD.decode(envelope["signatures"][0]["sig"].as_str().unwrap()).unwrap();
        for at in (0..signature.len()).step_by(4) {
            let mut signature = signature.clone();
            signature[at] ^= 0x10;
            altered.push({
                let mut envelope = envelope.clone();
                envelope["signatures"][0]["sig"] = STANDARD.encode(signature).into();
                envelope.to_string()
            });
        }
        altered.push(receipt.replace("vnd.in-toto+json", "vnd.in-toto+jsom"));
        altered.push(receipt.replace("[{\"keyid\"", "[],\"others\":[{\"keyid\""));
    }
    let asked: Vec<String> = receipts.iter().chain(&altered).cloned().collect();
    let key = house.key();
    let answers = ask(&key.to_pem(), &asked);
    assert_eq!(answers.len(), asked.len());
    for (envelope, answer) in asked.iter().zip(&answers) {
        let ours = verify(envelope.as_bytes(), std::slice::from_ref(&key));
        assert_eq!(ours.is_ok(), answer.is_null(), "ours: {:?}, theirs: {answer}\n{envelope}", ours.err());
    }
    assert!(answers[..receipts.len()].iter().all(Value::is_null));
    assert!(altered.len() > 500 && answers[receipts.len()..].iter().all(|answer| !answer.is_null()));
    println!("{} receipts and {} altered ones: both implementations agree", receipts.len(), altered.len());
    // And neither takes a stranger's key.
    let stranger = signer().public_key().to_pem();
    assert!(ask(&stranger, &receipts).iter().all(|answer| !answer.is_null()));
}
