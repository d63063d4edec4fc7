//! A whole house over a database of its own, once per test: the same test runs on SQLite and on PostgreSQL.
//!
//! Tests drive the worker by hand and move the clock; nothing waits for time to pass. A house that is dropped while
//! jobs still wait to be worked makes its test fail, unless the test said that it leaves some.

mod contents;
mod database;
mod faults;
mod town;
mod webhooks;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use efface::app::App;
use efface::audit::Actor;
use efface::clock::Clock;
use efface::config::{Config, LoadOptions, Override};
use efface::erasure::execute::{Hands, Step};
use efface::erasure::progress::Progress;
use efface::erasure::reinstall::Policy;
use efface::erasure::subject::Target;
use efface::evidence::horizon::{Horizon, Stated};
use efface::evidence::receipt::Signer;
use efface::evidence::statement::StatedBy;
use efface::intake::Arrival;
use efface::job::command::{self, Command, CommandError};
use efface::job::rescue::{RescueSummary, rescue};
use efface::seal::Keyring;
use efface::shutdown::Shutdown;
use efface::store::gdpr_job::{self, Claimed};
use efface::store::{Store, WriteTransaction};
use entity::gdpr_job::{Entity, JobStatus, Model};
use sea_orm::{ConnectionTrait as _, DbBackend, EntityTrait as _, Statement};

pub use contents::Row;
pub use database::Database;
pub use town::{ADA, BEA, CYD, FEEDBACK, TABLES};
pub use webhooks::{EMAIL, PHONE, SECRET, Webhook};

/// Longest time that a test waits for something that must happen: far less than the worker's poll of 300 s.
pub const PATIENCE: Duration = Duration::from_mins(1);
/// The lease of workers in tests, in milliseconds.
pub const LEASE_MS: i64 = 60_000;

/// A setting that differs from the default: key and value.
pub type Setting<'a> = (&'static str, &'a str);

/// What became of a webhook that asks for a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub job_id: String,
    pub duplicate: bool,
}

impl From<efface::intake::Accepted> for Accepted {
    fn from(accepted: efface::intake::Accepted) -> Self {
        Self { job_id: accepted.job_id.expect("a webhook that asks for a job"), duplicate: accepted.duplicate }
    }
}

pub struct House {
    database: Database,
    pub clock: Clock,
    pub shutdown: Shutdown,
    app: App,
    jobs_may_be_left: AtomicBool,
}

impl House {
    pub async fn sqlite() -> Self {
        Self::over(Database::sqlite()).await
    }

    pub async fn postgres() -> Self {
        Self::over(Database::postgres().await).await
    }

    pub async fn over(database: Database) -> Self {
        let (clock, shutdown) = (Clock::system(), Shutdown::new());
        let app = build(&database, &[], clock.clone(), shutdown.clone()).await;
        Self { database, clock, shutdown, app, jobs_may_be_left: AtomicBool::new(false) }
    }

