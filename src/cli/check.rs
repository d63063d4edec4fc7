//! `efface check`: does everything fit together, and does an endpoint do what Shopify expects?

mod as_shopify;

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use chrono::TimeDelta;
use serde::Serialize;

use super::{Context, Exit, output};
use crate::app::{self, AppError, data_map, is_sealed_in, open_log, open_stores};
use crate::clock::Clock;
use crate::config::Config;
use crate::seal::{ContentKeys, Keyring};
use crate::store::{Store, target};

/// Disagreement between our clock and the database's that is worth a finding.
const CLOCK_SKEW_MAX: TimeDelta = TimeDelta::seconds(5);
/// How long the broker may take to answer.
const BROKER_PATIENCE: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
Examples:
  efface check
  efface check --as-shopify https://app.example.com/webhooks --secret hush
  efface check --as-shopify https://app.example.com/hooks --path-per-topic
      (/customers/redact and the others are added; SHOPIFY_API_SECRET signs)
  efface check --as-shopify http://127.0.0.1:8080/webhooks --json \\
      --only forged-hmac,missing-hmac
  efface check --list";

/// Check configuration, keys, database, broker and data map, and list every problem
///
/// Changes nothing. Exit code 0 when `serve` would start, 1 when something cannot be reached or does not fit, 2 when the
/// configuration itself is wrong.
///
/// With --as-shopify it plays Shopify and its app review against any endpoint instead, of Efface or not: exit code 0 when
/// every required check passed, 1 otherwise. It sends real, correctly signed webhooks. They are about shops named
/// efface-conformance-….myshopify.com, customers and orders with ids that Shopify has not reached, and an e-mail address
/// that cannot exist, so nobody's data can be hit; an endpoint may keep a record of each.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    endpoint: as_shopify::Options,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    check: &'static str,
    ok: bool,
    /// Whether the configuration is at fault, as opposed to something that does not answer.
    #[serde(skip)]
    configuration: bool,
    detail: String,
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn good(&mut self, check: &'static str, detail: impl Into<String>) {
        self.0.push(Finding { check, ok: true, configuration: false, detail: detail.into() });
    }

    fn bad(&mut self, check: &'static str, configuration: bool, detail: impl Into<String>) {
        self.0.push(Finding { check, ok: false, configuration, detail: detail.into() });
    }

    fn of_file(&mut self, key: &str, file: &Path, usable: Result<(), String>) {
        match usable {
            Ok(()) => self.good("files", format!("{key} {}", file.display())),
            Err(why) => self.bad("files", false, format!("{key} {why}")),
        }
    }
}

pub async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    if args.endpoint.are_given() {
        return as_shopify::run(context, &args.endpoint).await;
    }
    let config = context.config(Vec::new())?;
    let mut findings = Findings::default();
    match config.require_for_serving() {
        Ok(()) => findings.good("configuration", "valid"),
        Err(errors) => findings.bad("configuration", true, errors.to_string()),
    }
    check_keys(&config, &mut findings);
    if config.retention.dry_run {
        findings.bad("retention", true, "retention.dry_run is on: nothing is purged");
    } else {
        let schedule = config.retention.schedule.as_ref();
        findings.good("retention", schedule.map_or("not scheduled".to_owned(), crate::retention::Schedule::in_words));
    }
    check_files(&config, &mut findings);
    match app::open_as_it_would_be(&config).await {
        Err(error) => findings.bad("database", false, told(error)),
        Ok(store) => {
            let to_be_made = if app::is_to_be_made(&config) { ", which will be made by `serve`" } else { "" };
            findings.good("database", format!("{}{to_be_made}", config.database.url.masked()));
            check_database(&config, &store, &mut findings).await;
        }
    }
    let broker = &config.broker.url;
    if broker.is_empty() {
        findings.good("broker", "none configured: embedded");
    } else {
        match tokio::time::timeout(BROKER_PATIENCE, crate::broker::probe(broker.expose())).await {
            Ok(Ok(())) => findings.good("broker", broker.masked()),
            Ok(Err(error)) => findings.bad("broker", false, format!("{} (broker.url): {error}", broker.masked())),
            Err(_) => findings.bad("broker", false, format!("{} (broker.url): no answer in time", broker.masked())),
        }
    }
    conclude(context, &findings.0)
}

/// An error with its causes.
fn told(error: AppError) -> String {
    format!("{:#}", anyhow::Error::from(error))
}

fn check_keys(config: &Config, findings: &mut Findings) {
    let Some(file) = config.keys_file() else { return };
    if !file.exists() && config.keys.file.is_none() {
        let to_be_made = format!("{} will be made by `serve`", file.display());
        return match folder_of(&file) {
            Ok(()) => findings.good("keys", to_be_made),
            Err(error) => findings.bad("keys", true, error),
        };
    }
    match Keyring::load(&file) {
        Ok(_) => findings.good("keys", file.display().to_string()),
        Err(error) => findings.bad("keys", true, format!("{:#}", anyhow::Error::from(error))),
    }
}

