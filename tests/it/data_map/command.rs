//! `efface data-map` as the built program runs it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::AppDatabase;

fn efface(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_efface"));
    command.args(args).current_dir(folder).env_clear().output().unwrap()
}

fn told(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", told(&output.stdout)))
}

/// The way of the documentation: introspect, decide, check, show.
#[tokio::test]
async fn from_a_live_database_to_a_map_that_fits_in_three_commands() {
    let app = AppDatabase::sqlite().await;
    app.fixture("prisma").await;
    let folder = tempfile::tempdir().unwrap();
    let (path, url) = (folder.path(), app.database.url());
    let bytes = std::fs::read(app.database.sqlite_file()).unwrap();

    let introspect = ["data-map", "introspect", "--url", &url, "--output", "data-map.toml"];
    let output = efface(path, &introspect);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output.stderr));
    assert_eq!(told(&output.stdout), "data-map.toml\n");
    assert!(told(&output.stderr).contains("6 table(s) mapped, 1 thing(s) to decide"), "{}", told(&output.stderr));
    let again = efface(path, &introspect);
    assert_eq!(again.status.code(), Some(1), "a map with somebody's decisions is never overwritten");
    assert!(told(&again.stderr).contains("data-map.toml was not written"));
    assert_eq!(std::fs::read(app.database.sqlite_file()).unwrap(), bytes, "the app's file is as it was");

    let check = ["--database-url", &url, "data-map", "check", "--map", "data-map.toml"];
    let output = efface(path, &check);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output.stderr));
    let shown = told(&output.stdout);
    assert!(shown.contains("Settings\n  error    uncovered_column   thankYouText: TEXT stays"), "{shown}");
    assert!(shown.lines().last().unwrap().starts_with("1 error(s), "), "{shown}");

    let map = std::fs::read_to_string(path.join("data-map.toml")).unwrap();
    std::fs::write(path.join("data-map.toml"), map.replace("# decide: { column", "{ column")).unwrap();
    let output = efface(path, &[&check[..], &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", told(&output.stdout));
    let found = json(&output);
    assert_eq!((&found["counts"]["error"], &found["failed"]), (&Value::from(0), &Value::from(false)));
    assert_eq!(found["findings"][0]["store"], "default");
    let strict = efface(path, &[&check[..], &["--fail-on", "warning"]].concat());
    assert_eq!(strict.status.code(), Some(1), "indexes are missing");
    assert_eq!(efface(path, &[&check[..], &["--fail-on", "never"]].concat()).status.code(), Some(0));

    let output = efface(path, &["data-map", "show", "--map", "data-map.toml"]);
    let shown = told(&output.stdout);
    assert!(shown.lines().any(|line| line.contains("LineItem") && line.contains("Order.shopId: shop_id")), "{shown}");
    let shown = json(&efface(path, &["data-map", "show", "--map", "data-map.toml", "--json"]));
    assert_eq!(shown["stores"][0]["shop"]["table"], "Shop");
    assert_eq!(shown["stores"][0]["tables"][0]["customersRedact"], "delete");
    app.end().await;
}

#[tokio::test]
async fn a_proposal_as_data_has_every_guess_with_its_reason() {
    let app = AppDatabase::sqlite().await;
    app.fixture("laravel").await;
    let folder = tempfile::tempdir().unwrap();
    let url = app.database.url();
    let proposal = json(&efface(folder.path(), &["data-map", "introspect", "--url", &url, "--json", "--no-samples"]));
    assert_eq!(proposal["shop"]["table"], "users");
    assert_eq!(proposal["shop"]["why"]["confidence"], "sure");
    assert_eq!(proposal["tables"][1]["match"][0]["by"], "email");
    assert!(proposal["tables"][1]["match"][0]["why"]["reason"].as_str().unwrap().contains("e-mail"));
    app.end().await;
}

/// A further store stands in its own section, and a map of it alone parses.
#[tokio::test]
async fn a_further_store_gets_a_section_of_its_own() {
    let app = AppDatabase::sqlite().await;
    app.fixture("rails").await;
    let folder = tempfile::tempdir().unwrap();
    let url = app.database.url();
    let output = efface(folder.path(), &["data-map", "introspect", "--store", "crm", "--url", &url]);
    let map = told(&output.stdout);
    assert!(map.contains("\n[stores.crm.shop]\n") && map.contains("store = \"crm\""), "{map}");
    let parsed = efface::erasure::data_map::DataMap::parse(map).unwrap_or_else(|problems| panic!("{map}\n{problems}"));
    assert_eq!(parsed.stores[1].name, "crm");
    app.end().await;
}

#[test]
fn a_database_that_is_not_there_is_told_without_its_address() {
    let folder = tempfile::tempdir().unwrap();
    let output = efface(folder.path(), &["data-map", "introspect", "--url", "postgres://me:hunter2@127.0.0.1:1/app"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!told(&output.stderr).contains("hunter2"), "{}", told(&output.stderr));
    let output = efface(folder.path(), &["data-map", "introspect", "--store", "crm"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output.stderr).contains("stores.crm.url is not configured"));
    assert!(!folder.path().join("efface.db").exists());
}
