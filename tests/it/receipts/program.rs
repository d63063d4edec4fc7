//! Receipts as the built program hands them out and verifies them.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use efface::evidence::receipt::Ending;
use efface::evidence::statement::Policy;
use efface::evidence::verify::verify;
use entity::source::Source;
use sea_orm::{ConnectionTrait as _, Database, DbBackend, Statement};
use serde_json::{Value, json};

use super::duty;
use crate::outside::http::Client;
use crate::outside::program::{Plan, Program};
use crate::outside::wait_for;
use crate::outside::webhook::{Webhook, customer_redact};

const SHOP: &str = "snowdevil.myshopify.com";

fn plan(folder: &Path) -> Plan {
    let database = format!("sqlite://{}?mode=rwc", folder.join("efface.db").display());
    Plan::new(folder, "efface", "all").with("DATABASE__URL", database)
}

/// The program with a configuration.
fn efface(plan: &Plan, args: &[&str]) -> Output {
    let config = plan.config.iter().map(|(key, value)| (format!("EFFACE__{key}"), value));
    Command::new(env!("CARGO_BIN_EXE_efface"))
        .args(args)
        .current_dir(&plan.folder)
        .env_clear()
        .envs(config)
        .output()
        .unwrap()
}

/// The program as somebody has it who knows nothing of the installation.
fn elsewhere(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_efface")).args(args).current_dir(folder).env_clear().output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_is_handed_out_as_it_was_signed_and_verified_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path());
    let program = Program::start(&plan).await;
    let mut client = Client::new(program.address());
    let body = customer_redact(SHOP, 191_167, &[299_938]);
    let id = client.send(&Webhook::new("customers/redact", "1", &body)).await.unwrap().json()["jobId"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/api/v1/jobs/{id}/receipt");
    let answer = wait_for("the receipt is there", Duration::from_secs(30), async || {
        let answer = client.get(&path).await;
        (answer.code == 200).then_some(answer)
    })
    .await;
    assert_eq!(answer.header("content-type"), Some("application/json"));

    let written = efface(&plan, &["jobs", "receipt", &id, "--output", "receipt.json"]);
    assert_eq!(written.status.code(), Some(0), "{}", text(&written.stderr));
    assert_eq!(std::fs::read(folder.path().join("receipt.json")).unwrap(), answer.body);
    let printed = efface(&plan, &["jobs", "receipt", &id]);
    assert_eq!(printed.stdout.trim_ascii_end(), answer.body);
    let shown = efface(&plan, &["keys", "show"]);
    assert_eq!(shown.status.code(), Some(0), "{}", text(&shown.stderr));
    let desk = tempfile::tempdir().unwrap();
    std::fs::write(desk.path().join("efface.pub"), &shown.stdout).unwrap();
    std::fs::write(desk.path().join("receipt.json"), &answer.body).unwrap();

    let verified = elsewhere(desk.path(), &["verify", "receipt.json", "--key", "efface.pub"]);
    assert_eq!((verified.status.code(), text(&verified.stderr)), (Some(0), ""));
    let told = text(&verified.stdout);
    assert!(told.starts_with("✓ Verification PASSED\n  - Signature: OK, key "), "{told}");
    for part in [
        id.as_str(),
        "customers/redact of shop snowdevil",
        "outcome   nothing_found",
        "a default that nobody has confirmed",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let json: Value = serde_json::from_slice(
        &elsewhere(desk.path(), &["verify", "receipt.json", "--key", "efface.pub", "--json"]).stdout,
    )
    .unwrap();
    assert_eq!((&json["verified"], &json["keyFromOutside"]), (&json!(true), &json!(true)));
    assert_eq!(json["statement"]["predicate"]["request"]["jobId"], id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_without_a_receipt_and_no_job_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path());
    let program = Program::start(&plan).await;
    let mut client = Client::new(program.address());
    // Its body is not one of a whole shop: it is held.
    let webhook = Webhook::new("shop/redact", "1", &customer_redact(SHOP, 1, &[1]));
    let id = client.send(&webhook).await.unwrap().json()["jobId"].as_str().unwrap().to_owned();
    for (id, problem) in [(id.as_str(), "no-receipt"), ("gdpr_0", "job-not-found"), ("a%20b", "job-not-found")] {
        let answer = client.get(&format!("/api/v1/jobs/{id}/receipt")).await;
        assert_eq!((answer.code, answer.json()["type"].clone()), (404, json!(format!("urn:efface:problem:{problem}"))));
    }
    let none = efface(&plan, &["jobs", "receipt", &id]);
    assert_eq!((none.status.code(), text(&none.stdout)), (Some(1), ""));
    assert!(text(&none.stderr).contains("has no receipt yet"));
    let cancelled = efface(&plan, &["jobs", "cancel", &id, "--reason", "not ours", "--yes"]);
    assert_eq!(cancelled.status.code(), Some(0), "{}", text(&cancelled.stderr));
    let answer = client.get(&format!("/api/v1/jobs/{id}/receipt")).await;
    let told = efface(&plan, &["keys", "show", "--json"]);
    let key: Value = serde_json::from_slice(&told.stdout).unwrap();
    let key = efface::evidence::public_key::PublicKey::read_all(key["publicKey"].as_str().unwrap()).unwrap();
    let receipt = verify(&answer.body, &key).unwrap().statement.predicate;
    assert_eq!(receipt.outcome.as_str(), "not_executed");
}

#[test]
fn what_does_not_verify_ends_with_code_3_and_names_the_part() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    let (signer, other) = (crate::house::signer(), crate::house::signer());
    let at = efface::clock::Clock::system().now();
    let duty = duty(Source::Http, "evil\u{1b}[2Jshop", at);
    let receipt = signer.sign(&duty, Ending::NotExecuted, Policy::default(), Vec::new(), at).unwrap();
    let envelope = String::from_utf8(receipt.envelope).unwrap();
    write("key", signer.public_key().to_pem().as_bytes());
    write("other", other.public_key().to_pem().as_bytes());
    write("both", format!("{}{}", other.public_key().to_pem(), signer.public_key().to_pem()).as_bytes());
    write("no-key", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
    write("good", envelope.as_bytes());
    write("good.zip", envelope.as_bytes());
    write("altered", envelope.replacen("eyJ", "eyK", 1).as_bytes());
    write("retyped", envelope.replace("in-toto+json", "in-toto+xml").as_bytes());
    write("cut", &envelope.as_bytes()[..200]);
    write("huge", &vec![b'1'; 2 << 20]);
    write("zip", b"PK\x03\x04");
    for (args, code, told) in [
        (&["good", "--key", "key"][..], 0, "✓ Verification PASSED\n"),
        (&["good.zip", "--key", "key"], 0, "✓ Verification PASSED\n"),
        (&["good", "--key", "both"], 0, "✓ Verification PASSED\n"),
        (&["good"], 0, "✓ Verification PASSED, with no key from outside\n"),
        (&["good", "--key", "other"], 3, "  - Signature: it is not signed by any of the keys given"),
        (&["altered", "--key", "key"], 3, "  - Signature: it is not signed"),
        (&["altered"], 3, "✗ Verification FAILED\n"),
        (&["retyped", "--key", "key"], 3, "  - Envelope: its payload is not of the type"),
        (&["cut", "--key", "key"], 3, "  - Envelope: it is cut off"),
        (&["huge"], 3, "  - Size: it is larger than"),
        (&["good", "--key", "no-key"], 2, ""),
        (&["good", "--key", "missing"], 2, ""),
        (&["missing"], 1, ""),
        (&["zip"], 3, "  - Container: it is cut off"),
    ] {
        let output = elsewhere(folder.path(), &[&["verify"], args].concat());
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
        assert!(text(&output.stdout).contains(told), "{args:?}: {}", text(&output.stdout));
        assert!(!output.stdout.contains(&0x1b), "a receipt cannot steer the terminal");
        let warned = text(&output.stderr).contains("NO KEY FROM OUTSIDE");
        assert_eq!(warned, args == ["good"], "{args:?}");
    }
    let refused = elsewhere(folder.path(), &["verify", "altered", "--key", "key", "--json"]);
    let told: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(
        (refused.status.code(), &told["verified"], &told["part"]),
        (Some(3), &json!(false), &json!("Signature"))
    );
}

/// Looks into the database of a program that does not run.
async fn count(plan: &Plan, what: &str) -> i64 {
    let (_, url) = plan.config.iter().find(|(key, _)| key == "DATABASE__URL").unwrap();
    let db = Database::connect(url).await.unwrap();
    let sql = format!("SELECT count(*) AS n FROM {what}");
    let row = db.query_one_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap().unwrap();
    let count = row.try_get("", "n").unwrap();
    db.close().await.unwrap();
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_is_killed_leaves_as_many_receipts_as_jobs_that_ended() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path()).with("JOBS__LEASE_SECONDS", 1).with("JOBS__BATCH_JOBS_MAX", 16);
    let (jobs, kills) = (400, 4);
    let ended = r#""GDPRJob" WHERE "status"='completed'"#;
    let paired = r#""GDPRJob" AS j JOIN "DeletionReceipt" AS r ON r."jobId"=j."id" WHERE j."status"='completed'"#;
    let mut program = Program::start(&plan).await;
    let mut client = Client::new(program.address());
    for round in 0..kills {
        for i in 0..jobs / kills {
            let body = customer_redact(SHOP, 1, &[i]);
            client.send(&Webhook::new("customers/redact", &format!("{round}-{i}"), &body)).await.unwrap();
        }
        program.kill();
        let (ended, paired) = (count(&plan, ended).await, count(&plan, paired).await);
        assert_eq!((ended, paired), (ended, count(&plan, r#""DeletionReceipt""#).await), "after kill {round}");
        println!("killed with {ended} of {} jobs ended", (round + 1) * jobs / kills);
        program = Program::start(&plan).await;
        client = Client::new(program.address());
    }
    let all = i64::try_from(jobs).unwrap();
    wait_for("every job ends", Duration::from_mins(1), async || (count(&plan, ended).await == all).then_some(())).await;
    program.stop().await;
    assert_eq!((count(&plan, paired).await, count(&plan, r#""DeletionReceipt""#).await), (all, all));
}
