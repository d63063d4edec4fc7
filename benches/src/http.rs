//! A client connection of our own: one request after the other on a kept-alive socket, nothing pooled behind our back.
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::process::Process;

/// What Shopify grants a receiver before it counts the delivery as failed.
pub const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    pub async fn open(host: &str) -> anyhow::Result<Self> {
        let connect = timeout(TIMEOUT, TcpStream::connect(host)).await;
        let stream = connect.map_err(anyhow::Error::from).and_then(|stream| Ok(stream?));
        let stream = stream.with_context(|| format!("cannot connect to {host}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    /// Sends one request and reads the whole answer.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> anyhow::Result<StatusCode> {
        let answer = async {
            self.sender.ready().await?;
            let mut answer = self.sender.send_request(request).await?;
            while let Some(frame) = answer.frame().await {
                frame?;
            }
            Ok(answer.status())
        };
        timeout(TIMEOUT, answer).await?
    }
}

/// Waits until `GET /ready` answers 200.
///
/// # Errors
/// The process has ended, or the limit has passed.
pub async fn ready(host: &str, process: &mut Process, limit: Duration) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        ensure!(!process.has_ended()?, "the server ended before it was ready; its log is kept");
        ensure!(started.elapsed() < limit, "http://{host}/ready did not answer 200 within {} s", limit.as_secs());
        if let Ok(mut connection) = Connection::open(host).await {
            let request = Request::get("/ready").header("host", host).body(Full::default())?;
            if connection.send(request).await.is_ok_and(|status| status == StatusCode::OK) {
                return Ok(());
            }
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// `host:port` and the path of an `http://` address; the path is `/webhooks` when there is none.
pub fn split(address: &str) -> anyhow::Result<(String, String)> {
    let rest = address.strip_prefix("http://").context("the address must start with http://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = if path.is_empty() { "/webhooks".to_owned() } else { format!("/{path}") };
    let host = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    Ok((host, path))
}

/// A loopback address that nobody listens on at this moment.
pub async fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(tokio::net::TcpListener::bind("127.0.0.1:0").await?.local_addr()?)
}
