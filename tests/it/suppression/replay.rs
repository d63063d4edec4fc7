//! After a restore, `efface replay` erases again everybody who was erased since, and nobody else.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::{contents, erased, furnished, sha256, shop, tombstones};
use crate::house::{EMAIL, House, SECRET, Webhook};

/// The built program over this house's database.
pub fn efface(house: &House, args: &[&str]) -> Output {
    efface_with(house, &house.keys_file(), args)
}

fn efface_with(house: &House, keys_file: &str, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_efface"));
    command
        .args(args)
        .env_clear()
        .env("EFFACE__DATABASE__URL", house.url())
        .env("EFFACE__KEYS__FILE", keys_file)
        .env("EFFACE__WEBHOOKS__SECRETS", SECRET)
        .env("EFFACE__DATA_MAP__FILE", super::map_file())
        .env("EFFACE__DATA_MAP__MATCH_KEYS__CRM", "crm-secret")
        .env("EFFACE__DATA_MAP__FAIL_ON", "never");
    command.output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

fn exit(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Rows of the customer in shop 1 and 2, and of the whole shop 3.
async fn fill(house: &House) {
    let (sha, one, two) = (sha256(EMAIL), shop(1), shop(2));
    for row in [
        "orders VALUES (1, 1, 4001, '191167', NULL, NULL)".to_owned(),
        format!("orders VALUES (2, 1, 1, NULL, '{}', NULL)", super::shouted()),
        "orders VALUES (3, 2, NULL, NULL, NULL, '004955501471 1')".to_owned(),
        format!("profiles VALUES (1, '{one}', '{sha}', NULL, NULL)"),
        format!("letters VALUES (1, '{two}', '{EMAIL}', 'Dear Jane')"),
        // She is a customer of shop 4 as well, where nobody asked for her erasure.
        format!("orders VALUES (4, 4, 4001, '191167', '{EMAIL}', NULL)"),
    ] {
        house.execute(&format!("INSERT INTO {row}")).await;
    }
}

async fn erase_all(house: &House) {
    erased(house, 1).await;
    erased(house, 2).await;
    house.done(&Webhook::shop_redact(&shop(3))).await;
}

/// Brings back what a backup held: rows of the app, and none of what Efface has written since.
async fn restore(house: &House) {
    house.execute("DELETE FROM letters WHERE id = 1").await;
    house.execute("DELETE FROM orders WHERE id = 4").await;
    fill(house).await;
    house.execute(&format!("INSERT INTO stores VALUES (3, '{}', '2026-01-01T00:00:00.000Z')", shop(3))).await;
    house.execute("INSERT INTO orders VALUES (300, 3, 93, '77', 'john@example.com', '+1 555 0100')").await;
    for table in ["Suppression", "GDPRJob", "WebhookLog"] {
        house.execute(&format!("DELETE FROM \"{table}\"")).await;
    }
}

fn export(house: &House, folder: &Path) -> String {
    let exported = efface(house, &["suppression", "export"]);
    assert_eq!(exported.status.code(), Some(0), "{exported:?}");
    let file = folder.join("ledger.ndjson");
    std::fs::write(&file, &exported.stdout).unwrap();
    file.display().to_string()
}

both_databases! {
    async fn a_replay_erases_again_from_the_ledger_alone_and_touches_nobody_else(house: House) {
        let house = furnished(house).await;
        fill(&house).await;
        erase_all(&house).await;
        let erased = contents(&house).await;
        let folder = tempfile::tempdir().unwrap();
        let ledger = export(&house, folder.path());
        restore(&house).await;
        let restored = contents(&house).await;
        assert_ne!(restored, erased);

        let refused = efface(&house, &["replay", "--since", "2020-01-01", "--ledger", &ledger]);
        assert_eq!(exit(&refused).0, Some(2), "not without --yes");
        let looked = efface(&house, &["replay", "--since", "2020-01-01", "--ledger", &ledger, "--dry-run", "--json", "-qq"]);
        assert_eq!(exit(&looked), (Some(0), String::new()));
        assert_eq!((&json(&looked)["tombstones"], &json(&looked)["rowsFound"]), (&3.into(), &7.into()));
        assert_eq!(json(&looked)["clean"], false);
        assert_eq!(contents(&house).await, restored);
        assert!(tombstones(&house).await.is_empty() && house.jobs().await.is_empty(), "a dry run writes nothing");

        let replay = ["replay", "--since", "2020-01-01", "--ledger", &ledger, "--yes", "--json"];
        let replayed = efface(&house, &replay);
        assert_eq!(exit(&replayed).0, Some(0), "{}", exit(&replayed).1);
        let told = json(&replayed);
        assert_eq!((&told["imported"], &told["tombstones"], &told["shops"]), (&3.into(), &3.into(), &3.into()));
        assert_eq!((&told["rowsFound"], &told["completed"], &told["clean"]), (&7.into(), &3.into(), &true.into()));
        assert!(told["valuesCompared"].as_u64().unwrap() >= 10, "{told}");
        assert_eq!(contents(&house).await, erased, "as after the erasures, byte for byte");
        let jobs = house.jobs().await;
        assert!(jobs.len() == 3 && jobs.iter().all(|job| job.verified_at.is_some()));
        assert_eq!(tombstones(&house).await.len(), 3);
        let proof = r#"SELECT count(*) AS n FROM "AuditLog" WHERE "action" = 'validate' AND "resourceType" = 'Suppression'"#;
        assert_eq!(house.number(proof).await, 1);

        let again = json(&efface(&house, &replay));
        assert_eq!((&again["imported"], &again["rowsFound"], &again["clean"]), (&0.into(), &0.into(), &true.into()));
        assert_eq!(again["jobs"].as_array().unwrap().len(), 0);
        assert_eq!(contents(&house).await, erased);
    }

    async fn only_erasures_since_then_are_replayed(house: House) {
        let house = furnished(house).await;
        erase_all(&house).await;
        fill(&house).await;
        let before = contents(&house).await;
        let later = efface::clock::rfc3339(house.clock.now() + chrono::TimeDelta::hours(1));
        let replayed = json(&efface(&house, &["replay", "--since", &later, "--yes", "--json"]));
        assert_eq!(replayed["tombstones"], 0);
        assert_eq!(contents(&house).await, before);
    }

    async fn a_job_that_does_not_complete_makes_the_replay_fail(house: House) {
        let house = furnished(house).await;
        house.leaves_jobs();
        erased(&house, 1).await;
        house.execute("INSERT INTO orders VALUES (1, 1, 4001, NULL, NULL, NULL)").await;
        house.execute("CREATE TABLE guards (id bigint REFERENCES orders (id))").await;
        house.execute("INSERT INTO guards VALUES (1)").await;
        let replayed = efface(&house, &["replay", "--since", "2020-01-01", "--yes", "--json", "--wait-seconds", "1", "-qq"]);
        assert_eq!(exit(&replayed).0, Some(1), "{}", exit(&replayed).1);
        assert_eq!((&json(&replayed)["completed"], &json(&replayed)["clean"]), (&0.into(), &false.into()));
    }

    async fn a_shop_that_was_installed_again_survives_a_replay(house: House) {
        let house = furnished(house).await;
        house.done(&Webhook::shop_redact(&shop(3))).await;
        let at = efface::clock::rfc3339(house.clock.now() + chrono::TimeDelta::minutes(5));
        house.execute(&format!("INSERT INTO stores VALUES (33, '{}', '{at}')", shop(3))).await;
        house.execute("INSERT INTO orders VALUES (1, 33, 1, NULL, NULL, NULL)").await;
        let new = contents(&house).await;
        let replayed = json(&efface(&house, &["replay", "--since", "2020-01-01", "--yes", "--json"]));
        assert_eq!((&replayed["reinstalled"], &replayed["rowsFound"]), (&1.into(), &0.into()));
        assert_eq!(contents(&house).await, new);
    }

    async fn an_altered_line_is_refused_by_its_number_and_nothing_is_imported(house: House) {
        let house = furnished(house).await;
        erase_all(&house).await;
        let folder = tempfile::tempdir().unwrap();
        let ledger = export(&house, folder.path());
        restore(&house).await;
        let restored = contents(&house).await;
        let whole = std::fs::read_to_string(&ledger).unwrap();
        let lines: Vec<&str> = whole.lines().collect();
        let other = furnished_keys(folder.path());
        let altered = [
            whole.replacen(&shop(2), &shop(4), 1),
            whole.trim_end().to_owned(),
            whole[..whole.len() - 40].to_owned(),
            format!("{}\n{}\n", lines[0], lines[1].replacen("customer", "shop", 1)),
            format!("{}\nnonsense\n", lines[0]),
            format!("{}\n\n", lines[0]),
            format!("{}\n{}\n", lines[0], lines[1].replacen("\"digests\":\"", "\"digests\":\"00", 1)),
        ];
        for (place, text) in altered.iter().enumerate() {
            std::fs::write(&ledger, text).unwrap();
            let replayed = efface(&house, &["replay", "--since", "2020-01-01", "--ledger", &ledger, "--yes"]);
            let (code, told) = exit(&replayed);
            assert_eq!(code, Some(3), "{place}: {told}");
            assert!(told.contains(if [1, 2].contains(&place) { "line 3" } else { "line 2" }), "{place}: {told}");
        }
        std::fs::write(&ledger, &whole).unwrap();
        let replay = ["replay", "--since", "2020-01-01", "--ledger", &ledger, "--yes"];
        let refused = exit(&efface_with(&house, &other, &replay));
        assert_eq!(refused.0, Some(2), "another installation's keys: {}", refused.1);
        // Nor do they open the ledger where nothing was sealed yet.
        house.execute(r#"DELETE FROM "SealingKey""#).await;
        let refused = exit(&efface_with(&house, &other, &replay));
        assert_eq!(refused.0, Some(3), "another installation's keys: {}", refused.1);
        assert!(tombstones(&house).await.is_empty() && house.jobs().await.is_empty());
        assert_eq!(contents(&house).await, restored);
    }
}

fn furnished_keys(folder: &Path) -> String {
    let file = folder.join("other.keys");
    efface::seal::Keyring::generate().write_new(&file).unwrap();
    file.display().to_string()
}
