//! Opens single parts of the house: the database, the keys, the map, and rooms that a command needs without the rest.

use std::path::Path;
use std::sync::Arc;

use chrono::TimeDelta;
use entity::audit_log::Action;
use serde_json::json;

use super::{AppError, signer};
use crate::audit::{self, Actor, Entry};
use crate::clock::Clock;
use crate::config::Config;
use crate::erasure::data_map::{DataMap, Draft, REFERENCE};
use crate::erasure::stores::{Address, Stores, StoresError};
use crate::evidence::bundle::gather::Bundles;
use crate::evidence::log::{Log, LogSettings};
use crate::export::{Exporter, LinkSettings, Packages};
use crate::hold::Holds;
use crate::job::legal_hold;
use crate::seal::{ContentKeys, Keyring, KeyringError, Pii};
use crate::store::{PoolLimits, Store, StoreError, content_key};
use crate::suppression::Settings;

/// Data requests that a process collects at the same time: each holds a connection for long.
const READERS_MAX: usize = 4;

/// Opens Efface's own database, for a command that works with one that is there: in the wrong folder it makes no new file.
///
/// # Errors
/// [`AppError::Database`].
pub async fn open_store(config: &Config) -> Result<Store, AppError> {
    let opened = Store::connect_existing(config.database.url.expose(), limits(config)).await;
    opened.map_err(|error| own_database(config, error))
}

/// Opens Efface's own database, and makes the SQLite file when there is none and its URL says so.
///
/// # Errors
/// [`AppError::Database`].
pub async fn open_or_make_store(config: &Config) -> Result<Store, AppError> {
    let opened = Store::connect(config.database.url.expose(), limits(config)).await;
    opened.map_err(|error| own_database(config, error))
}

/// Whether `serve` would make the SQLite file: it is not there, and its folder is.
pub fn is_to_be_made(config: &Config) -> bool {
    let url = config.database.url.expose();
    let makes = url.split_once('?').is_some_and(|(_, query)| query.split('&').any(|pair| pair == "mode=rwc"));
    makes && config.database.sqlite_file().is_some_and(|file| !file.exists() && folder(&file).is_dir())
}

/// The folder that a file is in, or would be.
pub fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Opens Efface's own database for a command that tells what `serve` would find. For a SQLite file that is only to be made,
/// an empty database in memory stands in.
///
/// # Errors
/// [`AppError::Database`].
pub async fn open_as_it_would_be(config: &Config) -> Result<Store, AppError> {
    if !is_to_be_made(config) {
        return open_store(config).await;
    }
    Store::connect("sqlite::memory:", limits(config)).await.map_err(|error| own_database(config, error))
}

fn own_database(config: &Config, error: StoreError) -> AppError {
    AppError::Database(format!("{} (database.url)", config.database.url.masked()), error)
}

fn limits(config: &Config) -> PoolLimits {
    PoolLimits {
        connections_max: config.database.connections_max,
        idle_in_transaction_timeout: config.jobs.lease,
        ..PoolLimits::default()
    }
}

/// Brings the tables up to date, or makes sure that they are.
///
/// # Errors
/// [`AppError::Migration`], or [`AppError::Pending`] when it may not change them.
pub async fn prepare_tables(config: &Config, store: &Store) -> Result<(), AppError> {
    let reference = config.database.reference_schema;
    if config.database.auto_migrate {
        let applied = migration::up(store.db(), reference).await?;
        if !applied.steps.is_empty() {
            tracing::info!(steps = ?applied.steps, "applied migrations");
            let entry = Entry {
                actor: Actor::System("migrations"),
                action: Action::Update,
                resource_type: "Schema",
                resource_id: "*".to_owned(),
                shop_domain: None,
                metadata: json!({ "steps": applied.steps }),
            };
            audit::record(store, &Clock::system(), vec![entry])
                .await
                .map_err(|error| AppError::Database(config.database.url.masked(), error))?;
        }
        return Ok(());
    }
    let pending = pending(config, store).await?;
    if pending == 0 { Ok(()) } else { Err(AppError::Pending(pending)) }
}

