//! Runs cases through the house: the same configuration, intake and worker as `serve` has, over real databases.

use std::fmt::Write as _;

use efface::app::App;
use entity::gdpr_job::JobStatus;
use sea_orm::{ConnectOptions, ConnectionTrait as _, DatabaseConnection, DbErr, Statement};
use serde_json::{Value as Json, json};

use super::compare::{Snapshot, differences, wrong_figures};
use super::map_file::toml;
use super::oracle::{self, MATCH_KEY};
use super::schema::{Case, Dialect, Job, Topic};
use super::words::SHOPS;
use super::{shrink, sql};
use crate::house::{Database, House, Webhook};

/// Rows that one step may take from a shop, where a case says that steps are small.
const SMALL_STEP: &str = "3";
/// Smaller cases that are tried before the smallest one found is told.
const TRIES_MAX: u64 = 1_000;

/// Worlds that cases are run in at the same time.
const LANES: u64 = 2;

/// Databases that cases are run on, one after the other.
pub struct World {
    house: House,
    dialect: Dialect,
    /// The default store's connection and those of the others, in the order of [`super::schema::Case::stores`].
    connections: Vec<DatabaseConnection>,
    others: Vec<Database>,
    /// Two processes over the default store, which read the data map anew for each case: one takes whole shops in steps of
    /// a few rows.
    apps: [App; 2],
    map_file: std::path::PathBuf,
    folder: tempfile::TempDir,
    run: u32,
}

/// Why a case is not what the model says.
#[derive(Debug)]
pub struct Failure {
    /// Cases that fail differently do not fail for the same reason.
    kind: &'static str,
    told: String,
}

fn failure(kind: &'static str, told: impl std::fmt::Display) -> Failure {
    Failure { kind, told: told.to_string() }
}

