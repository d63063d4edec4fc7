//! Builds pools, keys, rooms and tasks from the configuration: the only place that knows everybody.

pub mod data_map;
mod doors;
mod error;
pub mod keys;
mod open;
pub mod retention;
mod rewrap;
mod signer;

use std::sync::Arc;
use std::time::Duration;

use entity::sealing_key::KeyPurpose;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::acceptance::carrier::Carrier;
use crate::acceptance::receiver::Receiver;
use crate::audit::Actor;
use crate::broker::{Broker, BrokerSettings};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::erasure::mask::Masker;
use crate::erasure::stores::Stores;
use crate::evidence::bundle::gather::Bundles;
use crate::evidence::log::Log;
use crate::evidence::receipt::Signer;
use crate::export::{Exporter, Packages};
use crate::hold::Holds;
use crate::http;
use crate::intake::Intake;
use crate::job::approval::{Approval, ApprovalPolicy, Planner};
use crate::job::run::{Tools, Worker, WorkerSettings};
use crate::job::settle::Settler;
use crate::job::wake::Wake;
use crate::retry::RetryPolicy;
use crate::scheduler::{self, SchedulerSettings};
use crate::seal::{ContentKeys, Keyring};
use crate::shutdown::Shutdown;
use crate::store::{Store, StoreError};
use crate::suppression::ledger::LedgerFile;
use crate::suppression::{Suppression, Tombstones};
use crate::webhook::Secrets;

pub use error::AppError;
use open::{build_holds, exporter, packages};
pub use open::{
    data_map_text, folder, is_sealed_in, is_to_be_made, load_keys, open_as_it_would_be, open_bundles, open_holds,
    open_log, open_or_make_store, open_packages, open_store, open_stores, prepare_tables, read_data_map,
    suppression_settings,
};
pub use rewrap::rewrap;
pub use signer::signer;

/// How long tasks may take to come to an end once a shutdown has begun.
const GRACE: Duration = Duration::from_secs(20);

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
        let store = open_or_make_store(&config).await?;
        let keyring = Arc::new(load_keys(&config, &store).await?);
        prepare_tables(&config, &store).await?;
        let stores = open_stores(&config, &store).await?;
        data_map::require_sound(&config, &stores).await?;
        let keys = ContentKeys::new(Arc::clone(&keyring), store.clone(), clock.clone());
        let fit = keys.are_of_this_database().await;
        if !fit.map_err(|error| AppError::Database(config.database.url.masked(), error))? {
            return Err(AppError::OtherKeys(config.keys_file().unwrap_or_default()));
        }
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
        // Before any room is opened: a handle that is made earlier counts into the void.
        let metrics = roles.http.then(http::Metrics::install);
        let links = Shutdown::new();
        let broker = (!self.config.broker.url.is_empty() && (roles.http || roles.worker))
            .then(|| Broker::start(self.broker_settings(), links.clone()));
        let mut doors = JoinSet::new();
        let mut rest = JoinSet::new();
        if let (true, Some(listener)) = (roles.http, listener) {
            let of_http = doors::doors(&self, broker.clone());
            let api = of_http.api.clone();
            let served = http::serve(
                listener,
                http::router(of_http),
                doors::server_settings(&self.config),
                self.shutdown.clone(),
            );
            doors.spawn(async move {
                served.await;
                http::close(&api).await;
            });
        }
        if let Some(metrics) = metrics {
            rest.spawn(metrics.keep_folded(self.shutdown.clone()));
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
