//! Our bundles under other people's code: Python's zip reader, and securesystemslib and sigstore from `PyPI`.
//! `EFFACE_TEST_PYPI` names a folder with them.

use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use efface::evidence::bundle::container;
use efface::evidence::bundle::event::Event;
use efface::evidence::bundle::gather::Wishes;
use efface::evidence::leaf;
use serde_json::{Value, json};

use crate::house::House;

/// What the others say to each bundle: null when container, manifest, checkpoint and receipt proofs hold.
fn ask(key: &str, bundles: &[Vec<u8>], entries: &Value) -> Vec<Value> {
    let packages = std::env::var("EFFACE_TEST_PYPI")
        .expect("EFFACE_TEST_PYPI is not set: run ./scripts/test, which installs sigstore and others with pip");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pypi/verify-bundles.py");
    let mut python = Command::new("python3");
    python.arg(script).env("PYTHONPATH", packages).env("PYTHONDONTWRITEBYTECODE", "1");
    let mut python = python.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let bundles: Vec<String> = bundles.iter().map(|bundle| STANDARD.encode(bundle)).collect();
    let asked = json!({ "key": key, "bundles": bundles, "entries": entries });
    python.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_implementations_read_our_bundles_and_verify_manifest_checkpoint_and_proofs() {
    let house = House::sqlite().await;
    let (mut bundles, mut entries) = (Vec::new(), serde_json::Map::new());
    for id in house.jobs_with_a_past().await {
        let bundle = house.bundle(&id, &Wishes::default()).await;
        let text = std::str::from_utf8(container::read(&bundle).unwrap()["events.ndjson"]).unwrap().to_owned();
        for event in text.lines().map(|line| Event::parse(line).unwrap()) {
            entries.insert(event.index.to_string(), leaf::data(&event.fields).into());
        }
        bundles.push(bundle);
    }
    let (entries, key) = (Value::from(entries), house.key().to_pem());
    let answers = ask(&key, &bundles, &entries);
    assert!(bundles.len() >= 5 && answers.iter().all(Value::is_null), "{answers:?}");

    // A file altered and packed again: what is signed is not what is there.
    let mut altered = Vec::new();
    for name in ["manifest.json", "manifest.dsse.json", "checkpoint.txt", "events.ndjson", "report.html"] {
        let files = container::read(&bundles[0]).unwrap();
        let mut data = files[name].to_vec();
        let at = data.iter().position(u8::is_ascii_digit).unwrap();
        data[at] = if data[at] == b'1' { b'2' } else { b'1' };
        let mut files = files.clone();
        files.insert(name, &data);
        altered.push(container::write(&files).unwrap());
    }
    assert!(ask(&key, &altered, &entries).iter().all(|answer| !answer.is_null()));
    let stranger = crate::house::signer().public_key().to_pem();
    assert!(ask(&stranger, &bundles, &entries).iter().all(|answer| !answer.is_null()));
}