/// Whether the files that the scheduler writes can be written, as far as that shows without a change. A checkpoint file
/// beside the SQLite file is where the keys are.
fn check_files(config: &Config, findings: &mut Findings) {
    if let Some(file) = &config.evidence.checkpoint_file {
        findings.of_file("evidence.checkpoint_file", file, folder_of(file));
    }
    if let Some(file) = &config.suppression.ledger_file {
        findings.of_file("suppression.ledger_file", file, folder_of(file).and_then(|()| can_be_written(file)));
    }
}

fn folder_of(file: &Path) -> Result<(), String> {
    let is_there = app::folder(file).is_dir();
    is_there.then_some(()).ok_or_else(|| format!("{} cannot be written: its folder is not there", file.display()))
}

/// Opens the file where there is one, and writes nothing.
fn can_be_written(file: &Path) -> Result<(), String> {
    match OpenOptions::new().append(true).open(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(format!("{} cannot be written: {error}", file.display()))
        }
        _ => Ok(()),
    }
}

async fn check_database(config: &Config, store: &Store, findings: &mut Findings) {
    let pending = match migration::status(store.db(), config.database.reference_schema).await {
        Err(error) => return findings.bad("migrations", false, error.to_string()),
        Ok(steps) => steps.iter().filter(|step| !step.applied).count(),
    };
    match pending {
        0 => findings.good("migrations", "applied"),
        n if config.database.auto_migrate => findings.good("migrations", format!("{n} pending; `serve` applies them")),
        n => findings.bad("migrations", false, format!("{n} pending; run `efface migrate up`")),
    }
    if pending == 0 {
        check_keys_fit(config, store, findings).await;
        check_log(config, store, findings).await;
    }
    match open_stores(config, store).await {
        Ok(stores) => {
            let tables: usize = stores.maps().map(|map| map.tables.len() + usize::from(map.shop.is_some())).sum();
            findings.good("data map", format!("{tables} tables, all there"));
            match data_map::default_findings(config, &stores).await {
                Ok(found) => {
                    let failing = data_map::failing(config.data_map.fail_on, &found).len();
                    let told = format!("{} finding(s), {failing} that count; see `efface data-map check`", found.len());
                    if failing == 0 { findings.good("coverage", told) } else { findings.bad("coverage", true, told) }
                }
                Err(error) => findings.bad("coverage", false, error.to_string()),
            }
            for name in stores.others() {
                match stores.other(name).await {
                    Ok((map, _)) => {
                        findings.good("data map", format!("store {name}: {} tables, all there", map.tables.len()));
                    }
                    Err(error) => findings.bad("data map", false, error.to_string()),
                }
            }
        }
        Err(AppError::Pending(_)) => {
            findings.good("data map", "compiled-in; its tables are made by the pending migrations");
        }
        Err(error) => findings.bad("data map", error.is_configuration(), told(error)),
    }
    match target::database_now(store.db()).await {
        Ok(Some(theirs)) if (theirs - Clock::system().now()).abs() > CLOCK_SKEW_MAX => {
            findings.bad("clock", false, "the database's clock and ours differ by more than 5 s");
        }
        Ok(_) => findings.good("clock", "agrees with the database's"),
        Err(error) => findings.bad("clock", false, error.to_string()),
    }
}

/// Whether the key file opens what is in the database.
async fn check_keys_fit(config: &Config, store: &Store, findings: &mut Findings) {
    let Some(file) = config.keys_file() else { return };
    if !file.exists() {
        match is_sealed_in(store).await {
            Ok(true) => {
                // Before the database was asked, they seemed to be made yet.
                findings.0.retain(|finding| finding.check != "keys");
                findings.bad("keys", true, told(AppError::KeysGone(file)));
            }
            Ok(false) => {}
            Err(error) => findings.bad("keys", false, error.to_string()),
        }
        return;
    }
    // One that cannot be read was told.
    let Ok(keyring) = Keyring::load(&file) else { return };
    let keys = ContentKeys::new(keyring.into(), store.clone(), Clock::system());
    match keys.are_of_this_database().await {
        Ok(true) => {}
        Ok(false) => findings.bad("keys", true, told(AppError::OtherKeys(file))),
        Err(error) => findings.bad("keys", false, error.to_string()),
    }
}

/// Whether the audit log is what was signed of it, with every entry that it must have.
async fn check_log(config: &Config, store: &Store, findings: &mut Findings) {
    // Before the first `serve` there is no key, and nothing signed.
    let Some(keyring) = config.keys_file().and_then(|file| Keyring::load(&file).ok()) else { return };
    match open_log(config, store, &Clock::system(), &keyring).check().await {
        Ok(()) => findings.good("audit log", "whole, and as it was signed"),
        Err(error) => findings.bad("audit log", false, error.to_string()),
    }
}

fn conclude(context: &Context, findings: &[Finding]) -> anyhow::Result<Exit> {
    if context.json() {
        output::json(&findings)?;
    } else {
        for finding in findings {
            let mark = if finding.ok { "ok  " } else { "FAIL" };
            output::raw(&format!(
                "{mark}  {:<14} {}\n",
                finding.check,
                finding.detail.trim_end().replace('\n', "\n      ")
            ))?;
        }
    }
    Ok(if findings.iter().any(|finding| finding.configuration) {
        Exit::Usage
    } else if findings.iter().all(|finding| finding.ok) {
        Exit::Done
    } else {
        Exit::Failed
    })
}
