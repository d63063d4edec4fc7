//! Pulls webhooks from RabbitMQ and publishes to it.
//!
//! Knows AMQP; knows neither SQL nor keys. Two links, each a connection of its own, because a broker short of memory
//! blocks those that publish: one publishes with confirms ([`Broker::publish`]), one consumes in batches
//! ([`Broker::consume`]). Each is rebuilt for ever when it breaks; lapin's own recovery is off.
//!
//! Delivery is at least once in both directions: a publish without a good confirm may have arrived, and an
//! acknowledgement that got lost brings the message again.
//!
//! lapin writes returned messages with their bodies to the log as a warning, and everything, credentials included, at
//! finer levels: `telemetry` keeps its target `lapin` silent. What there is to know about a link, this room logs itself.
//!
//! What no client can mend: RabbitMQ 3.10 writes the name of a new quorum queue to disk half a second after it was
//! declared. Killed before that, it starts the queue again as an empty one that never elects a leader: publishes time
//! out and consumers wait, until an operator deletes the queue or has it elect one. Later kills lose nothing.

mod consumer;
mod counters;
mod link;
mod message;
mod publisher;
mod supervisor;
mod topology;
mod tries;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lapin::types::ShortString;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::shutdown::Shutdown;

pub use link::{LinkError, check_url, probe};
pub use message::{CONTENT_TYPE_RAW, CONTENT_TYPE_SEALED, Disposition, Incoming, Outgoing, REASON_HEADER};
pub use publisher::PublishError;
pub use topology::Topology;

use counters::Counters;
use message::Parcel;
use publisher::Publisher;
use topology::Declarer;

/// What the broker room is told at its start.
#[derive(Clone)]
pub struct BrokerSettings {
    /// `amqp://…` or `amqps://…`; holds a password and is never printed.
    pub url: String,
    /// Messages pulled ahead of their acknowledgement, at least 1.
    pub prefetch: u16,
    /// Messages of one batch, at least 1.
    pub batch_max: usize,
    /// For a publish and its confirm together.
    pub publish_timeout: Duration,
    /// Channels that share the publishes, at least 1. More let the broker work on more cores, and cost the client some
    /// batching.
    pub publish_channels: usize,
    pub topology: Topology,
}

impl BrokerSettings {
    /// The defaults, for a broker at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            prefetch: 500,
            batch_max: 256,
            publish_timeout: Duration::from_secs(1),
            publish_channels: 2,
            topology: Topology::default(),
        }
    }
}

impl fmt::Debug for BrokerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerSettings")
            .field("url", &"[secret]")
            .field("prefetch", &self.prefetch)
            .field("batch_max", &self.batch_max)
            .field("publish_timeout", &self.publish_timeout)
            .field("publish_channels", &self.publish_channels)
            .field("topology", &self.topology)
            .finish()
    }
}

/// How the publishing link is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Publishing {
    /// Not there yet, or not any more: being rebuilt.
    #[default]
    Connecting,
    Ready,
    /// The broker is short of memory or disk, and takes nothing.
    Blocked,
    /// Shut down.
    Closed,
}

/// How the consuming link is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consuming {
    /// Nobody consumes here.
    #[default]
    Off,
    /// Not there yet, or not any more: being rebuilt.
    Connecting,
    Running,
    /// A batch is kept and tried again, because it could not be made durable, or parked.
    Paused,
    /// Shut down.
    Closed,
}

/// How both links are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BrokerState {
    pub publishing: Publishing,
    pub consuming: Consuming,
}

impl BrokerState {
    /// Whether everything that was asked for works. A paused consumer is ready: its cause lies elsewhere.
    pub fn is_ready(self) -> bool {
        self.publishing == Publishing::Ready
            && matches!(self.consuming, Consuming::Off | Consuming::Running | Consuming::Paused)
    }
}

/// Nothing of a batch could be made durable, for now: nothing is acknowledged, and the batch comes again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchUnavailable;

/// A handle on the broker; clones share the links.
#[derive(Clone, Debug)]
pub struct Broker {
    room: Arc<Room>,
}

impl Broker {
    /// Starts to connect, and returns at once; needs a Tokio runtime. From now on the publishing link is kept, until
    /// shutdown.
    pub fn start(settings: BrokerSettings, shutdown: Shutdown) -> Self {
        let room = Arc::new(Room {
            publisher: Publisher::new(settings.publish_timeout),
            topology: Declarer::new(settings.topology.clone()),
            settings,
            shutdown,
            state: watch::Sender::new(BrokerState::default()),
            consumers: watch::Sender::new(0),
            counters: Counters::new(),
        });
        tokio::spawn(supervisor::keep_publishing(room.clone()));
        Self { room }
    }

    /// Publishes a webhook, and returns when the broker has confirmed that it is in a queue, on disk.
    ///
    /// # Errors
    /// Whenever that is not certain. Without a connection at once, otherwise after the publish timeout at the latest.
    pub async fn publish(&self, message: Outgoing) -> Result<(), PublishError> {
        self.room.publish(&self.room.topology.topology().exchange, message).await
    }

