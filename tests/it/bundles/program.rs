//! `efface export` and `efface verify` as somebody uses them.

use std::path::Path;
use std::process::{Command, Output};

use crate::house::{ADA, House, Webhook};

fn efface(folder: &Path, env: &[(&str, String)], args: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_efface");
    Command::new(program).args(args).current_dir(folder).env_clear().envs(env.iter().cloned()).output().unwrap()
}

/// The second verifier.
pub(super) fn python(folder: &Path, args: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verifier/verify.py");
    Command::new("python3").arg(script).args(args).current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_is_exported_here_and_verified_elsewhere() {
    let house = House::sqlite().await;
    house.settle_town().await;
    let job = house.done(&Webhook::customers_redact(ADA, &[1001_u64])).await;
    let desk = tempfile::tempdir().unwrap();
    let env = [("EFFACE__DATABASE__URL", house.url()), ("EFFACE__KEYS__FILE", house.keys_file())];
    let exported = efface(desk.path(), &env, &["export", &job.id, "--output", "e.zip"]);
    assert_eq!(exported.status.code(), Some(0), "{}", text(&exported.stderr));
    std::fs::write(desk.path().join("efface.pub"), house.key().to_pem()).unwrap();
    let expected = "✓ Verification PASSED\n  - Events: 2 valid\n  - Hash chain: OK\n  - Ledger consistency: OK\n  - Manifest: OK\n";
    let verified = efface(desk.path(), &[], &["verify", "e.zip", "--key", "efface.pub"]);
    assert_eq!((verified.status.code(), text(&verified.stdout), text(&verified.stderr)), (Some(0), expected, ""));
    let theirs = python(desk.path(), &["e.zip", "--key", "efface.pub"]);
    assert_eq!((theirs.status.code(), text(&theirs.stdout), text(&theirs.stderr)), (Some(0), expected, ""));
    let enclosed = efface(desk.path(), &[], &["verify", "e.zip"]);
    let untrusted = format!("{expected}  - Keys: enclosed, not trusted\n");
    assert_eq!((enclosed.status.code(), text(&enclosed.stdout)), (Some(0), untrusted.as_str()));
    assert!(text(&enclosed.stderr).contains("NO KEY FROM OUTSIDE"));
    let theirs = python(desk.path(), &["e.zip"]);
    assert_eq!((theirs.status.code(), text(&theirs.stdout)), (Some(0), untrusted.as_str()));
    let mut bundle = std::fs::read(desk.path().join("e.zip")).unwrap();
    let middle = bundle.len() / 2;
    bundle[middle] ^= 1;
    std::fs::write(desk.path().join("bad.zip"), &bundle).unwrap();
    let refused = efface(desk.path(), &[], &["verify", "bad.zip", "--key", "efface.pub"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(text(&refused.stdout).starts_with("✗ Verification FAILED\n  - Container: "), "{}", text(&refused.stdout));
    assert_eq!(python(desk.path(), &["bad.zip", "--key", "efface.pub"]).status.code(), Some(3));
    // One whose first bytes are lost is still told by its name; without one, it is said what it is not.
    std::fs::write(desk.path().join("headless.zip"), &bundle[4..]).unwrap();
    std::fs::write(desk.path().join("headless"), &bundle[4..]).unwrap();
    for (name, part) in [("headless.zip", "Container: "), ("headless", "Envelope: it begins neither as a receipt")] {
        let refused = efface(desk.path(), &[], &["verify", name, "--key", "efface.pub"]);
        let told = format!("✗ Verification FAILED\n  - {part}");
        assert_eq!(refused.status.code(), Some(3), "{name}");
        assert!(text(&refused.stdout).starts_with(&told), "{}", text(&refused.stdout));
    }
    // A true bundle and zeros behind it, to three times what a bundle may have: refused with less memory than reading it takes.
    std::fs::copy(desk.path().join("e.zip"), desk.path().join("large.zip")).unwrap();
    let large = std::fs::OpenOptions::new().write(true).open(desk.path().join("large.zip")).unwrap();
    large.set_len(3 << 30).unwrap();
    let refused = Command::new("sh")
        .args(["-c", "ulimit -v 900000; exec \"$0\" verify large.zip --key efface.pub", env!("CARGO_BIN_EXE_efface")])
        // Each thread of a large machine would take its own share of addresses.
        .env("TOKIO_WORKER_THREADS", "1")
        .current_dir(desk.path())
        .output()
        .unwrap();
    let told = "✗ Verification FAILED\n  - Container: it is too large\n";
    assert_eq!((refused.status.code(), text(&refused.stdout)), (Some(3), told), "{}", text(&refused.stderr));
    assert_eq!(python(desk.path(), &["large.zip", "--key", "efface.pub"]).status.code(), Some(3));
    let none = efface(desk.path(), &env, &["export", "gdpr_0", "--output", "none.zip"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(!desk.path().join("none.zip").exists());
    // Who exported it is in the log.
    let told = format!(r#"SELECT count(*) AS n FROM "AuditLog" WHERE "action"='export' AND "resourceId"='{}'"#, job.id);
    assert_eq!(house.number(&told).await, 1);
}