/// How many migrations are not applied yet.
///
/// # Errors
/// [`AppError::Migration`].
pub async fn pending(config: &Config, store: &Store) -> Result<usize, AppError> {
    let steps = migration::status(store.db(), config.database.reference_schema).await?;
    Ok(steps.iter().filter(|step| !step.applied).count())
}

/// Reads the data map.
///
/// # Errors
/// All problems that show without a database, at once.
pub fn read_data_map(config: &Config) -> Result<DataMap, AppError> {
    Ok(draft_data_map(config)?.whole()?)
}

/// Reads the data map, with what is wrong with it and with what the configuration says of it.
///
/// # Errors
/// When the file cannot be read, or is no map at all.
pub fn draft_data_map(config: &Config) -> Result<Draft, AppError> {
    let draft = match &config.data_map.file {
        None => Draft::read(REFERENCE)?,
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(|e| AppError::DataMapFile(file.clone(), e))?;
            Draft::read(&text)?
        }
    };
    let keys = config.data_map.match_keys.iter();
    let keys = keys.map(|(name, secret)| (name.clone(), Pii::new(secret.expose().as_bytes().to_vec())));
    Ok(draft.with_match_keys(keys.collect()).with_retention(&config.retention.policies))
}

/// The data map's text, as bundles enclose it; none when its file cannot be read any more.
pub fn data_map_text(config: &Config) -> Option<String> {
    let file = config.data_map.file.as_ref();
    file.map_or_else(|| Some(REFERENCE.to_owned()), |file| std::fs::read_to_string(file).ok())
}

/// Makes what gathers evidence bundles, for commands that need no more of the house.
///
/// # Errors
/// When the keys cannot be used.
pub async fn open_bundles(config: &Config, store: &Store, clock: &Clock) -> Result<Bundles, AppError> {
    let keyring = load_keys(config, store).await?;
    let log = open_log(config, store, clock, &keyring);
    Ok(Bundles::new(store.clone(), log, signer(config, &keyring), data_map_text(config)))
}

/// Reads the data map and holds its default store's part against the live schema.
///
/// # Errors
/// All problems of the map at once; [`AppError::Pending`] when it is the compiled-in one and its tables are not made yet.
pub async fn open_stores(config: &Config, store: &Store) -> Result<Stores, AppError> {
    let draft = draft_data_map(config)?;
    let limits = limits(config);
    let addresses = config.stores.iter().map(|(name, entry)| Address {
        name: name.clone(),
        url: Pii::new(entry.url.expose().to_owned()),
        limits,
    });
    match Stores::new(draft, store.clone(), addresses.collect()).await {
        Ok(stores) => Ok(stores),
        Err(StoresError::Map(problems)) => match pending(config, store).await? {
            // The tables of the compiled-in map are made by the migrations.
            steps if steps > 0 && config.data_map.file.is_none() => Err(AppError::Pending(steps)),
            _ => Err(problems.into()),
        },
        Err(StoresError::Store(error)) => Err(AppError::Database(config.database.url.masked(), error)),
    }
}

/// What the configuration says of tombstones.
pub fn suppression_settings(config: &Config) -> Settings {
    let hours = config.suppression.sweeps_hours.iter();
    Settings {
        keep: TimeDelta::days(i64::from(config.suppression.keep_days)),
        sweeps: hours.map(|hours| TimeDelta::hours(i64::from(*hours))).collect(),
        function: config.suppression.sql_function,
        due: TimeDelta::days(i64::from(config.jobs.due_days)),
    }
}

