//! Thousands of webhooks, three copies each, while every part is killed again and again: each ends as one job.
//!
//! `EFFACE_CHAOS_WEBHOOKS` sets their number (10000), `EFFACE_CHAOS_SEED` their order (1). The servers are the test's own.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::books::{self, Books};
use super::kills::Town;
use super::senders::{Post, Senders};
use super::world::World;
use crate::outside::database::Db;
use crate::outside::program::{Plan, Program};
use crate::outside::services::Services;
use crate::outside::wait_for;

/// The longest that a campaign may take, and its end after the last webhook was accepted.
const CAMPAIGN: Duration = Duration::from_mins(12);
const SETTLING: Duration = Duration::from_mins(3);

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos_every_accepted_webhook_ends_as_exactly_one_job_whoever_is_killed() {
    let (count, seed) = (setting("EFFACE_CHAOS_WEBHOOKS", 10_000), setting("EFFACE_CHAOS_SEED", 1));
    tokio::time::timeout(CAMPAIGN, campaign(count, seed as u64)).await.expect("the campaign takes too long");
}

async fn campaign(count: usize, seed: u64) {
    let begun = Instant::now();
    let services = tokio::task::block_in_place(|| Services::start(&[]));
    let folder = tempfile::tempdir().unwrap();
    let plan = |name: &str, roles| {
        Plan::new(folder.path(), name, roles)
            .with("DATABASE__URL", services.database_url())
            .with("BROKER__URL", services.amqp_url())
            .with("BROKER__BREAKER_SECONDS", 1)
            .with("JOBS__LEASE_SECONDS", 3)
            .with("JOBS__POLL_SECONDS", 1)
            .with("JOBS__RETRY_INITIAL_SECONDS", 1)
            .with("JOBS__BATCH_ROWS_MAX", 300)
    };
    let plans =
        [plan("first-worker", "worker,scheduler"), plan("second-worker", "worker,scheduler"), plan("door", "http")];

    // The tables are made by a program that is gone before the rows are written.
    drop(Program::start(&plan("migrator", "scheduler")).await);
    let db = Db::open(&services.database_url()).await;
    let world = World::of(count);
    world.seed(&db).await;
    let books = Books::open(&db).await;
    let doomed = books.doomed_rows();
    println!("{count} webhooks (seed {seed}), {doomed} rows to be deleted; prepared in {:.1?}", begun.elapsed());

    let amqp_url = services.amqp_url();
    let mut town = Town::open(services, plans).await;
    let (post, sent) = copies(&world, seed);
    let copies = 3 * count;
    let sending = Instant::now();
    let mut senders = Senders::start(post, town.address(), &amqp_url);
    let mut accepted = senders.accepted.clone();
    tokio::join!(town.suffer(copies, &mut accepted), senders.finish());
    let (sent_in, settling) = (sending.elapsed(), Instant::now());

    let queue = operator(&amqp_url).await;
    // The broker does not say what consumers hold: only when they have left is an empty queue empty.
    let mut rounds = 0;
    loop {
        wait_for("all webhooks are recorded, all jobs final, and the queue is empty", SETTLING, async || {
            let sql = r#"SELECT (SELECT count(*) FROM "WebhookLog") = $1
                AND NOT EXISTS (SELECT FROM "GDPRJob" WHERE "status" NOT IN ('completed','failed','cancelled'))"#;
            let over = db.value::<bool>(&sql.replace("$1", &sent.len().to_string())).await;
            (over && queue.waiting("efface.webhooks").await == 0).then_some(())
        })
        .await;
        town.close().await;
        rounds += 1;
        if queue.waiting("efface.webhooks").await == 0 || rounds == 10 {
            break;
        }
        town.reopen().await;
    }
    let settled_in = settling.elapsed();

    let jobs = books::jobs(&db).await;
    let tally = &senders.tally;
    let of = |counter: &std::sync::atomic::AtomicUsize| counter.load(std::sync::atomic::Ordering::Relaxed);
    println!(
        "{} copies accepted in {sent_in:.1?} ({} over HTTP, {} over AMQP); sent again after 503: {}, after no answer: {}; \
         {} answered as duplicates at once; {} forged refused",
        *accepted.borrow(),
        of(&tally.over_http),
        of(&tally.over_amqp),
        of(&tally.refused_503),
        of(&tally.unanswered),
        of(&tally.answered_duplicate),
        of(&tally.forged)
    );
    println!("kills: {:?}", town.kills);
    let again = jobs.iter().filter(|job| job.fence > 1).count();
    let attempts = jobs.iter().map(|job| job.attempts).max();
    println!(
        "{} jobs, {again} claimed more than once, most attempts {attempts:?}; settled in {settled_in:.1?}",
        jobs.len()
    );

    books::check_jobs(&world, &jobs, &tally.told.lock().unwrap());
    books.close(&db, &jobs).await;
    books::check_records(&db, &world, &jobs, &sent).await;
    assert_eq!(queue.waiting("efface.webhooks").await, 0, "webhooks still in the queue");
    assert_eq!(queue.waiting("efface.dead-letter").await, 0, "webhooks were parked");
    check_logs(&town.logs());
    println!("{doomed} rows deleted and counted once, every other row unchanged; {:.1?} in all", begun.elapsed());
}

/// Three copies of every webhook, shuffled, through two doors, and how many of each webhook id. The third copy of
/// some comes from a second subscription: the same event under another webhook id. Some forged ones are among them.
fn copies(world: &World, seed: u64) -> (Post, HashMap<String, i32>) {
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut post, mut sent) = (Post { over_http: Vec::new(), over_amqp: Vec::new() }, HashMap::new());
    for (i, (webhook, _)) in world.webhooks.iter().enumerate() {
        for copy in 0..3 {
            let mut webhook = webhook.clone();
            if copy == 2 && i % 10 == 0 {
                webhook.webhook_id.push_str("-b");
            }
            *sent.entry(webhook.webhook_id.clone()).or_default() += 1;
            if rng.random_bool(0.6) { &mut post.over_http } else { &mut post.over_amqp }.push(webhook);
        }
        if i % 100 == 0 {
            let mut forged = webhook.clone().forged();
            forged.webhook_id.push_str("-forged");
            forged.event_id.push_str("-forged");
            post.over_http.push(forged);
        }
    }
    post.over_http.shuffle(&mut rng);
    post.over_amqp.shuffle(&mut rng);
    (post, sent)
}

/// An operator's look at the broker.
struct Operator(Connection);

async fn operator(url: &str) -> Operator {
    Operator(Connection::connect(url, ConnectionProperties::default()).await.expect("RabbitMQ does not answer"))
}

impl Operator {
    async fn waiting(&self, queue: &str) -> u32 {
        let channel = self.0.create_channel().await.unwrap();
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(queue.into(), passive, FieldTable::default()).await.unwrap().message_count()
    }
}

fn check_logs(logs: &str) {
    for line in logs.lines() {
        assert!(!line.contains("@mail.example") && !line.contains("+1555"), "personal data in the log: {line}");
        assert!(!line.contains("panicked"), "{line}");
    }
}
