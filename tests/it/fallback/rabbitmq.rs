//! The servers are the test's own: the queue's name is the program's, and nobody else may read it.

use std::time::{Duration, Instant};

use lapin::options::{BasicGetOptions, BasicNackOptions};
use lapin::{Connection, ConnectionProperties};

use crate::broker::rabbitmq::proxy::{Proxy, Wire};
use crate::outside::database::Db;
use crate::outside::http::{Answer, Client};
use crate::outside::program::{Plan, Program};
use crate::outside::services::Services;
use crate::outside::wait_for;
use crate::outside::webhook::{Webhook, customer_redact};

const PATIENCE: Duration = Duration::from_mins(1);

fn webhook(id: &str) -> Webhook {
    Webhook::new("customers/redact", id, &customer_redact("snowdevil.myshopify.com", 191_167, &[299_938]))
}

/// How a webhook that was accepted is carried.
#[derive(Debug, PartialEq, Eq)]
enum By {
    Broker,
    Database,
}

fn accepted(answer: &Answer) -> By {
    assert_eq!(answer.code, 200, "{}", String::from_utf8_lossy(&answer.body));
    if answer.json()["jobId"].is_null() { By::Broker } else { By::Database }
}

async fn services(only: &'static [&'static str]) -> Services {
    tokio::task::spawn_blocking(|| Services::start(only)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos_a_silent_broker_costs_one_webhook_a_second_and_the_database_takes_it_and_all_others() {
    let services = services(&["rabbitmq"]).await;
    let wire = Proxy::before(&services.amqp_url()).await;
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}?mode=rwc", folder.path().join("efface.db").display());
    let plan = |name: &str, roles| {
        let plan = Plan::new(folder.path(), name, roles).with("DATABASE__URL", &database);
        plan.with("BROKER__BREAKER_SECONDS", 5).with("BROKER__PUBLISH_TIMEOUT_MS", 1_000)
    };
    let door = Program::start(&plan("door", "http").with("BROKER__URL", &wire.url)).await;
    let mut client = Client::new(door.address());
    let mut ids = vec!["first".to_owned()];
    door.wait_for_log("the link to the broker is up").await;
    assert_eq!(accepted(&client.send(&webhook("first")).await.unwrap()), By::Broker);

    // Silent: connections stay open and new ones are accepted, but nothing is answered.
    wire.set(Wire::Frozen);
    let began = Instant::now();
    assert_eq!(accepted(&client.send(&webhook("silent")).await.unwrap()), By::Database);
    let first = began.elapsed();
    assert!(first >= Duration::from_millis(950), "the broker was given {first:?} of its second");
    let began = Instant::now();
    for n in 0..20 {
        ids.push(format!("open-{n}"));
        assert_eq!(accepted(&client.send(&webhook(&format!("open-{n}"))).await.unwrap()), By::Database);
    }
    let others = began.elapsed();
    println!("with a silent broker: the first webhook in {first:.2?}, the next 20 in {others:.2?}");
    assert!(others < Duration::from_secs(10), "20 webhooks took {others:?}: the breaker is not open");
    ids.push("silent".to_owned());

    wire.set(Wire::Whole);
    let mut n = 0;
    wait_for("webhooks go through the broker again", PATIENCE, async || {
        n += 1;
        ids.push(format!("back-{n}"));
        let answer = client.send(&webhook(&format!("back-{n}"))).await.unwrap();
        (accepted(&answer) == By::Broker).then_some(())
    })
    .await;
    assert!(door.log().contains("the broker takes webhooks again"));

    nothing_personal_is_in_the_queue(&services.amqp_url()).await;

    // A worker without the wire takes over what the broker holds, and what was accepted twice by two ways is one job.
    let worker = plan("worker", "worker,scheduler").with("BROKER__URL", services.amqp_url());
    let _worker = Program::start(&worker).await;
    let jobs = wait_for("every webhook is a completed job", PATIENCE, async || {
        let jobs = client.get("/api/v1/jobs?limit=200").await.json();
        let jobs = jobs["data"].as_array().unwrap().clone();
        (jobs.len() >= ids.len() && jobs.iter().all(|job| job["status"] == "completed")).then_some(jobs)
    })
    .await;
    let mut made: Vec<_> = jobs.iter().map(|job| job["webhookId"].as_str().unwrap().to_owned()).collect();
    let mut sent: Vec<_> = ids.iter().map(|id| format!("w-{id}")).collect();
    made.sort_unstable();
    sent.sort_unstable();
    assert_eq!(made, sent);
}

async fn nothing_personal_is_in_the_queue(amqp_url: &str) {
    let connection = Connection::connect(amqp_url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let mut messages = Vec::new();
    while let Some(message) = channel.basic_get("efface.webhooks".into(), BasicGetOptions::default()).await.unwrap() {
        messages.push(message.delivery);
    }
    assert!(messages.len() >= 2, "{} messages wait in the queue", messages.len());
    for message in &messages {
        let properties = format!("{:?}", message.properties);
        assert!(properties.contains("application/vnd.efface.sealed"), "{properties}");
        for personal in ["mail.example", "person191167", "15550100", "299938"] {
            let body = String::from_utf8_lossy(&message.data);
            assert!(!body.contains(personal) && !properties.contains(personal), "{personal} is in a message");
        }
    }
    let everything = BasicNackOptions { multiple: true, requeue: true };
    channel.basic_nack(messages.last().unwrap().delivery_tag, everything).await.unwrap();
    connection.close(200, "done".into()).await.unwrap();
}

/// A door and a worker on servers that the test can make silent.
struct Town {
    services: Services,
    broker: Proxy,
    database: Proxy,
    door: Program,
    plan: Plan,
    _folder: tempfile::TempDir,
}

impl Town {
    async fn open() -> Self {
        let services = services(&[]).await;
        let (broker, database) =
            (Proxy::before(&services.amqp_url()).await, Proxy::before(&services.database_url()).await);
        let folder = tempfile::tempdir().unwrap();
        let plan = Plan::new(folder.path(), "door", "http").with("BROKER__BREAKER_SECONDS", 1);
        let plan = plan.with("DATABASE__URL", &database.url).with("BROKER__URL", &broker.url);
        let door = Program::start(&plan).await;
        door.wait_for_log("the link to the broker is up").await;
        Self { services, broker, database, door, plan, _folder: folder }
    }

    fn set_both(&self, wire: Wire) {
        self.broker.set(wire);
        self.database.set(wire);
    }

    /// Sends as Shopify does, until it is accepted.
    async fn retried_until_accepted(&self, client: &mut Client, webhook: &Webhook) {
        wait_for("a later try is accepted", PATIENCE, async || {
            client.send(webhook).await.is_ok_and(|answer| answer.code == 200).then_some(())
        })
        .await;
    }

    /// A worker of the same house, straight at the servers, makes each webhook one completed job.
    async fn completes(&self, webhooks: i64) {
        let plan = Plan { name: "worker".into(), roles: "worker,scheduler", ..self.plan.clone() };
        let plan =
            plan.with("DATABASE__URL", self.services.database_url()).with("BROKER__URL", self.services.amqp_url());
        let mut worker = Program::start(&plan).await;
        let db = Db::open(&self.services.database_url()).await;
        wait_for("the jobs are completed", PATIENCE, async || {
            let sql = r#"SELECT count(*) FROM "GDPRJob" WHERE "status"='completed'"#;
            (db.value::<i64>(sql).await >= webhooks).then_some(())
        })
        .await;
        // In good order: whatever was in hand is done.
        assert!(worker.stop().await.success());
        assert_eq!(db.value::<i64>(r#"SELECT count(*) FROM "GDPRJob""#).await, webhooks);
    }
}

fn refused_for_now(answer: &Answer) {
    assert_eq!(answer.code, 503, "{}", String::from_utf8_lossy(&answer.body));
    let seconds: u64 = answer.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!(seconds > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos_with_neither_broker_nor_database_the_sender_is_told_to_come_back_and_is_taken_once() {
    let town = Town::open().await;
    let mut client = Client::new(town.door.address());
    // The client has Shopify's patience: an answer after 5 s fails the test.
    for (n, wire) in [Wire::Cut, Wire::Frozen].into_iter().enumerate() {
        town.set_both(wire);
        let webhook = webhook(&format!("refused-{n}"));
        refused_for_now(&client.send(&webhook).await.unwrap());
        refused_for_now(&client.send(&webhook).await.unwrap());
        town.set_both(Wire::Whole);
        town.retried_until_accepted(&mut client, &webhook).await;
    }
    town.completes(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos_a_door_that_was_never_asked_before_takes_webhooks_by_the_broker_alone() {
    let town = Town::open().await;
    let mut client = Client::new(town.door.address());
    for (n, wire) in [Wire::Frozen, Wire::Cut].into_iter().enumerate() {
        town.database.set(wire);
        assert_eq!(accepted(&client.send(&webhook(&n.to_string())).await.unwrap()), By::Broker);
    }
    town.database.set(Wire::Whole);
    town.completes(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos_webhooks_that_come_at_once_share_messages_and_each_is_one_job() {
    const SENDERS: usize = 32;
    const EACH: usize = 10;
    let town = Town::open().await;
    let senders = (0..SENDERS).map(|sender| {
        let mut client = Client::new(town.door.address());
        tokio::spawn(async move {
            for n in 0..EACH {
                let answer = client.send(&webhook(&format!("{sender}-{n}"))).await.unwrap();
                assert_eq!(accepted(&answer), By::Broker);
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    let sent = SENDERS * EACH;
    let messages = waiting_messages(&town.services.amqp_url()).await;
    println!("{sent} webhooks of {SENDERS} senders in {messages} messages");
    assert!((1..sent / 2).contains(&messages), "{sent} webhooks travel in {messages} messages");
    town.completes(i64::try_from(sent).unwrap()).await;
}

async fn waiting_messages(amqp_url: &str) -> usize {
    let connection = Connection::connect(amqp_url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let mut last = None;
    let mut messages = 0;
    while let Some(message) = channel.basic_get("efface.webhooks".into(), BasicGetOptions::default()).await.unwrap() {
        last = Some(message.delivery.delivery_tag);
        messages += 1;
    }
    if let Some(last) = last {
        channel.basic_nack(last, BasicNackOptions { multiple: true, requeue: true }).await.unwrap();
    }
    connection.close(200, "done".into()).await.unwrap();
    messages
}
