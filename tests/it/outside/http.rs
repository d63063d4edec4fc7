//! A client of the HTTP door that has Shopify's patience.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::program::TOKEN;
use super::webhook::Webhook;

/// A sender waits this long for a connection, and for the whole answer.
const CONNECT: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_secs(5);

/// A connection that is kept open between requests, and opened again when it broke.
pub struct Client {
    address: SocketAddr,
    stream: Option<TcpStream>,
}

pub struct Answer {
    pub code: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    /// Sends a webhook.
    ///
    /// # Errors
    /// When there is no answer in time: for the sender that is the same as a refusal.
    pub async fn send(&mut self, webhook: &Webhook) -> Result<Answer, Error> {
        self.ask(&webhook.request()).await
    }

    /// Asks the API.
    pub async fn get(&mut self, path: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nHost: efface\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
        self.ask(request.as_bytes()).await.unwrap()
    }

    async fn ask(&mut self, request: &[u8]) -> Result<Answer, Error> {
        let late = |_| Error::from(ErrorKind::TimedOut);
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => timeout(CONNECT, TcpStream::connect(self.address)).await.map_err(late)??,
        };
        let answer = timeout(ANSWER, exchange(&mut stream, request)).await.map_err(late)??;
        if !answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.stream = Some(stream);
        }
        Ok(answer)
    }
}

async fn exchange(stream: &mut TcpStream, request: &[u8]) -> Result<Answer, Error> {
    stream.set_nodelay(true)?;
    stream.write_all(request).await?;
    let mut read = Vec::with_capacity(1024);
    let end = loop {
        fill(stream, &mut read).await?;
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8_lossy(&read[..end]).into_owned();
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or(ErrorKind::InvalidData)?;
    let mut answer = Answer { code, head, body: read.split_off(end) };
    let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
    while answer.body.len() < length {
        fill(stream, &mut answer.body).await?;
    }
    Ok(answer)
}

async fn fill(stream: &mut TcpStream, read: &mut Vec<u8>) -> Result<(), Error> {
    if stream.read_buf(read).await? == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}
