//! A broker of random names, which are taken down afterwards.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use efface::broker::{
    Broker, BrokerSettings, BrokerState, CONTENT_TYPE_RAW, Disposition, Incoming, Outgoing, Topology,
};
use efface::shutdown::Shutdown;
use futures_util::FutureExt as _;
use lapin::message::Delivery;
use lapin::options::{BasicGetOptions, ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How long a test waits for something that must happen, before it calls it missing.
pub const PATIENCE: Duration = Duration::from_mins(1);

pub fn amqp_url() -> String {
    std::env::var("EFFACE_TEST_AMQP_URL")
        .expect("EFFACE_TEST_AMQP_URL is not set: run ./scripts/test, which starts a RabbitMQ for the tests")
}

/// The names of one test, and an operator's connection beside Efface's.
pub struct Stage {
    pub settings: BrokerSettings,
    operator: Connection,
}

/// Efface's side of a test.
pub struct Actor {
    pub broker: Broker,
    pub shutdown: Shutdown,
}

/// Runs a test on names of its own, and deletes them, however it ends.
pub async fn on_stage(test: impl AsyncFnOnce(&Stage)) {
    let stage = Stage::open().await;
    let ended = AssertUnwindSafe(async { tokio::time::timeout(PATIENCE * 4, test(&stage)).await }).catch_unwind().await;
    stage.strike().await;
    match ended {
        Ok(in_time) => in_time.expect("the test takes too long"),
        Err(panic) => resume_unwind(panic),
    }
}

impl Stage {
    async fn open() -> Self {
        let name = |part: &str| format!("efface.test.{:016x}.{part}", rand::random::<u64>()).as_str().into();
        let topology = Topology {
            exchange: name("webhooks"),
            queue: name("webhooks"),
            dead_letter_exchange: name("dead-letter"),
            dead_letter_queue: name("dead-letter"),
        };
        let settings = BrokerSettings {
            topology,
            // Generous where a test is not about time: the machine may be busy.
            publish_timeout: PATIENCE,
            ..BrokerSettings::new(amqp_url())
        };
        Self { settings, operator: operator().await }
    }

    async fn strike(&self) {
        // The broker may have been restarted under the operator's connection.
        let connection = operator().await;
        let channel = connection.create_channel().await.unwrap();
        let Topology { exchange, queue, dead_letter_exchange, dead_letter_queue } = self.settings.topology.clone();
        for queue in [queue, dead_letter_queue] {
            channel.queue_delete(queue, QueueDeleteOptions::default()).await.unwrap();
        }
        for exchange in [exchange, dead_letter_exchange] {
            channel.exchange_delete(exchange, ExchangeDeleteOptions::default()).await.unwrap();
        }
    }

    /// A channel that is not Efface's.
    pub async fn channel(&self) -> Channel {
        self.operator.create_channel().await.unwrap()
    }

    /// Efface's broker, once it is ready.
    pub async fn enter(&self) -> Actor {
        self.enter_with(self.settings.clone()).await
    }

    pub async fn enter_with(&self, settings: BrokerSettings) -> Actor {
        let shutdown = Shutdown::new();
        let actor = Actor { broker: Broker::start(settings, shutdown.clone()), shutdown };
        actor.reach(BrokerState::is_ready).await;
        actor
    }

    /// Takes whatever is ready in a queue, for good.
    pub async fn take_all(&self, queue: &lapin::types::ShortString) -> Vec<Delivery> {
        let connection = operator().await;
        let channel = connection.create_channel().await.unwrap();
        let mut taken = Vec::new();
        let options = BasicGetOptions { no_ack: true };
        while let Some(message) = channel.basic_get(queue.clone(), options).await.unwrap() {
            taken.push(message.delivery);
        }
        taken
    }
}

async fn operator() -> Connection {
    Connection::connect(&amqp_url(), ConnectionProperties::default()).await.expect("RabbitMQ does not answer")
}

impl Actor {
    /// Waits until the state is as wanted, then or now.
    pub async fn reach(&self, wanted: impl Fn(BrokerState) -> bool) {
        let mut state = self.broker.state();
        let reached = tokio::time::timeout(PATIENCE, state.wait_for(|state| wanted(*state))).await.is_ok();
        assert!(reached, "the state stays {:?}", self.broker.state().borrow());
    }

    /// Publishes until it is confirmed, as senders do.
    pub async fn publish_in_the_end(&self, message: Outgoing) {
        while self.broker.publish(message.clone()).await.is_err() {
            self.reach(BrokerState::is_ready).await;
        }
    }

    /// Consumes, and hands every message on.
    pub fn consume_into(&self, seen: mpsc::UnboundedSender<Incoming>) -> JoinHandle<()> {
        self.broker.consume(move |batch| {
            let dispositions = batch.iter().map(|_| Disposition::Done).collect();
            hand_on(&seen, batch);
            async { Ok(dispositions) }
        })
    }

    /// Shuts down, and waits for the end of the batch in hand and of both links.
    pub async fn leave(self, consumer: JoinHandle<()>) {
        self.shutdown.cancel();
        consumer.await.unwrap();
        self.reach(|state| state.publishing == efface::broker::Publishing::Closed).await;
    }
}

pub fn webhook(id: impl std::fmt::Display) -> Outgoing {
    let id = format!("{id}");
    Outgoing {
        routing_key: "customers.redact".into(),
        content_type: CONTENT_TYPE_RAW,
        headers: vec![("X-Shopify-Webhook-Id".into(), id.clone())],
        body: format!("{{\"shop_domain\":\"{id}.example\"}}").into_bytes(),
        message_id: id,
    }
}

/// Passes a batch to the test, as long as it listens.
pub fn hand_on(seen: &mpsc::UnboundedSender<Incoming>, batch: Vec<Incoming>) {
    for message in batch {
        let _ = seen.send(message);
    }
}

/// The next message, or a failed test.
pub async fn next(seen: &mut mpsc::UnboundedReceiver<Incoming>) -> Incoming {
    tokio::time::timeout(PATIENCE, seen.recv()).await.expect("no message comes").expect("the consumer is gone")
}
