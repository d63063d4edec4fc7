//! Opens and closes connections, with a limit on everything.

use std::time::Duration;

use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Seconds between heartbeats, unless the URL says otherwise: a silent broker is given up after two of them.
const HEARTBEAT_SECONDS: u16 = 10;

/// Milliseconds for TCP and TLS, unless the URL says otherwise.
const CONNECT_MS: u64 = 5_000;

/// For all that it takes to open a connection and to make it useful.
const OPEN_TIMEOUT: Duration = Duration::from_secs(15);

/// How often the state of a connection is looked at, in case its end was missed.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// For a goodbye; a blocked connection cannot say one.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a connection could not be opened, or had to be given up. Never carries the URL.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("`broker.url` cannot be read as amqp://user:password@host:port/vhost")]
    Url,
    #[error("{0}")]
    Amqp(#[from] lapin::Error),
    #[error("no answer within {} s", OPEN_TIMEOUT.as_secs())]
    Silent,
    #[error("{0}")]
    Ended(&'static str),
}

/// Checks that a URL is one that [`super::Broker`] can connect to, so that a mistake is found at start-up.
///
/// # Errors
/// When it is no AMQP URL. The error does not repeat the URL, which holds a password.
pub fn check_url(url: &str) -> Result<(), LinkError> {
    parse(url).map(drop)
}

/// Opens a connection to the broker and closes it again: whether it answers, and lets us in. Changes nothing there.
///
/// # Errors
/// When it does not.
pub async fn probe(url: &str) -> Result<(), LinkError> {
    let connection = within_limit(connect(url, "efface check")).await?;
    close(&connection).await;
    Ok(())
}

fn parse(url: &str) -> Result<AMQPUri, LinkError> {
    let mut uri: AMQPUri = url.parse().map_err(|_| LinkError::Url)?;
    if uri.vhost.is_empty() {
        // `amqp://host/` names no virtual host, and everybody who writes it means the default one.
        uri.vhost = "/".into();
    }
    uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
    uri.query.connection_timeout.get_or_insert(CONNECT_MS);
    Ok(uri)
}

/// Opens a connection under a name that the broker's tools show. lapin's own recovery stays off: it gives up.
pub(super) async fn connect(url: &str, name: &str) -> Result<Connection, LinkError> {
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    Ok(Connection::connect_uri(parse(url)?, properties).await?)
}

/// Runs what opens a link, for a limited time.
pub(super) async fn within_limit<T>(opening: impl Future<Output = Result<T, LinkError>>) -> Result<T, LinkError> {
    timeout(OPEN_TIMEOUT, opening).await.unwrap_or(Err(LinkError::Silent))
}

/// Returns when the connection is gone. Looks instead of listening: lapin does not announce every way to go.
pub(super) async fn lost(connection: &Connection) -> LinkError {
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        if !connection.status().connected() {
            return LinkError::Ended("the connection was closed");
        }
    }
}

/// Says goodbye. Whatever is still unacknowledged goes back to its queue.
pub(super) async fn close(connection: &Connection) {
    if connection.status().connected() {
        // When the goodbye fails, the broker finds out by itself.
        let _ = timeout(CLOSE_TIMEOUT, connection.close(200, "goodbye".into())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_cannot_be_read_is_refused_without_repeating_it() {
        for url in ["", "postgres://app:s3cret@localhost/x", "app:s3cret@localhost", "amqp://app:s3cret@host:port/"] {
            let error = check_url(url).unwrap_err();
            let printed = format!("{error} {error:?}");
            assert!(!printed.contains("s3cret"), "{printed}");
        }
    }

    #[test]
    fn heartbeat_connect_limit_and_virtual_host_have_defaults_that_the_url_overrides() {
        let plain = parse("amqp://app:s3cret@localhost:5672/%2f").unwrap();
        assert_eq!((plain.query.heartbeat, plain.query.connection_timeout), (Some(10), Some(5_000)));
        assert_eq!(parse("amqp://app:s3cret@localhost:5672/").unwrap().vhost, "/");
        let tuned = parse("amqps://app:s3cret@localhost/%2f?heartbeat=30&connection_timeout=900").unwrap();
        assert_eq!((tuned.query.heartbeat, tuned.query.connection_timeout), (Some(30), Some(900)));
    }
}
