//! Carries one connection from its first byte to its last.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::socket::StallGuard;
use super::{ServerSettings, edge};
use crate::http::audited::Peer;
use crate::shutdown::Shutdown;

/// Read buffer of a connection, in bytes, at most.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// How long, and how much, a peer may still send after its last answer before the socket is closed.
const LINGER: (Duration, usize) = (Duration::from_secs(1), 4 * 1024 * 1024);

/// Serves the requests of one connection until the peer leaves, a limit is reached or a shutdown has drained it.
pub(super) async fn run(stream: TcpStream, peer: IpAddr, router: Router, settings: ServerSettings, shutdown: Shutdown) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        let answer = edge::answer(router.clone(), request, settings);
        Box::pin(async move { Ok::<_, Infallible>(answer.await) })
    });
    let io = TokioIo::new(StallGuard::new(stream, settings.write_stall_limit));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_read_timeout)
        .max_header_size(settings.header_bytes_max)
        .max_buf_size(BUFFER_BYTES_MAX.max(settings.header_bytes_max))
        .serve_connection(io, service);

    let leaving = tokio::select! {
        biased;
        done = poll_fn(|cx| connection.poll_without_shutdown(cx)) => Some(done),
        () = shutdown.cancelled() => None,
    };
    let done = if let Some(done) = leaving {
        done
    } else {
        Pin::new(&mut connection).graceful_shutdown();
        let rest = poll_fn(|cx| connection.poll_without_shutdown(cx));
        let Ok(done) = tokio::time::timeout(settings.drain_limit, rest).await else {
            tracing::warn!("a request was cut off: it did not finish within the shutdown's limit");
            return;
        };
        done
    };
    // On an error the peer has left, sent nonsense or was too slow; hyper has answered where there was something to say.
    if done.is_ok() {
        linger(connection.into_parts().io.into_inner()).await;
    }
}

/// Closes in two steps, so that a peer that is still sending can read its answer.
///
/// Closing a socket that holds unread bytes resets the connection, and the reset may overtake the 413 or 408.
async fn linger(mut stream: StallGuard) {
    let (limit, mut bytes_left) = LINGER;
    let leave = async {
        stream.shutdown().await?;
        let mut scrap = [0; 4096];
        while bytes_left > 0 {
            match stream.read(&mut scrap).await? {
                0 => break,
                read => bytes_left = bytes_left.saturating_sub(read),
            }
        }
        Ok::<_, std::io::Error>(())
    };
    // However it ends, the socket is closed next.
    let _ended = tokio::time::timeout(limit, leave).await;
}