impl World {
    pub async fn new(dialect: Dialect) -> Self {
        let house = match dialect {
            Dialect::Sqlite => House::over(Database::sqlite_in_memory()).await,
            Dialect::Postgres => House::postgres().await,
        };
        let second = match dialect {
            Dialect::Sqlite => Database::sqlite_in_memory(),
            Dialect::Postgres => Database::postgres().await,
        };
        let others = vec![second, Database::sqlite_in_memory()];
        let mut connections = vec![house.store().db().clone()];
        for other in &others {
            let mut options = ConnectOptions::new(other.url());
            options.max_connections(1).sqlx_logging(false);
            connections.push(sea_orm::Database::connect(options).await.unwrap());
        }
        let folder = tempfile::tempdir().unwrap();
        for connection in &connections {
            if connection.get_database_backend() == sea_orm::DbBackend::Postgres {
                // What is left of a crash is of no interest here; a commit need not wait for the disk.
                let sql = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$";
                connection.execute_unprepared(sql).await.unwrap();
            }
        }
        let map_file = folder.path().join("data-map.toml");
        std::fs::write(&map_file, "version = 1\n").unwrap();
        let (file, second, third) = (map_file.display().to_string(), others[0].url(), others[1].url());
        let settings = |step: &'static str| {
            [
                ("data_map.file", file.as_str()),
                ("data_map.match_keys.crm", MATCH_KEY),
                ("stores.second.url", second.as_str()),
                ("stores.third.url", third.as_str()),
                ("jobs.batch_rows_max", step),
            ]
        };
        let apps = [house.another(&settings("5000")).await, house.another(&settings(SMALL_STEP)).await];
        Self { house, dialect, connections, others, apps, map_file, folder, run: 0 }
    }

    pub async fn close(self) {
        for app in self.apps {
            app.store().close().await;
        }
        for connection in self.connections.into_iter().skip(1) {
            connection.close().await.unwrap();
        }
        for other in self.others {
            other.remove().await.unwrap();
        }
        self.folder.close().unwrap();
    }

    /// Runs a case. One that fails is made smaller, and told.
    pub async fn hold(&mut self, case: &Case, tries_max: u64) -> Result<(), String> {
        let Err(mut found) = self.run(case).await else { return Ok(()) };
        let mut smallest = case.clone();
        let mut tries = 0;
        let (mut place, mut candidates) = (0, shrink::smaller(&smallest));
        let mut any = false;
        while tries < tries_max {
            let Some(smaller) = candidates.get(place) else {
                if !any {
                    break;
                }
                // Once more from the start, until a whole pass finds nothing that could be left out.
                (place, any) = (0, false);
                continue;
            };
            if !oracle::is_sound(smaller) {
                place += 1;
                continue;
            }
            tries += 1;
            match self.run(smaller).await {
                Err(failure) if failure.kind == found.kind => {
                    (smallest, found, any) = (smaller.clone(), failure, true);
                    candidates = shrink::smaller(&smallest);
                }
                _ => place += 1,
            }
        }
        Err(self.told(&smallest, &found))
    }

    async fn run(&mut self, case: &Case) -> Result<(), Failure> {
        self.run += 1;
        let made = self.make(case).await;
        let result = match made {
            Ok(()) => self.run_jobs(case).await,
            Err(error) => Err(failure("setup", error)),
        };
        for store in 0..case.stores.len() {
            let dropped = self.connections[store].execute_unprepared(&sql::drop(case, store, self.run)).await;
            if result.is_ok() {
                dropped.map_err(|error| failure("dropping", error))?;
            }
        }
        if result.is_err() {
            // What is left of it must not be worked with the next case's map.
            self.house.execute(r#"DELETE FROM "GDPRJob""#).await;
        }
        result
    }

    async fn make(&self, case: &Case) -> Result<(), DbErr> {
        for (store, connection) in self.connections.iter().enumerate().take(case.stores.len()) {
            let sql = format!("BEGIN;\n{}COMMIT;", sql::create(case, store, self.run));
            if let Err(error) = connection.execute_unprepared(&sql).await {
                let _ = connection.execute_unprepared("ROLLBACK").await;
                return Err(error);
            }
        }
        Ok(())
    }

    async fn run_jobs(&mut self, case: &Case) -> Result<(), Failure> {
        std::fs::write(&self.map_file, toml(case, self.run)).unwrap();
        let app = &mut self.apps[usize::from(case.small_steps)];
        app.reread_data_map().await.map_err(|error| failure("map", format!("{error:?}")))?;
        let mut model = case.clone();
        let rounds: Vec<&[Job]> =
            if case.together { vec![&case.jobs] } else { case.jobs.iter().map(std::slice::from_ref).collect() };
        let mut rows = self.snapshot(case).await;
        for jobs in rounds {
            rows = self.round(&self.apps[usize::from(case.small_steps)], &mut model, jobs, &rows).await?;
        }
        Ok(())
    }

    /// Posts jobs, works them, and holds results and tables against the model, which goes on from there.
    /// `before` is what the tables hold until now; the answer is what they hold afterwards.
    async fn round(&self, app: &App, model: &mut Case, jobs: &[Job], before: &Snapshot) -> Result<Snapshot, Failure> {
        let arrivals = jobs.iter().map(|job| self.house.arrival(&webhook(job))).collect();
        let accepted = app.intake().accept(arrivals).await.map_err(|error| failure("intake", error))?;
        let worker = app.worker();
        while worker.tick().await.map_err(|error| failure("tick", error))?.claimed > 0 {}
        let mut all = oracle::Expected::default();
        let mut wrong = Vec::new();
        for (job, accepted) in jobs.iter().zip(&accepted) {
            let expected = oracle::expect(model, job);
            let row = self.house.job(accepted.job_id.as_deref().unwrap()).await;
            if row.status != JobStatus::Completed {
                let told = format!(
                    "the job for {} is {}: {:?} {:?}",
                    body(job),
                    row.status,
                    row.error_message,
                    row.hold_reason
                );
                return Err(failure("job", told));
            }
            let figures = wrong_figures(&expected, row.result.as_ref().unwrap_or(&Json::Null));
            wrong.extend(
                figures.into_iter().map(|figure| format!("{figure}, in the result of the job for {}", body(job))),
            );
            all.deleted.extend(expected.deleted);
            all.masked.extend(expected.masked);
        }
        let after = self.snapshot(model).await;
        let rows = differences(model, before, &after, &all);
        if !rows.is_empty() {
            return Err(failure("rows", rows.join("\n")));
        }
        if !wrong.is_empty() {
            return Err(failure("figures", wrong.join("\n")));
        }
        oracle::apply(model, &all);
        Ok(after)
    }

    async fn snapshot(&self, case: &Case) -> Snapshot {
        let mut snapshot = Snapshot::new();
        for (store, connection) in self.connections.iter().enumerate().take(case.stores.len()) {
            let sql = sql::read(case, store, self.run);
            if sql.is_empty() {
                continue;
            }
            let statement = Statement::from_string(connection.get_database_backend(), sql);
            for row in connection.query_all_raw(statement).await.unwrap() {
                let (place, no): (i64, i64) = (row.try_get("", "place").unwrap(), row.try_get("", "no").unwrap());
                let cells: String = row.try_get("", "cells").unwrap();
                let name = (usize::try_from(place).unwrap(), no);
                let twice = snapshot.insert(name, serde_json::from_str(&cells).unwrap());
                assert!(twice.is_none(), "row {no} is there twice");
            }
        }
        snapshot
    }

    fn told(&self, case: &Case, failure: &Failure) -> String {
        let mut told = format!(
            "\n══ EFFACE_MODEL_SEED={} on {:?} ({}){}{}\n{}\n",
            case.seed,
            self.dialect,
            failure.kind,
            if case.together { ", jobs together" } else { "" },
            if case.small_steps { ", small steps" } else { "" },
            failure.told,
        );
        let _ = writeln!(told, "── the map\n{}", toml(case, self.run));
        for (place, store) in case.stores.iter().enumerate() {
            let _ =
                writeln!(told, "── store {} ({:?})\n{}", store.name, store.dialect, sql::create(case, place, self.run));
        }
        for job in &case.jobs {
            let _ = writeln!(told, "── {} {}", topic(job), body(job));
        }
        told
    }
}