/// Reads the keys; in embedded mode they are made when there are none, for a database that was used with none.
///
/// # Errors
/// [`AppError::NoKeysFile`], [`AppError::Keys`] or [`AppError::KeysGone`].
pub async fn load_keys(config: &Config, store: &Store) -> Result<Keyring, AppError> {
    let path = config.keys_file().ok_or(AppError::NoKeysFile)?;
    let made_when_missing = config.keys.file.is_none();
    if made_when_missing && !path.exists() {
        let used = is_sealed_in(store).await;
        if used.map_err(|error| AppError::Database(config.database.url.masked(), error))? {
            // Another process of the same start may have made them, and used them, while we asked.
            if !path.exists() {
                return Err(AppError::KeysGone(path));
            }
        }
        make_keys(&path)?;
    }
    Keyring::load(&path).map_err(|error| AppError::Keys(path, error))
}

/// Whether something was sealed in this database. In one without its tables nothing was.
///
/// # Errors
/// When the database does not answer.
pub async fn is_sealed_in(store: &Store) -> Result<bool, StoreError> {
    match content_key::newest(store).await {
        Ok(newest) => Ok(newest.is_some()),
        Err(StoreError::Refused(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

fn make_keys(path: &Path) -> Result<(), AppError> {
    match Keyring::generate().write_new(path) {
        Ok(()) => {
            tracing::info!(file = %path.display(), "made new keys; back this file up, and keep it apart from the database");
            Ok(())
        }
        // Another process of the same start was faster: its keys are ours.
        Err(KeyringError::Exists { .. }) => Ok(()),
        Err(error) => Err(AppError::Keys(path.to_owned(), error)),
    }
}

/// The desk that hands out data request packages, for a process that runs nothing else.
///
/// # Errors
/// [`AppError::NoKeysFile`] or [`AppError::Keys`].
pub async fn open_packages(config: &Config, store: &Store, clock: Clock) -> Result<Packages, AppError> {
    let keyring = Arc::new(load_keys(config, store).await?);
    let keys = ContentKeys::new(Arc::clone(&keyring), store.clone(), clock.clone());
    Ok(packages(config, store.clone(), keys, keyring, clock))
}

pub(super) fn packages(
    config: &Config,
    store: Store,
    keys: ContentKeys,
    keyring: Arc<Keyring>,
    clock: Clock,
) -> Packages {
    let public_url = config.export.public_url.clone().unwrap_or_else(|| format!("http://{}", config.http.listen));
    let links = LinkSettings { public_url, valid: TimeDelta::hours(config.export.link_hours.into()) };
    Packages::new(store, keys, keyring, clock, links)
}

/// The room of legal holds, for a command that opens no house.
///
/// # Errors
/// When the keys or the data map cannot be used.
pub async fn open_holds(config: &Config, store: &Store, clock: &Clock) -> Result<Holds, AppError> {
    let keyring = Arc::new(load_keys(config, store).await?);
    let stores = open_stores(config, store).await?;
    let keys = ContentKeys::new(Arc::clone(&keyring), store.clone(), clock.clone());
    Ok(build_holds(store, clock, &keyring, &keys, &stores))
}

pub(super) fn build_holds(
    store: &Store,
    clock: &Clock,
    keyring: &Arc<Keyring>,
    keys: &ContentKeys,
    stores: &Stores,
) -> Holds {
    Holds::new(store.clone(), clock.clone(), Arc::clone(keyring), keys.clone(), legal_hold::reach(stores))
}

/// Leaves half of the connections to everybody else: each collection keeps one for its snapshot.
pub(super) fn exporter(config: &Config, stores: &Stores, keys: &ContentKeys) -> Exporter {
    let readers = usize::try_from(config.database.connections_max / 2).unwrap_or_default().clamp(1, READERS_MAX);
    Exporter::new(stores.clone(), keys.clone(), config.export.keep_days, readers)
}

/// The audit log, as a process with this configuration keeps it.
pub fn open_log(config: &Config, store: &Store, clock: &Clock, keyring: &Keyring) -> Log {
    let settings = LogSettings { sign_every: config.evidence.checkpoint_every, file: config.checkpoint_file() };
    Log::new(store.clone(), clock.clone(), keyring, settings)
}
