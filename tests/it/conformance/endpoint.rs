//! Endpoints as other people write them: they see the request as it came over the wire, and answer as they like.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::outside::webhook::{SECRET, sign};

/// One request, with the names of its headers as they were written.
pub struct Received {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

pub enum Reply {
    Status(u16),
    /// 308 to somewhere.
    Redirect,
    /// Never answers.
    Hang,
    /// Closes the connection instead.
    Close,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn topic(&self) -> &str {
        self.header("x-shopify-topic").unwrap_or_default()
    }

    pub fn shop(&self) -> &str {
        self.header("x-shopify-shop-domain").unwrap_or_default()
    }

    pub fn hmac(&self) -> Option<&str> {
        self.header("x-shopify-hmac-sha256").filter(|hmac| !hmac.is_empty())
    }

    pub fn is_signed_with(&self, secret: &str) -> bool {
        self.hmac() == Some(sign(secret, &self.body).as_str())
    }

    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// What a good endpoint answers, but for one that decides otherwise who is genuine.
    pub fn answered_when(&self, genuine: bool) -> Reply {
        Reply::Status(match () {
            () if self.method != "POST" => 405,
            () if !genuine => 401,
            () if self.json().is_none() => 400,
            () => 200,
        })
    }

    /// What a good endpoint answers.
    pub fn answered_well(&self) -> Reply {
        self.answered_when(self.is_signed_with(SECRET))
    }

    /// A good endpoint's confirmation.
    pub fn is_taken(&self) -> bool {
        matches!(self.answered_well(), Reply::Status(200))
    }
}

/// A server on a port of its own that ends with this value.
pub struct Endpoint {
    pub address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Endpoint {
    pub async fn open(answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(answer);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = Arc::clone(&answer);
                tokio::spawn(async move { serve(stream, |received| answer(received)).await });
            }
        });
        Self { address, serving }
    }

    pub fn url(&self) -> String {
        format!("http://{}/webhooks", self.address)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Answers one request, and closes.
async fn serve(mut stream: TcpStream, answer: impl Fn(&Received) -> Reply) {
    let Some(received) = read(&mut stream).await else { return };
    let head = match answer(&received) {
        Reply::Status(code) => format!("HTTP/1.1 {code} -\r\n"),
        Reply::Redirect => "HTTP/1.1 308 -\r\nlocation: /elsewhere\r\n".to_owned(),
        Reply::Hang => return std::future::pending().await,
        Reply::Close => return,
    };
    let _ = stream.write_all(format!("{head}connection: close\r\ncontent-length: 2\r\n\r\nok").as_bytes()).await;
}

async fn read(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let end = loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
    let mut received = Received { method, path, headers, body: bytes.split_off(end) };
    let length = received.header("content-length").map_or(0, |length| length.parse().unwrap());
    while received.body.len() < length {
        if stream.read_buf(&mut received.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(received)
}