fn topic(job: &Job) -> &'static str {
    match job.topic {
        Topic::CustomersRedact => "customers/redact",
        Topic::ShopRedact => "shop/redact",
        Topic::DataRequest => "customers/data_request",
    }
}

/// The body as the platform sends it.
fn body(job: &Job) -> Json {
    let shop = &SHOPS[job.shop];
    let mut body = json!({ "shop_domain": shop.domain });
    if job.numbered {
        body["shop_id"] = shop.number.into();
    }
    if job.topic == Topic::ShopRedact {
        return body;
    }
    let orders: Vec<Json> = job.orders.iter().map(super::schema::Id::json).collect();
    let customer = job.customer.as_ref().map(super::schema::Id::json);
    body["customer"] = json!({ "id": customer, "email": job.email, "phone": job.phone });
    if job.topic == Topic::DataRequest {
        body["data_request"] = json!({ "id": 9_999 });
        body["orders_requested"] = orders.into();
    } else {
        body["orders_to_redact"] = orders.into();
    }
    body
}

fn webhook(job: &Job) -> Webhook {
    Webhook::new(topic(job), body(job).to_string())
}

/// Runs the cases that the environment asks for, or the suite's own.
pub async fn campaign(dialect: Dialect) {
    let number = |name: &str| {
        std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap_or_else(|_| panic!("{name} is no number")))
    };
    let one = number("EFFACE_MODEL_SEED");
    let first = one.or_else(|| number("EFFACE_MODEL_FIRST")).unwrap_or(0);
    let cases = if one.is_some() { 1 } else { number("EFFACE_MODEL_CASES").unwrap_or(super::CASES) };
    let seeds = first..first + cases;
    let tries_max = number("EFFACE_MODEL_TRIES").unwrap_or(TRIES_MAX);
    let failures_max = number("EFFACE_MODEL_FAILURES").unwrap_or(1);
    let began = std::time::Instant::now();
    let lane = |lane: u64| {
        let seeds = seeds.clone().filter(move |seed| seed % LANES == lane);
        // A task each: the end of a house blocks its thread, and would take the wake-up of a neighbour in the same task.
        tokio::spawn(run_lane(dialect, seeds, tries_max, failures_max))
    };
    // Both wait for their databases most of the time.
    let (first, second) = tokio::try_join!(lane(0), lane(1)).unwrap();
    let failures: Vec<u64> = first.failures.into_iter().chain(second.failures).collect();
    println!(
        "{dialect:?}: {} cases, {} with something to do, {} jobs, {} s",
        first.cases + second.cases,
        first.busy + second.busy,
        first.jobs + second.jobs,
        began.elapsed().as_secs()
    );
    assert!(failures.is_empty(), "the database and the model disagree: seeds {failures:?}, told above");
}

/// What a lane came to.
#[derive(Default)]
struct Lane {
    failures: Vec<u64>,
    cases: usize,
    busy: usize,
    jobs: usize,
}

/// Runs cases one after the other, in databases of its own.
async fn run_lane(
    dialect: Dialect,
    seeds: impl Iterator<Item = u64> + Send,
    tries_max: u64,
    failures_max: u64,
) -> Lane {
    let mut lane = Lane::default();
    let mut world = World::new(dialect).await;
    for seed in seeds {
        let case = super::generator::case(seed, dialect);
        lane.cases += 1;
        lane.jobs += case.jobs.len();
        lane.busy += usize::from(case.jobs.iter().any(|job| !oracle::expect(&case, job).figures.is_empty()));
        if let Err(told) = world.hold(&case, tries_max).await {
            println!("{told}");
            lane.failures.push(seed);
            if lane.failures.len() as u64 >= failures_max {
                break;
            }
        }
    }
    world.close().await;
    lane
}
