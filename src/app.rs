//! Builds pools, keys, rooms and tasks from the configuration: the only place that knows everybody.

pub mod data_map;
mod doors;
pub mod keys;
pub mod retention;
mod signer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use entity::sealing_key::KeyPurpose;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::acceptance::carrier::Carrier;
use crate::acceptance::receiver::Receiver;
use crate::audit::Actor;
use crate::broker::{Broker, BrokerSettings};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::erasure::check::Finding;
use crate::erasure::data_map::{DataMap, Problems, REFERENCE};
use crate::erasure::mask::Masker;
use crate::erasure::stores::{Address, Stores, StoresError};
use crate::evidence::bundle::gather::Bundles;
use crate::evidence::log::{Log, LogSettings};
use crate::evidence::receipt::Signer;
use crate::export::{Exporter, LinkSettings, Packages};
use crate::hold::Holds;
use crate::http;
use crate::intake::Intake;
use crate::job::approval::{Approval, ApprovalPolicy, Planner};
use crate::job::legal_hold;
use crate::job::run::{Tools, Worker, WorkerSettings};
use crate::job::settle::Settler;
use crate::job::wake::Wake;
use crate::retry::RetryPolicy;
use crate::scheduler::{self, SchedulerSettings};
use crate::seal::{ContentKeys, Keyring, KeyringError, Pii};
use crate::shutdown::Shutdown;
use crate::store::{PoolLimits, Store, StoreError};
use crate::suppression::ledger::LedgerFile;
use crate::suppression::{Settings, Suppression, Tombstones};
use crate::webhook::Secrets;

pub use signer::signer;

/// Data requests that a process collects at the same time: each holds a connection for long.
const READERS_MAX: usize = 4;
/// How long tasks may take to come to an end once a shutdown has begun.
const GRACE: Duration = Duration::from_secs(20);

