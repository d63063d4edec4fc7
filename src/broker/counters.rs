//! The broker's metrics.

use metrics::{Counter, counter, describe_counter, describe_gauge, gauge};

/// Handles to the metrics that every message touches; the recorder is looked up once, so it is installed before.
pub struct Counters {
    published: Counter,
    consumed: Counter,
}

impl Counters {
    pub fn new() -> Self {
        describe_counter!("efface_broker_published_total", "Messages that the broker confirmed.");
        describe_counter!("efface_broker_publish_failed_total", "Publishes without a good confirm, by reason.");
        describe_counter!("efface_broker_consumed_total", "Messages acknowledged after they were durable or parked.");
        describe_counter!("efface_broker_parked_total", "Messages nobody could read, put aside sealed, by reason.");
        describe_counter!("efface_broker_reconnects_total", "Tries to rebuild a link, by link.");
        describe_gauge!("efface_broker_connected", "1 while a link to the broker is up, by link.");
        Self {
            published: counter!("efface_broker_published_total"),
            consumed: counter!("efface_broker_consumed_total"),
        }
    }

    pub fn published(&self) {
        self.published.increment(1);
    }

    #[expect(clippy::unused_self, reason = "a metric of this room, though its label is known only now")]
    pub fn publish_failed(&self, reason: &'static str) {
        counter!("efface_broker_publish_failed_total", "reason" => reason).increment(1);
    }

    pub fn consumed(&self, messages: usize) {
        self.consumed.increment(messages as u64);
    }

    #[expect(clippy::unused_self, reason = "a metric of this room, though its label is known only now")]
    pub fn parked(&self, reason: &'static str) {
        counter!("efface_broker_parked_total", "reason" => reason).increment(1);
    }

    #[expect(clippy::unused_self, reason = "a metric of this room, though its label is known only now")]
    pub fn connected(&self, link: &'static str, up: bool) {
        gauge!("efface_broker_connected", "link" => link).set(if up { 1.0 } else { 0.0 });
    }

    #[expect(clippy::unused_self, reason = "a metric of this room, though its label is known only now")]
    pub fn reconnects(&self, link: &'static str) {
        counter!("efface_broker_reconnects_total", "link" => link).increment(1);
    }
}

impl std::fmt::Debug for Counters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counters")
    }
}
