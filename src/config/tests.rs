use std::path::Path;

use super::*;

fn load(
    file: &str,
    env: &[(&str, &str)],
    overrides: &[(&'static str, &'static str, &str)],
) -> Result<Config, Vec<String>> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("efface.toml");
    std::fs::write(&path, file).unwrap();
    let shown = format!("{}/", directory.path().display());
    let options = LoadOptions {
        file: Some(path),
        env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        overrides: overrides
            .iter()
            .map(|(key, flag, value)| Override { key, flag, value: (*value).to_owned() })
            .collect(),
    };
    Config::load(&options)
        .map_err(|errors| errors.problems().iter().map(|problem| problem.to_string().replace(&shown, "")).collect())
}

fn written(directory: &Path, name: &str, content: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

#[test]
fn the_compiled_in_file_is_a_whole_and_valid_configuration() {
    let config = load("", &[], &[]).unwrap();
    let known: Vec<_> = config.effective().iter().map(|entry| entry.key.as_str()).collect();
    let lines: Vec<_> = config.effective().iter().map(|entry| format!("{} = {}", entry.key, entry.value)).collect();
    insta::assert_snapshot!(lines.join("\n"));
    assert!(config.effective().iter().all(|entry| entry.origin == Origin::Default));
    assert_eq!(known.len(), DEFAULTS.lines().filter(|line| !line.starts_with('#') && line.contains(" = ")).count());
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.jobs.lease.as_secs(), 60);
    assert!(config.broker.url.is_empty());
}

#[test]
fn a_later_layer_wins_and_the_origin_says_which() {
    let file = "[jobs]\nworkers = 5\n[database]\nurl = \"sqlite://file.db\"\n";
    let env = [("EFFACE__JOBS__WORKERS", "7"), ("DATABASE_URL", "postgres://elsewhere/app")];
    let config = load(file, &env, &[]).unwrap();
    assert_eq!(config.jobs.workers, 7);
    assert_eq!(config.origin("jobs.workers").unwrap().to_string(), "EFFACE__JOBS__WORKERS");
    assert_eq!(config.database.url.expose(), "sqlite://file.db", "a fallback never overrules the file");
    let config = load("", &env, &[("jobs.workers", "--workers", "9")]).unwrap();
    assert_eq!(config.jobs.workers, 9);
    assert_eq!(config.origin("jobs.workers"), Some(&Origin::Flag("--workers")));
    assert_eq!(config.database.url.expose(), "postgres://elsewhere/app");
}

#[test]
fn the_fallbacks_that_shells_already_have_are_used() {
    let env = [("CLOUDAMQP_URL", "amqps://c/x"), ("AMQP_URL", "amqp://a"), ("SHOPIFY_API_SECRET", "hush")];
    let config = load("", &env, &[]).unwrap();
    assert_eq!(config.broker.url.expose(), "amqp://a");
    assert_eq!(config.webhooks.secrets, [Secret::new("hush")]);
    assert_eq!(load("", &env[..1], &[]).unwrap().broker.url.expose(), "amqps://c/x");
    let emptied = load("", &[env[1], ("EFFACE__BROKER__URL", "")], &[]).unwrap();
    assert!(emptied.broker.url.is_empty(), "an explicit nothing wins over a fallback");
}

#[test]
fn lists_come_from_the_environment_as_commas_and_as_json() {
    let tokens = r#"[{"name":"ops","role":"admin","token":"t0ken"},{"name":"dpo","role":"auditor","token":"0ther"}]"#;
    let env = [
        ("EFFACE__WEBHOOKS__SECRETS", "new, old,"),
        ("EFFACE__AUTH__TOKENS", tokens),
        ("EFFACE__STORES__ANALYTICS__URL", "postgres://analytics/app"),
    ];
    let config = load("", &env, &[]).unwrap();
    assert_eq!(config.webhooks.secrets, [Secret::new("new"), Secret::new("old")]);
    assert_eq!(config.auth.tokens[1].role, Role::Auditor);
    assert_eq!(config.auth.tokens[0].token, Secret::new("t0ken"));
    assert_eq!(config.stores["analytics"].url.expose(), "postgres://analytics/app");
}

#[test]
fn every_secret_can_come_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name, content| written(directory.path(), name, content);
    let database = file("database", "postgres://efface:hunter2@db/efface\r\n");
    let broker = file("broker", "amqp://queue\n");
    let secrets = file("secrets", "new\nold\n");
    let token = file("token", "t0ken\n");
    let tokens = file("tokens", r#"[{"name":"ops","role":"admin","token":"t0ken"}]"#);
    let toml = format!(
        "database.url_file = '{database}'\nbroker.url_file = '{broker}'\n[webhooks]\nsecrets_file = '{secrets}'\n\
         [[auth.tokens]]\nname = 'ops'\nrole = 'admin'\ntoken_file = '{token}'\n[stores.more]\nurl_file = '{database}'\n"
    );
    let config = load(&toml, &[], &[]).unwrap();
    assert_eq!(config.database.url.expose(), "postgres://efface:hunter2@db/efface");
    assert_eq!(config.stores["more"].url, config.database.url);
    assert_eq!(config.broker.url.expose(), "amqp://queue");
    assert_eq!(config.webhooks.secrets, [Secret::new("new"), Secret::new("old")]);
    assert_eq!(config.auth.tokens[0].token, Secret::new("t0ken"));
    let env = [("EFFACE__BROKER__URL", "amqp://other"), ("EFFACE__AUTH__TOKENS_FILE", &tokens)];
    let config = load(&toml, &env, &[]).unwrap();
    assert_eq!(config.broker.url.expose(), "amqp://other", "a later layer's value replaces an earlier layer's file");
    assert_eq!(config.auth.tokens[0].name, "ops");
}