    /// Consumes webhooks until shutdown, on a connection of its own. One consumer to a handle is what
    /// [`BrokerState::consuming`] can tell about.
    ///
    /// The handler gets whatever is there, in order, up to the limit of a batch; one batch at a time. It answers with
    /// one disposition for each message, in the same order, or [`BatchUnavailable`]: then it gets the same batch again
    /// after a pause, as it does when it panics. Batches are acknowledged as a whole, after everything to be parked
    /// is. At shutdown the batch in hand is finished and acknowledged, and the rest goes back to the queue.
    pub fn consume<F, Fut>(&self, handler: F) -> JoinHandle<()>
    where
        F: Fn(Vec<Incoming>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<Disposition>, BatchUnavailable>> + Send,
    {
        let room = self.room.clone();
        room.consumers.send_modify(|consumers| *consumers += 1);
        let leave = Leave(room.clone());
        tokio::spawn(async move {
            consumer::keep_consuming(room, handler).await;
            drop(leave);
        })
    }

    /// See [`BrokerState::is_ready`].
    pub fn is_ready(&self) -> bool {
        self.room.state.borrow().is_ready()
    }

    /// The state now, and every change of it.
    pub fn state(&self) -> watch::Receiver<BrokerState> {
        self.room.state.subscribe()
    }
}

/// Lets the publishing link end when the last consumer has gone, however it went.
struct Leave(Arc<Room>);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.consumers.send_modify(|consumers| *consumers -= 1);
    }
}

/// What the links share.
#[derive(Debug)]
struct Room {
    settings: BrokerSettings,
    topology: Declarer,
    publisher: Publisher,
    shutdown: Shutdown,
    state: watch::Sender<BrokerState>,
    consumers: watch::Sender<usize>,
    counters: Counters,
}

impl Room {
    async fn publish(&self, exchange: &ShortString, message: Outgoing) -> Result<(), PublishError> {
        let published = match Parcel::new(exchange, message) {
            Ok(parcel) => self.publisher.publish(parcel).await,
            Err(error) => Err(error),
        };
        match &published {
            Ok(()) => self.counters.published(),
            Err(error) => self.counters.publish_failed(error.code()),
        }
        published
    }

    fn set_publishing(&self, publishing: Publishing) {
        self.set(|state| state.publishing = publishing);
    }

    fn set_consuming(&self, consuming: Consuming) {
        self.set(|state| state.consuming = consuming);
    }

    fn set_blocked(&self, blocked: bool) {
        let publishing = if blocked { Publishing::Blocked } else { Publishing::Ready };
        if self.state.borrow().publishing == publishing {
            return;
        }
        self.publisher.block(blocked);
        self.set_publishing(publishing);
        if blocked {
            tracing::warn!("the broker blocks publishing because it is short of memory or disk");
        } else {
            tracing::info!("the broker takes messages again");
        }
    }

    /// Wakes only those who wait for a change.
    fn set(&self, change: impl FnOnce(&mut BrokerState)) {
        self.state.send_if_modified(|state| {
            let before = *state;
            change(state);
            *state != before
        });
    }

    /// Returns when the shutdown has come and no consumer is left.
    async fn everybody_done(&self) {
        self.shutdown.cancelled().await;
        // An error would mean that the sender is gone; it is ours.
        let _ = self.consumers.subscribe().wait_for(|consumers| *consumers == 0).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_print_without_the_url() {
        let printed = format!("{:?}", BrokerSettings::new("amqp://app:s3cret@broker.example/"));
        assert!(printed.contains("batch_max: 256"), "{printed}");
        assert!(!printed.contains("s3cret") && !printed.contains("broker.example"), "{printed}");
    }

    #[test]
    fn a_broker_is_ready_when_it_publishes_and_consumes_or_need_not_consume() {
        let ready = |publishing, consuming| BrokerState { publishing, consuming }.is_ready();
        assert!(ready(Publishing::Ready, Consuming::Off));
        assert!(ready(Publishing::Ready, Consuming::Running));
        assert!(ready(Publishing::Ready, Consuming::Paused));
        assert!(!ready(Publishing::Ready, Consuming::Connecting));
        assert!(!ready(Publishing::Blocked, Consuming::Running));
        assert!(!ready(Publishing::Connecting, Consuming::Off));
        assert!(!ready(Publishing::Closed, Consuming::Closed));
    }

    #[tokio::test]
    async fn a_publish_without_a_connection_fails_at_once() {
        let broker = Broker::start(BrokerSettings::new("no url at all"), Shutdown::new());
        let message = Outgoing {
            routing_key: "shop.redact".into(),
            message_id: "1".into(),
            content_type: CONTENT_TYPE_SEALED,
            headers: vec![],
            body: vec![],
        };
        assert_eq!(broker.publish(message).await, Err(PublishError::NotConnected));
        assert!(!broker.is_ready());
    }
}
