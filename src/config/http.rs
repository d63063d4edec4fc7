//! `[http]`: the HTTP door.

use std::net::SocketAddr;
use std::time::Duration;

use super::reader::Reader;

/// Where the HTTP door listens, and its limits.
#[derive(Clone, Debug)]
pub struct Http {
    pub listen: SocketAddr,
    pub header_timeout: Duration,
    /// Under the five seconds that senders wait in all.
    pub body_timeout: Duration,
    pub body_bytes_max: usize,
    pub connections_max: usize,
}

impl Http {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            listen: reader.address("http.listen"),
            header_timeout: reader.seconds("http.header_timeout_seconds", 1..=60),
            body_timeout: reader.seconds("http.body_timeout_seconds", 1..=4),
            body_bytes_max: reader.whole("http.body_bytes_max", 1024..=1_048_576),
            connections_max: reader.whole("http.connections_max", 1..=65_536),
        }
    }
}