/// Why the house cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("the database at {0} cannot be used")]
    Database(String, #[source] StoreError),
    #[error("the tables could not be brought up to date")]
    Migration(#[from] migration::MigrationError),
    #[error("{0} migration(s) are pending; run `efface migrate up`, or set database.auto_migrate = true")]
    Pending(usize),
    #[error("the keys at {0} cannot be used")]
    Keys(PathBuf, #[source] KeyringError),
    #[error("keys.file is not set; make one with `efface keys generate --output FILE`, or use a SQLite file")]
    NoKeysFile,
    #[error("webhooks.secrets is empty: without the app's secret no webhook can be verified")]
    NoSecret,
    #[error("data_map.file {0} cannot be read")]
    DataMapFile(PathBuf, #[source] std::io::Error),
    #[error(transparent)]
    DataMap(#[from] Problems),
    #[error("{}", data_map::told(.0))]
    Findings(Vec<Finding>),
    #[error("cannot listen on {0}")]
    Listen(std::net::SocketAddr, #[source] std::io::Error),
}

impl AppError {
    /// Whether the configuration is at fault, as opposed to something that does not answer.
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::NoKeysFile
                | Self::NoSecret
                | Self::DataMapFile(..)
                | Self::DataMap(_)
                | Self::Findings(_)
                | Self::Keys(..)
        )
    }
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    pub http: bool,
    pub worker: bool,
    pub scheduler: bool,
}

impl Roles {
    /// Everything in one process.
    pub const ALL: Self = Self { http: true, worker: true, scheduler: true };
}

/// Opens Efface's own database.
///
/// # Errors
/// [`AppError::Database`].
pub async fn open_store(config: &Config) -> Result<Store, AppError> {
    let url = &config.database.url;
    Store::connect(url.expose(), limits(config)).await.map_err(|error| AppError::Database(url.masked(), error))
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
        }
        return Ok(());
    }
    let pending = migration::status(store.db(), reference).await?.iter().filter(|step| !step.applied).count();
    if pending == 0 { Ok(()) } else { Err(AppError::Pending(pending)) }
}

/// Reads the data map.
///
/// # Errors
/// All problems that show without a database, at once.
pub fn read_data_map(config: &Config) -> Result<DataMap, AppError> {
    let map = match &config.data_map.file {
        None => DataMap::reference(),
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(|e| AppError::DataMapFile(file.clone(), e))?;
            DataMap::parse(&text)?
        }
    };
    let keys = config.data_map.match_keys.iter();
    let keys = keys.map(|(name, secret)| (name.clone(), Pii::new(secret.expose().as_bytes().to_vec())));
    Ok(map.with_match_keys(keys.collect())?.with_retention(&config.retention.policies)?)
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
pub fn open_bundles(config: &Config, store: &Store, clock: &Clock) -> Result<Bundles, AppError> {
    let keyring = load_keys(config)?;
    let log = open_log(config, store, clock, &keyring);
    Ok(Bundles::new(store.clone(), log, signer(config, &keyring), data_map_text(config)))
}

/// Reads the data map and holds its default store's part against the live schema.
///
/// # Errors
/// All problems of the map at once.
pub async fn open_stores(config: &Config, store: &Store) -> Result<Stores, AppError> {
    let map = read_data_map(config)?;
    let limits = limits(config);
    let addresses = config.stores.iter().map(|(name, entry)| Address {
        name: name.clone(),
        url: Pii::new(entry.url.expose().to_owned()),
        limits,
    });
    match Stores::new(&map, store.clone(), addresses.collect()).await {
        Ok(stores) => Ok(stores),
        Err(StoresError::Map(problems)) => Err(problems.into()),
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

/// Reads the keys; in embedded mode they are made when there are none.
///
/// # Errors
/// [`AppError::NoKeysFile`] or [`AppError::Keys`].
pub fn load_keys(config: &Config) -> Result<Keyring, AppError> {
    let path = config.keys_file().ok_or(AppError::NoKeysFile)?;
    let made_when_missing = config.keys.file.is_none();
    if made_when_missing && !path.exists() {
        make_keys(&path)?;
    }
    Keyring::load(&path).map_err(|error| AppError::Keys(path, error))
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
pub fn open_packages(config: &Config, store: &Store, clock: Clock) -> Result<Packages, AppError> {
    let keyring = Arc::new(load_keys(config)?);
    let keys = ContentKeys::new(Arc::clone(&keyring), store.clone(), clock.clone());
    Ok(packages(config, store.clone(), keys, keyring, clock))
}

fn packages(config: &Config, store: Store, keys: ContentKeys, keyring: Arc<Keyring>, clock: Clock) -> Packages {
    let public_url = config.export.public_url.clone().unwrap_or_else(|| format!("http://{}", config.http.listen));
    let links = LinkSettings { public_url, valid: TimeDelta::hours(config.export.link_hours.into()) };
    Packages::new(store, keys, keyring, clock, links)
}

/// The room of legal holds, for a command that opens no house.
///
/// # Errors
/// When the keys or the data map cannot be used.
pub async fn open_holds(config: &Config, store: &Store, clock: &Clock) -> Result<Holds, AppError> {
    let keyring = Arc::new(load_keys(config)?);
    let stores = open_stores(config, store).await?;
    let keys = ContentKeys::new(Arc::clone(&keyring), store.clone(), clock.clone());
    Ok(build_holds(store, clock, &keyring, &keys, &stores))
}

fn build_holds(store: &Store, clock: &Clock, keyring: &Arc<Keyring>, keys: &ContentKeys, stores: &Stores) -> Holds {
    Holds::new(store.clone(), clock.clone(), Arc::clone(keyring), keys.clone(), legal_hold::reach(stores))
}

/// Leaves half of the connections to everybody else: each collection keeps one for its snapshot.
fn exporter(config: &Config, stores: &Stores, keys: &ContentKeys) -> Exporter {
    let readers = usize::try_from(config.database.connections_max / 2).unwrap_or_default().clamp(1, READERS_MAX);
    Exporter::new(stores.clone(), keys.clone(), config.export.keep_days, readers)
}

fn open_log(config: &Config, store: &Store, clock: &Clock, keyring: &Keyring) -> Log {
    let settings = LogSettings { sign_every: config.evidence.checkpoint_every, file: config.checkpoint_file() };
    Log::new(store.clone(), clock.clone(), keyring, settings)
}

/// The house with all its rooms, not yet open.
#[derive(Debug)]
pub struct App {
    config: Box<Config>,
    clock: Clock,
    store: Store,
    keys: ContentKeys,
    signer: Signer,
    exporter: Exporter,
    packages: Packages,
    intake: Intake,
    holds: Holds,
    secrets: Secrets,
    stores: Stores,
    keyring: Arc<Keyring>,
    wake: Wake,
    shutdown: Shutdown,
}

impl App {
    /// Builds every room: connects, migrates, loads keys and data map. Nothing runs yet.
    ///
    /// # Errors
    /// See [`AppError`]: the house opens only when everything that its work needs is there.
    pub async fn build(config: Config, clock: Clock, shutdown: Shutdown) -> Result<Self, AppError> {
        let secrets = Secrets::new(config.webhooks.secrets.iter().map(|secret| secret.expose().to_owned()).collect());
        if secrets.is_empty() {
            return Err(AppError::NoSecret);
        }
        let keyring = Arc::new(load_keys(&config)?);
        let store = open_store(&config).await?;
        prepare_tables(&config, &store).await?;
        let stores = open_stores(&config, &store).await?;
        data_map::require_sound(&config, &stores).await?;
        let keys = ContentKeys::new(Arc::clone(&keyring), store.clone(), clock.clone());
        let signer = signer(&config, &keyring);
        let exporter = exporter(&config, &stores, &keys);
        let packages = packages(&config, store.clone(), keys.clone(), Arc::clone(&keyring), clock.clone());
        let tombstones = Tombstones::new(Arc::clone(&keyring), stores.clone(), suppression_settings(&config));
        let prepared = tombstones.prepare_function().await;
        prepared.map_err(|error| AppError::Database(config.database.url.masked(), error))?;
        let wake = Wake::default();
        let due_days = config.jobs.due_days;
        let holds = build_holds(&store, &clock, &keyring, &keys, &stores);
        let of_map = stores.default_store().0.shop.clone().map(|shop| shop.table);
        let made = Arc::clone(&keyring);
        let intake = Intake::new(store.clone(), made, keys.clone(), clock.clone(), of_map, due_days, wake.clone());
        Ok(Self {
            config: Box::new(config),
            clock,
            store,
            keys,
            signer,
            exporter,
            packages,
            intake,
            holds,
            secrets,
            stores,
            keyring,
            wake,
            shutdown,
        })
    }

    /// The database, for whoever wants to look on.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Reads the data map once more; pools, keys and doors stay as they are.
    ///
    /// # Errors
    /// As [`open_stores`]: then the map of before stays.
    pub async fn reread_data_map(&mut self) -> Result<(), AppError> {
        self.stores = open_stores(&self.config, &self.store).await?;
        self.exporter = exporter(&self.config, &self.stores, &self.keys);
        Ok(())
    }

    /// The databases of the data map.
    pub fn stores(&self) -> &Stores {
        &self.stores
    }

    /// Where webhooks become jobs.
    pub fn intake(&self) -> &Intake {
        &self.intake
    }

    /// Legal holds.
    pub fn holds(&self) -> &Holds {
        &self.holds
    }

    /// The daily keys that payloads are sealed with.
    pub fn keys(&self) -> &ContentKeys {
        &self.keys
    }

    /// What signs receipts.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The desk that hands out data request packages.
    pub fn packages(&self) -> &Packages {
        &self.packages
    }

    /// The bell that intake rings and workers hear.
    pub fn wake(&self) -> &Wake {
        &self.wake
    }

    /// Listens where the configuration says.
    ///
    /// # Errors
    /// [`AppError::Listen`].
    pub async fn listen(&self) -> Result<TcpListener, AppError> {
        let address = self.config.http.listen;
        TcpListener::bind(address).await.map_err(|error| AppError::Listen(address, error))
    }

    /// Works in the given roles until shutdown, then brings everything to an end: the door first, then the links to the
    /// broker, claims given back.
    pub async fn serve(self, roles: Roles, listener: Option<TcpListener>) {
        if let Err(error) = self.record_keys().await {
            tracing::warn!(error = %error, "which keys are in use could not be recorded; the next start tries again");
        }
        if roles.http {
            self.have_keys_at_hand().await;
        }
        let links = Shutdown::new();
        let broker = (!self.config.broker.url.is_empty() && (roles.http || roles.worker))
            .then(|| Broker::start(self.broker_settings(), links.clone()));
        let mut doors = JoinSet::new();
        let mut rest = JoinSet::new();
        if let (true, Some(listener)) = (roles.http, listener) {
            let router = http::router(doors::doors(&self, broker.clone()));
            let settings = doors::server_settings(&self.config);
            doors.spawn(http::serve(listener, router, settings, self.shutdown.clone()));
            rest.spawn(http::Metrics::install().keep_folded(self.shutdown.clone()));
        }
        if roles.worker {
            if let Some(broker) = &broker {
                let receiver = self.receiver();
                let consumer = broker.consume(move |batch| {
                    let receiver = receiver.clone();
                    async move { receiver.receive(batch).await }
                });
                rest.spawn(async move {
                    let _ = consumer.await;
                });
            }
            let worker = self.worker();
            rest.spawn(async move { worker.run().await });
            rest.spawn(self.wake.clone().hear_others(self.store.clone(), self.shutdown.clone()));
        }
        if roles.scheduler {
            let settings = SchedulerSettings {
                rescue_every: (self.config.jobs.lease / 4).clamp(Duration::from_millis(100), Duration::from_secs(15)),
                count_every: Duration::from_secs(15),
                expire_every: Duration::from_mins(1),
            };
            rest.spawn(scheduler::run(self.settler(), self.wake.clone(), settings, self.shutdown.clone()));
            let every = self.config.evidence.checkpoint_every;
            if self.config.checkpoint_file().is_none() {
                tracing::warn!(
                    "evidence.checkpoint_file is not set: a database that is rolled back is not noticed by it"
                );
            }
            rest.spawn(scheduler::keep_log(self.log(), every, self.shutdown.clone()));
            let suppression = &self.config.suppression;
            let (ledger, every) = (suppression.ledger_file.clone().map(LedgerFile::new), suppression.sweep_every);
            let (wake, shutdown) = (self.wake.clone(), self.shutdown.clone());
            rest.spawn(scheduler::sweep(self.suppression(), ledger, wake, every, shutdown));
            rest.spawn(self.leader(self.shutdown.clone()).run());
        }
        rest.spawn(self.wake.clone().announce(self.store.clone(), self.shutdown.clone()));
        self.shutdown.cancelled().await;
        tracing::info!("stopping: finishing what is in hand");
        let end = async {
            while doors.join_next().await.is_some() {}
            links.cancel();
            while rest.join_next().await.is_some() {}
        };
        if tokio::time::timeout(GRACE, end).await.is_err() {
            tracing::warn!("some work did not end in time; leases will run out and be rescued");
        }
        self.store.close().await;
    }

    /// Writes into the audit log which keys this process works with, when it is the first.
    async fn record_keys(&self) -> Result<(), StoreError> {
        let keys = (&*self.keyring, &self.signer);
        keys::record(&self.store, &self.clock, keys, Actor::System("serve")).await.map(drop)
    }

    /// Fetches the day's keys before the first webhook comes: from then on the broker alone is enough to take one.
    async fn have_keys_at_hand(&self) {
        for purpose in [KeyPurpose::Transport, KeyPurpose::Payload] {
            if let Err(error) = self.keys.current(purpose).await {
                tracing::warn!(error = %error, "a key could not be had yet; it is fetched with the first webhook");
            }
        }
    }

    fn broker_settings(&self) -> BrokerSettings {
        let broker = &self.config.broker;
        BrokerSettings {
            prefetch: broker.prefetch,
            batch_max: broker.batch_max,
            publish_timeout: broker.publish_timeout,
            publish_channels: broker.publish_channels,
            ..BrokerSettings::new(broker.url.expose())
        }
    }

    fn receiver(&self) -> Receiver {
        let carrier = Carrier::new(self.keys.clone());
        let batch_max = self.config.broker.batch_max;
        Receiver::new(carrier, self.intake.clone(), self.secrets.clone(), self.clock.clone(), batch_max)
    }

    fn retry(&self) -> RetryPolicy {
        let jobs = &self.config.jobs;
        RetryPolicy { initial: jobs.retry_initial, max: jobs.retry_max, attempts_max: jobs.attempts_max }
    }

    /// What ends claims, and rescues those of workers that are gone.
    pub fn settler(&self) -> Settler {
        Settler { store: self.store.clone(), clock: self.clock.clone(), retry: self.retry() }
    }

    /// Shows what jobs would do.
    pub fn planner(&self) -> Planner {
        Planner {
            stores: self.stores.clone(),
            keys: self.keys.clone(),
            keyring: Arc::clone(&self.keyring),
            reinstalled: self.config.jobs.reinstalled,
        }
    }

    /// What a worker of this house works with.
    pub fn tools(&self) -> Tools {
        Tools {
            stores: self.stores.clone(),
            masker: Masker::new(Arc::clone(&self.keyring)),
            exporter: self.exporter.clone(),
            signer: self.signer.clone(),
            holds: self.holds.clone(),
            planner: self.planner(),
            tombstones: Tombstones::new(
                Arc::clone(&self.keyring),
                self.stores.clone(),
                suppression_settings(&self.config),
            ),
        }
    }

    /// Makes evidence bundles.
    pub fn bundles(&self) -> Bundles {
        Bundles::new(self.store.clone(), self.log(), self.signer.clone(), data_map_text(&self.config))
    }

    /// The audit log as a tree: sequenced, signed, served and pruned.
    pub fn log(&self) -> Log {
        open_log(&self.config, &self.store, &self.clock, &self.keyring)
    }

    /// What remembers who was erased.
    pub fn suppression(&self) -> Suppression {
        Suppression {
            store: self.store.clone(),
            stores: self.stores.clone(),
            keyring: Arc::clone(&self.keyring),
            keys: self.keys.clone(),
            clock: self.clock.clone(),
            settings: suppression_settings(&self.config),
        }
    }

    /// A worker of this house; tests drive it by hand.
    pub fn worker(&self) -> Worker {
        let jobs = &self.config.jobs;
        let settings = WorkerSettings {
            workers: jobs.workers,
            batch_jobs_max: jobs.batch_jobs_max,
            batch_rows_max: jobs.batch_rows_max,
            reinstalled: jobs.reinstalled,
            lease: jobs.lease,
            poll: jobs.poll,
            approval: ApprovalPolicy {
                approval: match jobs.approval {
                    config::Approval::Never => Approval::Never,
                    config::Approval::ShopRedact => Approval::ShopRedact,
                    config::Approval::All => Approval::All,
                },
                rows_max: jobs.approval_rows_max,
            },
            retry: self.retry(),
        };
        Worker::new(
            self.tools(),
            self.clock.clone(),
            settings,
            format!("{}-{}", std::process::id(), &crate::store::id::row()[..8]),
            self.wake.clone(),
            self.shutdown.clone(),
        )
    }
}
