//! A crowd of jobs, re-sweeps and transactions of the app, thrown by a seed, worked by several processes at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::TimeDelta;
use efface::store::{PoolLimits, Store};
use entity::gdpr_job::{JobStatus, Model};
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};

use super::stage::{Asked, Id, Keyed, ORDERS, Stage, body, domain};
use crate::house::{House, Webhook};
use crate::model::random::Random;

/// Shops: two whose customers ask, two that go, and one that nobody asks about, with the same orders and customers.
const SHOPS: usize = 5;
const JOBS: usize = 36;
/// Processes; each works two batches at once.
const PROCESSES: usize = 3;

fn rows_counted(job: &Model, words: &[&str]) -> u64 {
    let result = job.result.as_ref().unwrap().as_object().unwrap();
    let counted = result.iter().filter(|(key, _)| words.iter().any(|word| key.starts_with(word)));
    counted.filter_map(|(_, rows)| rows.as_u64()).sum()
}

/// What the app does meanwhile: it updates rows in the order opposite to ours, and adds lines and orders.
struct App {
    store: Store,
    done: AtomicBool,
}

impl App {
    async fn go_on(&self, seed: u64, first: i64, known: &BTreeMap<Id, Keyed>) -> BTreeMap<Id, Keyed> {
        let mut dice = Random::new(seed);
        let mut made = BTreeMap::new();
        let mut next = first;
        let orders: Vec<(Id, Keyed)> =
            known.iter().filter(|(id, _)| id.0 == "orders").map(|(id, row)| (*id, row.clone())).collect();
        let ids: Vec<Id> = known.keys().copied().filter(|id| id.0 != "contacts").collect();
        while !self.done.load(Ordering::Relaxed) {
            let tx = self.store.db().begin().await.unwrap();
            let mut touched: Vec<Id> = (0..6).map(|_| dice.pick(&ids)).collect();
            // Letters, then orders, then lines, the last first.
            let place = |table: &str| ["letters", "orders", "lines"].iter().position(|known| *known == table);
            touched.sort_by_key(|(table, id)| (place(table), -id));
            let mut new: BTreeMap<Id, Keyed> = BTreeMap::new();
            let mut sql: Vec<String> = touched
                .iter()
                .map(|(table, id)| format!("UPDATE {table} SET seen = seen + 1 WHERE id = {id}"))
                .collect();
            next += 2;
            if dice.percent(50) {
                let ((_, order), row) = dice.pick(&orders);
                sql.push(format!("INSERT INTO lines VALUES ({next}, {order}, 0)"));
                new.insert(("lines", next), row);
            } else {
                let shop = dice.below(SHOPS);
                let row = Keyed { shop, order: 900_000 + next, customer: 900_000 };
                sql.push(format!("INSERT INTO orders VALUES ({next}, {shop}, {}, 900000, 0)", row.order));
                sql.push(format!("INSERT INTO lines VALUES ({}, {next}, 0)", next + 1));
                new.insert(("orders", next), row.clone());
                new.insert(("lines", next + 1), row);
            }
            let mut refused = false;
            for sql in sql {
                // A deadlock, or a parent that has gone: the app gives in and does something else.
                if tx.execute_unprepared(&sql).await.is_err() {
                    refused = true;
                    break;
                }
            }
            if refused {
                tx.rollback().await.unwrap();
            } else if tx.commit().await.is_ok() {
                made.extend(new);
            }
            tokio::task::yield_now().await;
        }
        made
    }
}

/// The jobs of one seed, and whom they ask to be erased.
fn crowd(dice: &mut Random, asked: &mut Asked) -> Vec<Webhook> {
    let mut webhooks = Vec::new();
    for _ in 0..JOBS {
        let shop = dice.below(4);
        if dice.percent(25) {
            let orders: Vec<usize> = (0..ORDERS).filter(|_| dice.percent(40)).collect();
            let body = body(shop, dice.below(6), "orders_requested", &orders);
            webhooks.push(Webhook::new("customers/data_request", body));
        } else {
            webhooks.push(asked.customer(dice, shop));
        }
    }
    for shop in [2, 2, 3] {
        asked.shops.insert(shop);
        webhooks.insert(dice.below(webhooks.len()), Webhook::shop_redact(&domain(shop)));
    }
    webhooks
}