    /// A house beside an app's tables, without those of the reference app.
    pub async fn beside(database: Database, settings: &[Setting<'_>]) -> Self {
        let (clock, shutdown) = (Clock::system(), Shutdown::new());
        let settings: Vec<Setting<'_>> =
            settings.iter().copied().chain([("database.reference_schema", "false")]).collect();
        let app = build(&database, &settings, clock.clone(), shutdown.clone()).await;
        Self { database, clock, shutdown, app, jobs_may_be_left: AtomicBool::new(false) }
    }

    /// The same house under other settings.
    pub async fn with(mut self, settings: &[Setting<'_>]) -> Self {
        self.app = self.another(settings).await;
        self
    }

    /// A second process over the same database and clock, with pools, locks and bells of its own.
    pub async fn another(&self, settings: &[Setting<'_>]) -> App {
        build(&self.database, settings, self.clock.clone(), self.shutdown.clone()).await
    }

    /// A process that is told to stop on its own.
    pub async fn another_until(&self, settings: &[Setting<'_>], shutdown: &Shutdown) -> App {
        build(&self.database, settings, self.clock.clone(), shutdown.clone()).await
    }

    pub fn app(&self) -> &App {
        &self.app
    }

    pub fn store(&self) -> &Store {
        self.app.store()
    }

    /// Where its database is.
    pub fn url(&self) -> String {
        self.database.url()
    }

    pub fn keys_file(&self) -> String {
        self.database.keys_file()
    }

    pub fn is_sqlite(&self) -> bool {
        self.store().backend() == DbBackend::Sqlite
    }

    /// What the built program needs to work on the same database, as variables.
    pub fn environment(&self) -> [(&'static str, String); 3] {
        [
            ("EFFACE__DATABASE__URL", self.database.url()),
            ("EFFACE__KEYS__FILE", self.database.keys_file()),
            ("EFFACE__WEBHOOKS__SECRETS", SECRET.to_owned()),
        ]
    }

    /// This test is about jobs that are not worked to their end.
    pub fn leaves_jobs(&self) {
        self.jobs_may_be_left.store(true, Ordering::Relaxed);
    }

    pub fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
    }

    /// Moves the clock past every lease taken until now.
    pub fn let_leases_expire(&self) {
        self.advance(TimeDelta::milliseconds(LEASE_MS + 1_000));
    }

    /// Moves the clock past every retry that may be planned by now.
    pub fn let_retries_come_due(&self) {
        self.advance(TimeDelta::hours(2));
    }

    /// Takes webhooks in as one batch.
    pub async fn accept(&self, webhooks: &[Webhook]) -> Vec<Accepted> {
        let arrivals = webhooks.iter().map(|webhook| self.arrival(webhook)).collect();
        self.app.intake().accept(arrivals).await.unwrap().into_iter().map(Accepted::from).collect()
    }

    /// Takes one webhook in, and returns the id of its job.
    pub async fn post(&self, webhook: &Webhook) -> String {
        self.accept(std::slice::from_ref(webhook)).await.remove(0).job_id
    }

    pub fn arrival(&self, webhook: &Webhook) -> Arrival {
        Arrival { delivery: webhook.delivery(), source: entity::source::Source::Http, received_at: self.clock.now() }
    }

    /// Looks at the queue once.
    pub async fn tick(&self) -> usize {
        self.app.worker().tick().await.unwrap().claimed
    }

    /// Looks at the queue until nothing is due.
    pub async fn work(&self) {
        let worker = self.app.worker();
        while worker.tick().await.unwrap().claimed > 0 {}
    }

    /// Posts one webhook, works it, and returns its job.
    pub async fn done(&self, webhook: &Webhook) -> Model {
        let id = self.post(webhook).await;
        self.work().await;
        self.job(&id).await
    }

    /// Takes claims as a worker of another process would, to act for it step by step.
    pub async fn claim(&self, owner: &str, limit: u64) -> Vec<Claimed> {
        gdpr_job::claim(self.store(), &self.clock, owner, LEASE_MS, limit).await.unwrap().good
    }

    /// One transaction's worth of a shop's erasure, in the caller's transaction.
    pub async fn shop_step(&self, tx: &WriteTransaction, domain: &str, progress: &mut Progress, rows_max: u64) -> Step {
        let tools = self.app().tools();
        let map = tools.stores.default_store().0;
        let hands = Hands {
            conn: &**tx,
            map,
            masker: &tools.masker,
            rows_max,
            reinstalled: Policy::Hold,
            one_by_one: &AtomicBool::new(false),
        };
        hands.shop_step(&Target::of_shop(domain), progress).await.unwrap()
    }

    pub async fn rescue(&self) -> RescueSummary {
        rescue(&self.app.settler(), self.app.wake()).await.unwrap()
    }

    /// The wish to withdraw a job.
    pub fn cancel(&self, reason: &str) -> Command {
        Command::Cancel { reason: reason.to_owned(), signer: self.app.signer().clone() }
    }

    pub async fn command(&self, id: &str, command: Command) -> Result<Model, CommandError> {
        let actor = Actor::Operator("ops".to_owned());
        command::apply(self.store(), &self.clock, self.app.wake(), actor, id, command).await
    }

    pub async fn job(&self, id: &str) -> Model {
        Entity::find_by_id(id.to_owned()).one(self.store().db()).await.unwrap().unwrap()
    }

    pub async fn jobs(&self) -> Vec<Model> {
        Entity::find().all(self.store().db()).await.unwrap()
    }

    pub async fn webhook_log(&self) -> Vec<entity::webhook_log::Model> {
        entity::webhook_log::Entity::find().all(self.store().db()).await.unwrap()
    }

    pub async fn execute(&self, sql: &str) {
        self.store().db().execute_unprepared(sql).await.unwrap();
    }

    /// A number that a statement gives in its column `n`.
    pub async fn number(&self, sql: &str) -> i64 {
        let statement = Statement::from_string(self.store().backend(), sql);
        self.store().db().query_one_raw(statement).await.unwrap().unwrap().try_get("", "n").unwrap()
    }

    /// Waits until a statement gives true in its column `is`.
    pub async fn until(&self, sql: &str) {
        let look = async {
            loop {
                let statement = Statement::from_string(self.store().backend(), sql);
                let row = self.store().db().query_one_raw(statement).await.unwrap();
                if row.is_some_and(|row| row.try_get("", "is").unwrap()) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("never came true: {sql}"));
    }

    /// The end of a test: which jobs are left, and the database gone.
    async fn end(&self) -> Result<Vec<String>, sea_orm::DbErr> {
        let work = [JobStatus::Queued, JobStatus::Processing, JobStatus::Retrying];
        let jobs = Entity::find().all(self.store().db()).await;
        self.shutdown.cancel();
        self.store().close().await;
        self.database.remove().await?;
        let left = jobs?.into_iter().filter(|job| work.contains(&job.status));
        Ok(left.map(|job| format!("{} {} {:?}", job.id, job.status, job.error_message)).collect())
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let left = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(self.end()));
        if std::thread::panicking() || self.jobs_may_be_left.load(Ordering::Relaxed) {
            return;
        }
        let left = left.unwrap();
        assert!(left.is_empty(), "the test leaves jobs that nobody works: {left:#?}");
    }
}

/// A signer with a key of its own.
pub fn signer() -> Signer {
    let days = |days| Stated { days, by: StatedBy::Default };
    let horizon = Horizon {
        dead_rows: days(30),
        write_ahead_log: days(7),
        replicas: days(1),
        backups: days(35),
        broker: days(0),
    };
    Signer::new(&Keyring::generate(), horizon, 3650)
}

async fn build(database: &Database, settings: &[Setting<'_>], clock: Clock, shutdown: Shutdown) -> App {
    let mut overrides = vec![
        ("database.url", database.url()),
        ("keys.file", database.keys_file()),
        ("webhooks.secrets", SECRET.to_owned()),
        // Most tests bring tables and maps that are about something else; `data_map::serve` is about this.
        ("data_map.fail_on", "never".to_owned()),
        ("jobs.poll_seconds", "300".to_owned()),
        ("jobs.lease_seconds", (LEASE_MS / 1_000).to_string()),
    ];
    overrides.extend(settings.iter().map(|(key, value)| (*key, (*value).to_owned())));
    let overrides = overrides.into_iter().map(|(key, value)| Override { key, flag: "the test", value }).collect();
    let config = Config::load(&LoadOptions { overrides, ..LoadOptions::default() }).unwrap();
    // Before the house does it: what it applies is an entry of the audit log, and tests count entries.
    let tables = efface::app::open_or_make_store(&config).await.unwrap();
    migration::up(tables.db(), config.database.reference_schema).await.unwrap();
    tables.close().await;
    Box::pin(App::build(config, clock, shutdown)).await.unwrap()
}

/// Compiles each test twice: into `mod sqlite` and into `mod postgres`, which needs a server.
macro_rules! both_databases {
    ($($(#[doc = $doc:literal])* async fn $name:ident($house:ident: House) $body:block)+) => {
        $($(#[doc = $doc])* async fn $name($house: House) $body)+

        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name(crate::house::House::sqlite().await).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name(crate::house::House::postgres().await).await;
            })+
        }
    };
}

/// As [`both_databases`], for what only a server can do.
macro_rules! on_postgres {
    ($($(#[doc = $doc:literal])* async fn $name:ident($house:ident: House) $body:block)+) => {
        mod server {
            use super::*;
            $($(#[doc = $doc])* pub async fn $name($house: House) $body)+

            mod postgres {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $name() {
                    super::$name(crate::house::House::postgres().await).await;
                })+
            }
        }
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[should_panic(expected = "the test leaves jobs that nobody works")]
async fn a_test_that_leaves_jobs_unworked_fails() {
    let house = House::sqlite().await;
    house.post(&Webhook::shop_redact(ADA)).await;
}
