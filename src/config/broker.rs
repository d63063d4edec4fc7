//! `[broker]`: RabbitMQ, when there is one.

use std::time::Duration;

use super::reader::Reader;
use super::secret::ServiceUrl;

/// How to reach RabbitMQ, and its limits.
#[derive(Clone, Debug)]
pub struct Broker {
    /// Empty: embedded, without a broker.
    pub url: ServiceUrl,
    pub prefetch: u16,
    /// Not above `prefetch`: a batch could never be full.
    pub batch_max: usize,
    pub publish_timeout: Duration,
    pub publish_channels: usize,
    /// How long the HTTP door leaves a silent broker alone.
    pub breaker: Duration,
}

impl Broker {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let broker = Self {
            url: reader.service_url("broker.url", &["amqp", "amqps"], true),
            prefetch: reader.whole("broker.prefetch", 1..=65_535),
            batch_max: reader.whole("broker.batch_max", 1..=10_000),
            publish_timeout: reader.milliseconds("broker.publish_timeout_ms", 10..=3000),
            publish_channels: reader.whole("broker.publish_channels", 1..=64),
            breaker: reader.seconds("broker.breaker_seconds", 1..=3600),
        };
        if broker.prefetch > 0 && broker.batch_max > usize::from(broker.prefetch) {
            reader.complain(
                "broker.prefetch",
                format!("must not be below broker.batch_max, which is {}", broker.batch_max),
            );
        }
        broker
    }
}