/// One whole case: a first wave that leaves tombstones, late rows, and then the crowd.
async fn play(house: House, seed: u64, crm_url: &str, with_app: bool) {
    let mut dice = Random::new(seed);
    let mut stage = Stage::set(&house, crm_url, SHOPS).await;
    // Some shops fit into one transaction and others do not.
    let rows_max = dice.pick(&["20", "5000"]);
    let settings = stage.settings(&[("jobs.batch_jobs_max", "5"), ("jobs.batch_rows_max", rows_max)]);
    let settings: Vec<(&'static str, String)> = settings.into_iter().map(|(k, v)| (k, v.to_owned())).collect();
    let settings: Vec<(&'static str, &str)> = settings.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let house = house.with(&settings).await;
    let mut asked = Asked::default();
    for shop in [0, 1, 0] {
        house.post(&asked.customer(&mut dice, shop)).await;
    }
    house.work().await;
    house.advance(TimeDelta::hours(1) + TimeDelta::seconds(1));
    for shop in [0, 1] {
        for order in 0..ORDERS {
            stage.place_order(&house, shop, order, order % 5).await;
        }
    }
    let first: BTreeSet<String> = house.jobs().await.into_iter().map(|job| job.id).collect();

    let before = stage.contents(&house).await;
    // What the first wave deleted or masked is done with.
    stage.rows.retain(|id, _| before.get(id).is_some_and(|row| !row.ends_with("***REDACTED***")));
    house.accept(&crowd(&mut dice, &mut asked)).await;
    let mut others = Vec::new();
    for _ in 1..PROCESSES {
        others.push(house.another(&settings).await);
    }
    let limits = PoolLimits { connections_max: 4, ..PoolLimits::default() };
    let app = App { store: Store::connect(&house.url(), limits).await.unwrap(), done: AtomicBool::new(!with_app) };
    let work = async {
        let processes: Vec<_> = std::iter::once(house.app()).chain(&others).collect();
        let workers = processes.iter().flat_map(|process| [process, process]).map(|process| async {
            let worker = process.worker();
            while worker.tick().await.unwrap().claimed > 0 {}
        });
        let sweeps = processes.iter().map(|process| async { process.suppression().sweep().await.unwrap() });
        futures_util::future::join(futures_util::future::join_all(workers), futures_util::future::join_all(sweeps))
            .await;
        // Children of the sweeps, made after the last worker looked.
        house.work().await;
        app.done.store(true, Ordering::Relaxed);
    };
    let (rows, ids) = (&stage.rows, [1_000_000_i64, 2_000_000, 3_000_000]);
    let apps = ids.map(|first| app.go_on(seed + first.unsigned_abs(), first, rows));
    let (made, ()) = futures_util::future::join(futures_util::future::join_all(apps), work).await;
    let mut rows = stage.rows.clone();
    rows.extend(made.into_iter().flatten());

    let jobs: Vec<Model> = house.jobs().await.into_iter().filter(|job| !first.contains(&job.id)).collect();
    for job in &jobs {
        let about = (job.status, job.attempts, job.error_message.as_deref());
        assert_eq!(about, (JobStatus::Completed, 1, None), "seed {seed}: {} of {}", job.topic, job.shop_domain);
    }
    let after = stage.contents(&house).await;
    let masked = |id: &Id| after.get(id).is_some_and(|row| row.ends_with("***REDACTED***"));
    for (id, content) in before.iter().filter(|(id, _)| !masked(id)) {
        assert!(after.get(id).is_none_or(|now| now == content), "seed {seed}: {id:?} has changed");
    }
    let meant: BTreeSet<Id> = rows.iter().filter(|(_, row)| asked.finds(row)).map(|(id, _)| *id).collect();
    let mut gone: BTreeSet<Id> = rows.keys().copied().filter(|id| !after.contains_key(id)).collect();
    gone.extend(rows.keys().copied().filter(|id| id.0 == "letters" && masked(id)));
    let mut missed = gone.symmetric_difference(&meant).collect::<Vec<_>>();
    missed.truncate(5);
    assert!(missed.is_empty(), "seed {seed}: {missed:?} …");
    let shops = before.keys().filter(|id| id.0 == "stores" && !after.contains_key(id)).count();
    assert_eq!(shops, asked.shops.len());

    let counted: u64 = jobs
        .iter()
        .filter(|job| job.topic != "customers/data_request")
        .map(|job| rows_counted(job, &["deleted", "masked"]))
        .sum();
    assert_eq!(counted, (gone.len() + shops) as u64, "seed {seed}: rows counted, and rows that went");
    println!("seed {seed}: {} jobs, {counted} rows, {} of the app's own", jobs.len(), rows.len() - stage.rows.len());
    for other in others {
        other.store().close().await;
    }
    app.store.close().await;
    stage.crm.close().await;
}

fn seeds() -> std::ops::Range<u64> {
    let more = std::env::var("EFFACE_TEST_CONCURRENCY_SEEDS").ok().and_then(|more| more.parse().ok());
    0..more.unwrap_or(4)
}

mod sqlite {
    use super::{House, play, seeds};

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_crowd_settles_and_counts_each_row_once() {
        for seed in seeds() {
            let folder = tempfile::tempdir().unwrap();
            let crm = format!("sqlite://{}?mode=rwc", folder.path().join("crm.db").display());
            play(House::sqlite().await, seed, &crm, false).await;
        }
    }
}

mod postgres {
    use super::{House, play, seeds};
    use crate::house::Database;

    async fn seeded(with_app: bool) {
        for seed in seeds() {
            let crm = Database::postgres().await;
            let house = House::postgres().await;
            // Victims of a deadlock need not wait a second for it.
            for database in [&house.url(), &crm.url()] {
                let name = database.rsplit('/').next().unwrap().split('?').next().unwrap();
                house.execute(&format!("ALTER DATABASE {name} SET deadlock_timeout = '20ms'")).await;
            }
            play(house, seed, &crm.url(), with_app).await;
            crm.remove().await.unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_crowd_settles_and_counts_each_row_once() {
        seeded(false).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_crowd_settles_while_the_app_writes_the_same_rows_in_the_opposite_order() {
        seeded(true).await;
    }
}
