//! `efface demo` as a newcomer runs it.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

/// The demo with a temporary folder of its own and the environment of a developer who has other plans.
fn demo(folder: &tempfile::TempDir, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_efface"));
    command.arg("demo").args(args).current_dir(folder.path()).env_clear().env("TMPDIR", folder.path());
    command.env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/app").env("AMQP_URL", "amqp://127.0.0.1:1");
    command.env("SHOPIFY_API_SECRET", "theirs").env("EFFACE__HTTP__LISTEN", "not an address");
    command
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn nothing_is_left(folder: &tempfile::TempDir) {
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the demo leaves nothing behind");
}

#[test]
fn the_demo_proves_the_whole_job_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(&folder, &["--exit"]).output().unwrap();
    let shown = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{shown}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    for told in ["customers/redact, duplicate", "401  refused: no job", "16 → 10", "residual 0 in 6 tables"] {
        assert!(shown.contains(told), "{told} is missing in\n{shown}");
    }
    let verified = shown.split_once("✓ Verification PASSED\n").expect("the evidence is verified").1;
    let parts: Vec<&str> = verified.lines().take(4).collect();
    assert!(parts[0].starts_with("  - Events: ") && parts[0].ends_with(" valid"), "{shown}");
    assert_eq!(parts[1..], ["  - Hash chain: OK", "  - Ledger consistency: OK", "  - Manifest: OK"], "{shown}");
    assert!(shown.lines().last().unwrap().starts_with("Proven by "), "{shown}");
    assert!(!shown.contains('\u{1b}'), "colour belongs on terminals only");
    // The name of the folder is as long as the test wants it; everything else fits.
    for line in shown.lines().filter(|line| !line.trim_start().starts_with("database")) {
        assert!(line.chars().count() <= 80, "wider than 80 columns: {line}");
    }
    nothing_is_left(&folder);
}

#[test]
fn the_demo_tells_programs_every_answer_count_and_check() {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(&folder, &["--exit", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["held"], true);
    let webhooks = told["webhooks"].as_array().unwrap();
    let answers: Vec<_> = webhooks.iter().map(|webhook| json!([webhook["topic"], webhook["status"]])).collect();
    assert_eq!(
        Value::from(answers),
        json!([
            ["customers/data_request", 200],
            ["customers/redact", 200],
            ["customers/redact", 200],
            ["shop/redact", 200],
            ["shop/redact", 401],
        ])
    );
    assert_eq!(webhooks[2]["duplicate"], true);
    assert_eq!(webhooks[2]["jobId"], webhooks[1]["jobId"]);
    let outcomes: Vec<_> = told["jobs"].as_array().unwrap().iter().map(|job| job["outcome"].clone()).collect();
    assert_eq!(Value::from(outcomes), json!(["exported", "erased", "erased"]));
    assert_eq!(told["jobs"][1]["result"]["deletedPixelReceipts"], 6);
    assert_eq!(told["jobs"][2]["result"]["deletedShops"], 1);
    let three = |row: &&Value| row["shop"] == "demo-three.myshopify.com";
    assert!(told["rows"].as_array().unwrap().iter().filter(three).all(|row| row["before"] == row["after"]));
    let checks = told["checks"].as_array().unwrap();
    let evidence = &told["evidence"];
    assert_eq!((&evidence["jobId"], &evidence["verified"]), (&told["jobs"][1]["id"], &json!(true)));
    assert!(evidence["events"].as_u64().unwrap() >= 2 && evidence["receipts"] == 1, "{evidence}");
    for step in ["the evidence verifies offline", "evidence with one bit altered is refused"] {
        assert!(checks.iter().any(|check| check["step"] == step), "{step} is not checked");
    }
    assert!(checks.len() > 30 && checks.iter().all(|check| check["held"] == true));
    nothing_is_left(&folder);
}

#[test]
fn the_demo_stays_up_until_it_is_asked_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = demo(&folder, &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines.by_ref().map(Result::unwrap).find(|line| line.contains("/metrics")).unwrap();
    let address = url.trim().strip_prefix("curl ").unwrap().strip_suffix("/metrics").unwrap();
    let healthy = Command::new(env!("CARGO_BIN_EXE_efface")).args(["healthcheck", "--address", address]).output();
    assert_eq!(healthy.unwrap().status.code(), Some(0), "the server is still up");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    nothing_is_left(&folder);
}

#[test]
fn a_port_that_is_taken_is_told_and_ends_with_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = demo(&folder, &["--exit", "--port", &port]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{told}");
    nothing_is_left(&folder);
}

#[test]
fn the_demo_refuses_to_be_led_to_another_database() {
    let folder = tempfile::tempdir().unwrap();
    for flag in [["--database-url", "sqlite://app.db"], ["--config", "efface.toml"]] {
        let output = demo(&folder, &flag).arg("--exit").output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(flag[0]));
    }
    nothing_is_left(&folder);
}
