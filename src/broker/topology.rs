//! Names the exchanges and queues, and declares them: the only home of their arguments.

use std::sync::atomic::{AtomicBool, Ordering};

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection, ErrorKind, ExchangeKind};

/// Where webhooks go and where parked messages go.
///
/// ```text
/// exchange (topic) ──#──▶ queue (quorum) ──dead letters──▶ dead_letter_exchange (topic) ──#──▶ dead_letter_queue (quorum)
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    pub exchange: ShortString,
    pub queue: ShortString,
    pub dead_letter_exchange: ShortString,
    pub dead_letter_queue: ShortString,
}

impl Default for Topology {
    fn default() -> Self {
        Self {
            exchange: "efface.webhooks".into(),
            queue: "efface.webhooks".into(),
            dead_letter_exchange: "efface.dead-letter".into(),
            dead_letter_queue: "efface.dead-letter".into(),
        }
    }
}

/// Declares a topology, and makes do with what an operator declared otherwise.
#[derive(Debug, Default)]
pub(super) struct Declarer {
    topology: Topology,
    warned: AtomicBool,
}

impl Declarer {
    pub fn new(topology: Topology) -> Self {
        Self { topology, warned: AtomicBool::new(false) }
    }

    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Declares exchanges, queues and bindings; does nothing when they are there already.
    ///
    /// What exists with other settings, or may not be declared by our user, is used as it is: that is said once, as a
    /// warning. What does not exist then is an error.
    pub async fn declare(&self, connection: &Connection) -> lapin::Result<()> {
        let names = &self.topology;
        self.exchange(connection, &names.dead_letter_exchange).await?;
        self.queue(connection, &names.dead_letter_queue, quorum_queue()).await?;
        self.bind(connection, &names.dead_letter_queue, &names.dead_letter_exchange).await?;
        self.exchange(connection, &names.exchange).await?;
        self.queue(connection, &names.queue, webhook_queue(&names.dead_letter_exchange)).await?;
        self.bind(connection, &names.queue, &names.exchange).await
    }

    async fn exchange(&self, connection: &Connection, name: &ShortString) -> lapin::Result<()> {
        let declare = async |channel: Channel, passive| {
            let options = ExchangeDeclareOptions { durable: true, passive, ..Default::default() };
            channel.exchange_declare(name.clone(), ExchangeKind::Topic, options, FieldTable::default()).await
        };
        match declare(connection.create_channel().await?, false).await {
            Err(error) if is_refusal(&error) => {
                self.warn(name, &error);
                declare(connection.create_channel().await?, true).await
            }
            result => result,
        }
    }

    async fn queue(&self, connection: &Connection, name: &ShortString, arguments: FieldTable) -> lapin::Result<()> {
        let declare = async |channel: Channel, passive, arguments| {
            let options = QueueDeclareOptions { durable: true, passive, ..Default::default() };
            channel.queue_declare(name.clone(), options, arguments).await.map(drop)
        };
        match declare(connection.create_channel().await?, false, arguments).await {
            Err(error) if is_refusal(&error) => {
                self.warn(name, &error);
                declare(connection.create_channel().await?, true, FieldTable::default()).await
            }
            result => result,
        }
    }

    /// A binding that our user may not make is the operator's affair: an unroutable message will tell.
    async fn bind(&self, connection: &Connection, queue: &ShortString, exchange: &ShortString) -> lapin::Result<()> {
        let channel = connection.create_channel().await?;
        let (queue, exchange) = (queue.clone(), exchange.clone());
        let bound =
            channel.queue_bind(queue.clone(), exchange, "#".into(), QueueBindOptions::default(), FieldTable::default());
        match bound.await {
            Err(error) if is_refusal(&error) => {
                self.warn(&queue, &error);
                Ok(())
            }
            result => result,
        }
    }

    fn warn(&self, name: &ShortString, error: &lapin::Error) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                broker.name = name.as_str(),
                error = %error,
                "the broker would not let us declare this as we do; it is used as the operator declared it"
            );
        }
    }
}

/// The server's no to a declaration: other settings (406) or no permission (403).
fn is_refusal(error: &lapin::Error) -> bool {
    let ErrorKind::ProtocolError(error) = error.kind() else { return false };
    matches!(error.kind(), AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED | AMQPSoftError::ACCESSREFUSED))
}

fn quorum_queue() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments
}

/// At-least-once dead lettering needs `reject-publish`, and silently degrades without it. No limit is set here: an
/// operator's policy may.
fn webhook_queue(dead_letter_exchange: &ShortString) -> FieldTable {
    let mut arguments = quorum_queue();
    arguments.insert("x-dead-letter-exchange".into(), text(dead_letter_exchange.as_str()));
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_names_are_those_of_the_contract() {
        let topology = Topology::default();
        assert_eq!(topology.exchange.as_str(), "efface.webhooks");
        assert_eq!(topology.queue.as_str(), "efface.webhooks");
        assert_eq!(topology.dead_letter_exchange.as_str(), "efface.dead-letter");
        assert_eq!(topology.dead_letter_queue.as_str(), "efface.dead-letter");
    }

    #[test]
    fn queue_arguments_are_pinned_because_a_change_would_fail_on_every_running_broker() {
        let printed = |table: &FieldTable| {
            let pairs = table.inner().iter().map(|(name, value)| match value {
                AMQPValue::LongString(value) => format!("{name}={value}"),
                other => format!("{name}={other:?}"),
            });
            pairs.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(printed(&quorum_queue()), "x-queue-type=quorum");
        assert_eq!(
            printed(&webhook_queue(&"efface.dead-letter".into())),
            "x-dead-letter-exchange=efface.dead-letter x-dead-letter-strategy=at-least-once \
             x-overflow=reject-publish x-queue-type=quorum"
        );
    }
}
