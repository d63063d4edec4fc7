//! A server on a free port with a desk of the test's choosing, and a client that writes bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use efface::acceptance::{Accepted, NotDurable};
use efface::clock::Clock;
use efface::hold::{Holds, Reach};
use efface::http::{
    Accept, ApiState, Doors, Finding, Metrics, Readiness, Role, ServerSettings, Tokens, WebhookDoor, router, serve,
};
use efface::job::wake::Wake;
use efface::seal::{ContentKeys, Keyring};
use efface::shutdown::Shutdown;
use efface::store::{PoolLimits, Store};
use efface::webhook::{Delivery, Secrets};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

pub const SECRET: &str = "hush";
pub const BODY: &str = r#"{"shop_id":954889,"shop_domain":"snowdevil.myshopify.com"}"#;

/// Longest time that a test waits for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct House {
    pub address: SocketAddr,
    pub shutdown: Shutdown,
    pub served: JoinHandle<()>,
}

/// A desk that answers every delivery alike.
pub fn desk(answer: Result<Accepted, NotDurable>) -> Accept {
    Arc::new(move |_delivery: Delivery| Box::pin(std::future::ready(answer.clone())))
}

pub fn accepting() -> Accept {
    desk(Ok(Accepted { job_id: Some("gdpr_1".into()), duplicate: false }))
}

/// Limits short enough to run into, except the sizes, which are those of the contract.
pub fn short_limits() -> ServerSettings {
    ServerSettings {
        header_read_timeout: Duration::from_millis(300),
        body_deadline: Duration::from_millis(300),
        write_stall_limit: Duration::from_millis(300),
        drain_limit: Duration::from_millis(300),
        ..ServerSettings::default()
    }
}

/// The tokens `admin-token`, `operator-token` and `viewer-token`.
pub fn tokens() -> Tokens {
    let token = |name: &str, role| (name.to_owned(), role, Zeroizing::new(format!("{name}-token")));
    let tokens = [("admin", Role::Admin), ("operator", Role::Operator), ("viewer", Role::Viewer)];
    Tokens::new(tokens.map(|(name, role)| token(name, role)))
}

impl House {
    pub async fn open() -> Self {
        Self::with(accepting(), ServerSettings::default()).await
    }

    pub async fn with(accept: Accept, settings: ServerSettings) -> Self {
        Self::with_readiness(accept, settings, Readiness::new().with("database", || async { Finding::good("answers") }))
            .await
    }

    pub async fn with_readiness(accept: Accept, settings: ServerSettings, readiness: Readiness) -> Self {
        Self::with_tokens(accept, settings, readiness, tokens()).await
    }

    pub async fn with_tokens(accept: Accept, settings: ServerSettings, readiness: Readiness, tokens: Tokens) -> Self {
        // The routes need a database to ask; an empty one answers every question with an error.
        let database = Store::connect("sqlite::memory:", PoolLimits::default()).await.unwrap();
        let (keyring, clock) = (Arc::new(Keyring::generate()), Clock::system());
        let keys = ContentKeys::new(Arc::clone(&keyring), database.clone(), clock.clone());
        let holds = Holds::new(database.clone(), clock, keyring, keys, Reach::default());
        let api = ApiState::new(database, Clock::system(), Wake::default(), crate::house::signer(), holds);
        Self::over(accept, settings, readiness, tokens, api).await
    }

    /// A server over an API of the test's choosing.
    pub async fn over(
        accept: Accept,
        settings: ServerSettings,
        readiness: Readiness,
        tokens: Tokens,
        api: ApiState,
    ) -> Self {
        let doors = Doors {
            webhooks: WebhookDoor { secrets: Secrets::new(vec![SECRET.into(), "hush_old".into()]), accept },
            readiness,
            metrics: Metrics::install(),
            tokens,
            api,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let served = tokio::spawn(serve(listener, router(doors), settings, shutdown.clone()));
        Self { address, shutdown, served }
    }

    pub async fn connect(&self) -> Client {
        Client { stream: TcpStream::connect(self.address).await.unwrap(), read: Vec::new() }
    }

    /// A connection whose writes wait as soon as the server does not read.
    pub async fn connect_with_buffer(&self, bytes: u32) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(bytes).unwrap();
        Client { stream: socket.connect(self.address).await.unwrap(), read: Vec::new() }
    }

    /// One request on a connection of its own.
    pub async fn ask(&self, request: &Request<'_>) -> Answer {
        let mut client = self.connect().await;
        client.send(&request.bytes()).await;
        client.answer_to(request.method).await.expect("an answer")
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask(&Request { method: "GET", path, headers: owned(headers), body: b"" }).await
    }
}

pub fn owned(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    STANDARD.encode(mac.finalize().into_bytes())
}

/// A request that a test changes in one point.
#[derive(Clone)]
pub struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub headers: Vec<(String, String)>,
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// A webhook as Shopify sends it.
    pub fn webhook(path: &'a str, topic: Option<&str>, body: &'a [u8]) -> Self {
        let mut headers = owned(&[
            ("Content-Type", "application/json"),
            ("X-Shopify-Hmac-Sha256", &sign(SECRET, body)),
            ("X-Shopify-Shop-Domain", "snowdevil.myshopify.com"),
            ("X-Shopify-Webhook-Id", "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043"),
            ("X-Shopify-API-Version", "2026-10"),
        ]);
        headers.extend(topic.map(|topic| ("X-Shopify-Topic".to_owned(), topic.to_owned())));
        Self { method: "POST", path, headers, body }
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    pub fn and(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn head(&self) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: localhost\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{}Content-Length: {}\r\n\r\n", self.head(), self.body.len()).into_bytes();
        bytes.extend_from_slice(self.body);
        bytes
    }
}

pub struct Client {
    pub stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub async fn answer(&mut self) -> Option<Answer> {
        self.answer_to("POST").await
    }

    /// The next answer; `None` when the server closes the connection instead.
    pub async fn answer_to(&mut self, method: &str) -> Option<Answer> {
        within(async {
            let head_length = loop {
                if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                    break end + 4;
                }
                if !self.fill().await {
                    assert_eq!(self.read, b"", "half an answer");
                    return None;
                }
            };
            let head = String::from_utf8(self.read.drain(..head_length).collect()).unwrap();
            let mut answer = Answer { head, body: Vec::new() };
            let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
            if method != "HEAD" {
                while self.read.len() < length {
                    assert!(self.fill().await, "the body was cut off");
                }
                answer.body = self.read.drain(..length).collect();
            }
            Some(answer)
        })
        .await
    }

    /// Waits until the server has closed the connection, by whatever means.
    pub async fn closed(&mut self) {
        within(async { while self.fill().await {} }).await;
    }

    async fn fill(&mut self) -> bool {
        let mut chunk = [0; 4096];
        let count = self.stream.read(&mut chunk).await.unwrap_or(0);
        self.read.extend_from_slice(&chunk[..count]);
        count > 0
    }
}

#[derive(Debug)]
pub struct Answer {
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn code(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (other, value) = line.split_once(": ")?;
            other.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Asserts a problem document of this code, and gives its detail.
    pub fn problem(&self, code: u16) -> Option<String> {
        assert_eq!(self.code(), code, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let document = self.json();
        assert_eq!(document["status"], code);
        assert!(document["type"].as_str().unwrap().starts_with("urn:efface:problem:"));
        assert!(document["title"].is_string());
        document["detail"].as_str().map(str::to_owned)
    }
}

/// Fails the test instead of hanging it.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it must happen in time")
}