#[test]
fn a_secret_given_twice_in_one_layer_is_refused() {
    let problems = load("[broker]\nurl = 'amqp://a'\nurl_file = '/nowhere'\n", &[], &[]).unwrap_err();
    assert_eq!(problems, ["broker.url_file: set either this or `broker.url`, not both (efface.toml:3)"]);
}

#[test]
fn all_problems_are_reported_at_once_with_key_origin_and_expectation() {
    let file = "[http]\nlisten = 'localhost'\nlistn = '127.0.0.1:1'\nbody_bytes_max = 9999999\n\
                [retention]\naudit_log_days = 90\n[log]\nformat = 'yaml'\n[stores.Default]\nurl = 'mysql://x'\n\
                [[auth.tokens]]\nname = ''\nrole = 'boss'\ncolour = 1\n";
    let env = [
        ("EFFACE__JOBS__WORKERS", "many"),
        ("EFFACE__JOBS__RETRY_INITIAL_SECONDS", "60"),
        ("EFFACE__JOBS__RETRY_MAX_SECONDS", "5"),
        ("EFFACE__WORKERS", "3"),
        ("EFFACE_DATABASE_URL", "postgres://root:hunter2@db/app"),
        ("DATABASE_URL", "mysql://root:hunter2@db/app"),
        ("EFFACE__BROKER__URL_FILE", "/nowhere/at/all"),
        ("EFFACE__BROKER__PREFETCH", "10"),
    ];
    insta::assert_snapshot!(load(file, &env, &[]).unwrap_err().join("\n"));
}

#[test]
fn names_and_tokens_are_unique() {
    let tokens = r#"[{"name":"ops","role":"admin","token":"same"},{"name":"ops","role":"viewer","token":"same"}]"#;
    let problems = load("", &[("EFFACE__AUTH__TOKENS", tokens)], &[]).unwrap_err();
    assert_eq!(
        problems,
        [
            "auth.tokens[1].name: another token has this name (EFFACE__AUTH__TOKENS)",
            "auth.tokens[1].token: another name has this token (EFFACE__AUTH__TOKENS)",
        ]
    );
}

#[test]
fn a_broken_file_is_told_by_line_without_quoting_it() {
    let problems = load("[webhooks]\nsecrets = [\"hunter2\n", &[("EFFACE__NOPE", "1")], &[]).unwrap_err();
    assert!(problems[0].contains("efface.toml:2"), "{problems:?}");
    assert!(problems.iter().any(|problem| problem.starts_with("nope: unknown key")), "{problems:?}");
    assert!(!problems.join("\n").contains("hunter2"));
    let missing = LoadOptions { file: Some("/nowhere/efface.toml".into()), ..LoadOptions::default() };
    assert!(Config::load(&missing).unwrap_err().to_string().contains("/nowhere/efface.toml cannot be read"));
}

#[test]
fn neither_debug_nor_print_nor_problems_show_a_secret() {
    let file = "[webhooks]\nsecrets = ['hunter2', 5]\n[database]\nurl = 'hunter2'\n[stores.a]\nurl = 12345678\n\
                [[auth.tokens]]\nname = 'a'\nrole = 'hunter2'\ntoken = 12345678\n[keys]\nfile = ['hunter2']\n";
    let env = [("EFFACE__AUTH__TOKENS", "[{\"token\":\"hunter2\"")];
    for env in [&env[..], &[]] {
        let problems = load(file, env, &[]).unwrap_err().join("\n");
        assert!(!problems.contains("hunter2") && !problems.contains("12345678"), "{problems}");
    }
    let file = "[webhooks]\nsecrets = ['hunter2']\n[database]\nurl = 'postgres://efface:hunter2@db/app'\n\
                [stores.a]\nurl = 'postgres://efface:hunter2@db/app'\n[broker]\nurl = 'amqp://efface:hunter2@queue'\n\
                [[auth.tokens]]\nname = 'a'\nrole = 'admin'\ntoken = 'hunter2'\n";
    let config = load(file, &[], &[]).unwrap();
    let shown = format!("{config:?} {config:#?} {:?}", config.effective());
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("efface:***@db/app"), "{shown}");
}

#[test]
fn serving_needs_a_secret_and_a_place_for_the_keys() {
    let missing = load("database.url = 'postgres://db/app'", &[], &[]).unwrap().require_for_serving().unwrap_err();
    assert_eq!(
        missing.problems().iter().map(|problem| problem.key.as_str()).collect::<Vec<_>>(),
        ["keys.file", "webhooks.secrets"]
    );
    assert!(load("webhooks.secrets = ['hush']", &[], &[]).unwrap().require_for_serving().is_ok());
}

#[test]
fn the_keys_stand_beside_the_sqlite_file_unless_told_otherwise() {
    let keys = |file| load(file, &[], &[]).unwrap().keys_file();
    assert_eq!(keys(""), Some("efface.keys".into()));
    assert_eq!(keys("database.url = 'sqlite:///var/lib/efface/e.db?mode=rwc'"), Some("/var/lib/efface/e.keys".into()));
    assert_eq!(keys("database.url = 'sqlite::memory:'"), None);
    assert_eq!(keys("database.url = 'postgres://db/app'"), None);
    assert_eq!(keys("keys.file = '/run/keys'"), Some("/run/keys".into()));
}

#[test]
fn the_reference_page_holds_every_key() {
    let page = include_str!("../../docs/configuration.md");
    assert!(page.contains(DEFAULTS), "docs/configuration.md must hold config/default.toml as it is");
}
