//! Accepts connections and lets nobody hold one for ever.
//!
//! `axum::serve` sets no limits, so this loop has its own: a number of connections, a time for the head, a time and a size
//! for the body, a time in which a peer must take its answer, and a time in which a shutdown ends.

mod body;
mod connection;
mod edge;
mod socket;

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::shutdown::Shutdown;

pub use body::{LimitedBody, read_body};

/// Pause after a failed accept, doubled up to the second value: a full file table must not spin the loop.
const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// The limits of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// Connections served at once; more wait in the kernel's accept queue and are never refused with a code.
    pub connections_max: u32,
    /// Time for a request's head; also the time for which an idle connection is kept.
    pub header_read_timeout: Duration,
    /// Size of a request's head, in bytes; more is answered 431.
    pub header_bytes_max: usize,
    /// Time for a request's body, from the first wish to read it; longer is answered 408.
    pub body_deadline: Duration,
    /// Size of a request's body, in bytes; more is answered 413.
    pub body_bytes_max: u64,
    /// Time for which a peer may refuse to take more of its answer before the connection is cut.
    pub write_stall_limit: Duration,
    /// Time for requests in hand to finish once a shutdown has begun; then they are cut.
    pub drain_limit: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            header_read_timeout: Duration::from_secs(5),
            header_bytes_max: 16 * 1024,
            body_deadline: Duration::from_secs(4),
            body_bytes_max: 1024 * 1024,
            write_stall_limit: Duration::from_secs(10),
            drain_limit: Duration::from_secs(10),
        }
    }
}

/// Serves until `shutdown`, then finishes the requests in hand and returns.
pub async fn serve(listener: TcpListener, router: Router, settings: ServerSettings, shutdown: Shutdown) {
    let slots = Arc::new(Semaphore::new(settings.connections_max as usize));
    // Resolves the handlers' state once instead of once per request.
    let router: Router = router.with_state(());
    let accepting = async {
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            let (stream, peer) = accepted(|| listener.accept()).await;
            // Answers are written in one piece; waiting for more to send would only delay them.
            if stream.set_nodelay(true).is_err() {
                continue;
            }
            let connection = connection::run(stream, peer.ip(), router.clone(), settings, shutdown.clone());
            tokio::spawn(async move {
                connection.await;
                drop(slot);
            });
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = accepting => {}
    }
    drop(listener);
    // Each connection ends by itself within the drain limit, and gives its slot back even when it panics.
    let _all = slots.acquire_many(settings.connections_max).await;
    tracing::debug!("the HTTP server has finished its last request");
}

/// Waits for the next connection, through every error that an accept can have.
async fn accepted<T, F: Future<Output = io::Result<T>>>(mut accept: impl FnMut() -> F) -> T {
    let (mut pause, longest) = ACCEPT_PAUSE;
    loop {
        match accept().await {
            Ok(connection) => return connection,
            Err(error) if ended_early(&error) => {}
            Err(error) => {
                let code = error.raw_os_error();
                tracing::warn!(error.kind = ?error.kind(), error.code = code, "cannot accept connections; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(longest);
            }
        }
    }
}

/// Whether only this one connection failed, before it was accepted.
fn ended_early(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset)
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_full_file_table_makes_the_loop_wait_and_a_lost_connection_does_not() {
        const TOO_MANY_FILES: i32 = 24;
        let mut outcomes = vec![
            Ok("served"),
            Err(io::Error::from_raw_os_error(TOO_MANY_FILES)),
            Err(ErrorKind::ConnectionAborted.into()),
            Err(io::Error::from_raw_os_error(TOO_MANY_FILES)),
        ];
        let begun = Instant::now();
        assert_eq!(accepted(|| ready(outcomes.pop().unwrap())).await, "served");
        assert!(begun.elapsed() >= ACCEPT_PAUSE.0 * 3, "one pause, and another twice as long");
        assert!(outcomes.is_empty());
    }
}
