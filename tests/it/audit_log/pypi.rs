//! Our checkpoints and proofs under other people's code, from `PyPI`. `EFFACE_TEST_PYPI` names a folder with it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use efface::evidence::leaf::{self, EntrySalt};
use efface::evidence::log::Filter;
use serde_json::{Value, json};

use crate::house::House;

/// What the other verifier says to each proof: null when it verifies.
fn ask(key: &str, proofs: &[Value]) -> Vec<Value> {
    let packages = std::env::var("EFFACE_TEST_PYPI")
        .expect("EFFACE_TEST_PYPI is not set: run ./scripts/test, which installs sigstore and others with pip");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pypi/verify-log.py");
    let mut python = Command::new("python3");
    python.arg(script).env("PYTHONPATH", packages).env("PYTHONDONTWRITEBYTECODE", "1");
    let mut python = python.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let asked = json!({ "key": key, "proofs": proofs });
    python.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_implementation_verifies_our_checkpoints_and_proofs_and_refuses_altered_ones() {
    let house = House::sqlite().await;
    let log = house.log();
    let mut proofs = Vec::new();
    for count in [1, 1, 5, 250, 44] {
        house.append(count).await;
        house.tend().await.unwrap();
        let signed = log.latest().await.unwrap().unwrap();
        let size = signed.checkpoint().size;
        for placed in log.entries(&Filter::default(), 0, size, 1_000).await.unwrap().iter().step_by(7) {
            let salt: [u8; 32] = placed.entry.salt.as_slice().try_into().unwrap();
            let hashes = log.inclusion(placed.index, size).await.unwrap();
            proofs.push(json!({
                "checkpoint": signed.note(),
                "entry": leaf::data(&leaf::fields(&placed.entry, &EntrySalt(salt))),
                "index": placed.index,
                "hashes": hashes.iter().map(hex::encode).collect::<Vec<_>>(),
            }));
        }
    }
    let key = log.keys()[0].to_pem();
    assert!(proofs.len() > 80 && ask(&key, &proofs).iter().all(Value::is_null));

    let last = proofs.last().unwrap().clone();
    let note = last["checkpoint"].as_str().unwrap();
    let mut altered = Vec::new();
    // Every character of the checkpoint's text in turn.
    for at in 0..note.find("\n\n").unwrap() {
        let mut bytes = note.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
        let mut other = last.clone();
        other["checkpoint"] = String::from_utf8(bytes).unwrap().into();
        altered.push(other);
    }
    for (field, value) in [("entry", json!("another")), ("index", json!(0)), ("hashes", json!([]))] {
        let mut other = last.clone();
        other[field] = value;
        altered.push(other);
    }
    assert!(ask(&key, &altered).iter().all(|answer| !answer.is_null()));
    let stranger = crate::house::signer().public_key().to_pem();
    assert!(ask(&stranger, &proofs).iter().all(|answer| !answer.is_null()));
    println!("{} proofs and {} altered ones: both implementations agree", proofs.len(), altered.len());
}
