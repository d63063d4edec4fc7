//! The configuration as the built program reads it.

use std::process::{Command, Output};

/// The program in an empty folder, with no environment but what a test gives it.
fn efface(folder: &tempfile::TempDir, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_efface"));
    command.args(args).current_dir(folder.path()).env_clear();
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn the_printed_configuration_is_json_with_secrets_hidden() {
    let folder = tempfile::tempdir().unwrap();
    let output = efface(&folder, &["config", "print", "--json"])
        .env("SHOPIFY_API_SECRET", "hunter2")
        .env("DATABASE_URL", "postgres://efface:hunter2@db/app")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(!stdout(&output).contains("hunter2"));
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed["jobs"]["lease_seconds"], 60);
    assert_eq!(printed["webhooks"]["secrets"], serde_json::json!(["***"]));
    assert_eq!(printed["database"]["url"], "postgres://efface:***@db/app");
}

#[test]
fn what_is_printed_can_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let stores = r#"[{"name":"ops","role":"admin","token":"hunter2"}]"#;
    let first = efface(&folder, &["config", "print"])
        .env("EFFACE__AUTH__TOKENS", stores)
        .env("EFFACE__STORES__MORE__URL", "sqlite://more.db")
        .output()
        .unwrap();
    std::fs::write(folder.path().join("again.toml"), &first.stdout).unwrap();
    let again = efface(&folder, &["--config", "again.toml", "config", "print"]).output().unwrap();
    assert_eq!(stdout(&again), stdout(&first), "{}", stderr(&again));
}

#[test]
fn each_value_tells_where_it_came_from() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("efface.toml"), "\n[jobs]\nworkers = 5\npoll_seconds = 9\n").unwrap();
    let output = efface(&folder, &["config", "print", "--origins", "--database-url", "sqlite://flag.db"])
        .env("EFFACE_CONFIG", "efface.toml")
        .env("EFFACE__JOBS__WORKERS", "7")
        .output()
        .unwrap();
    let printed = stdout(&output);
    for line in [
        "workers = 7  # EFFACE__JOBS__WORKERS",
        "poll_seconds = 9  # efface.toml:4",
        "attempts_max = 8  # default",
        "url = \"sqlite://flag.db\"  # --database-url",
    ] {
        assert!(printed.contains(line), "{line} is not in\n{printed}{}", stderr(&output));
    }
}

#[test]
fn a_wrong_configuration_ends_with_code_2_and_every_problem() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("efface.toml"), "[http]\nlistn = 'x'\n").unwrap();
    let output = efface(&folder, &["--config", "efface.toml", "config", "print"])
        .env("EFFACE__JOBS__WORKERS", "0")
        .env("EFFACE__WEBHOOKS__SECRETS_FILE", "/nowhere")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = stderr(&output);
    assert!(told.contains("3 problems"), "{told}");
    assert!(told.contains("http.listn: unknown key; did you mean `http.listen`? (efface.toml:2)"), "{told}");
    assert!(
        told.contains("jobs.workers: expected a whole number from 1 to 64, found 0 (EFFACE__JOBS__WORKERS)"),
        "{told}"
    );
    assert!(told.contains("webhooks.secrets_file: the file /nowhere cannot be read"), "{told}");
    assert!(output.stdout.is_empty());
}
