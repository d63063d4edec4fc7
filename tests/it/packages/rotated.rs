//! The key-encryption key changes: what was sealed before still opens, and the key of before is not needed any more.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::stage::{files, town_request};
use crate::house::{ADA, House, Webhook};

fn efface(house: &House, keys: &str, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_efface"));
    command.args(args).env_clear().envs(house.environment()).env("EFFACE__KEYS__FILE", keys).output().unwrap()
}

fn told(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The keys file without its first key-encryption key.
fn without_the_first(keys: &str) -> String {
    let mut document: Value = serde_json::from_slice(&std::fs::read(keys).unwrap()).unwrap();
    let removed = document["keys"]["kek"].as_array_mut().unwrap().remove(0);
    assert_eq!(removed["id"], "kek-1");
    document.to_string()
}

both_databases! {
    async fn what_was_sealed_before_opens_with_the_new_key_alone(house: House) {
        let request = town_request(&house).await;
        house.leaves_jobs();
        let waiting = house.post(&Webhook::customers_redact(ADA, &[1001_u64])).await;
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (old, new, only) = (house.keys_file(), path("new.keys"), path("only.keys"));

        let rotated = told(&efface(&house, &old, &["keys", "rotate", "--output", &new, "--json"]));
        assert_eq!(rotated, json!({ "file": new, "keyEncryptionKey": "kek-2", "before": "kek-1" }));
        assert_eq!(std::fs::metadata(&new).unwrap().permissions().mode() & 0o777, 0o400);
        let again = efface(&house, &old, &["keys", "rotate", "--output", &new]);
        assert_eq!(again.status.code(), Some(1), "keys were overwritten");
        std::fs::write(&only, without_the_first(&new)).unwrap();
        let failed = efface(&house, &only, &["keys", "rewrap"]);
        let why = String::from_utf8_lossy(&failed.stderr).into_owned();
        assert!(failed.status.code() == Some(1) && why.contains("kek-1"), "{why}");

        let keys = house.number(r#"SELECT count(*) AS n FROM "SealingKey" WHERE "wrappedKey" IS NOT NULL"#).await;
        assert!(keys >= 2, "a payload's and a package's");
        let rewrapped = told(&efface(&house, &new, &["keys", "rewrap", "--json"]));
        assert_eq!(rewrapped, json!({ "keyEncryptionKey": "kek-2", "rewrapped": { "kek-1": keys } }));
        let entries = r#"SELECT count(*) AS n FROM "AuditLog" WHERE "resourceType"='SealingKey' AND "action"='update' AND "actorId"='cli'"#;
        assert_eq!(house.number(entries).await, keys);
        let rewrapped = told(&efface(&house, &new, &["keys", "rewrap", "--json"]));
        assert_eq!(rewrapped, json!({ "keyEncryptionKey": "kek-2", "rewrapped": {} }));

        // A package of before, and a payload of before: opened without the key that they were first wrapped with.
        let zip = path("answer.zip");
        let output = efface(&house, &only, &["jobs", "package", &request, "--output", &zip]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(files(&std::fs::read(&zip).unwrap()).contains_key("manifest.json"));
        let other = house.another(&[("keys.file", only.as_str())]).await;
        while other.worker().tick().await.unwrap().claimed > 0 {}
        let job = house.job(&waiting).await;
        assert_eq!(job.status.as_str(), "completed", "{:?}", job.error_message);

        // Who still has only the old file is told which key is missing.
        let stale = efface(&house, &old, &["jobs", "package", &request, "--output", &path("stale.zip")]);
        let why = String::from_utf8_lossy(&stale.stderr).into_owned();
        assert!(stale.status.code() == Some(1) && why.contains("kek-2"), "{why}");
    }
}
