//! A small HTTP client for commands that talk to a running Efface, or to any other endpoint.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

/// Most of an answer that is read.
const ANSWER_BYTES_MAX: usize = 1_048_576;

/// Keeps connections open between requests; follows no redirects.
#[derive(Clone, Debug)]
pub struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
}

impl Client {
    /// `timeout` bounds one request in all, from connecting to the last byte of the answer.
    pub fn new(timeout: Duration) -> Self {
        let https = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
        Self { pool: Pool::builder(TokioExecutor::new()).build(https), timeout }
    }

    /// # Errors
    /// When nobody answers in time, or with something that is not HTTP.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
        let exchange = async {
            let answer = self.pool.request(request).await?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?;
            Ok(Answer { status, body: body.to_bytes() })
        };
        timeout(self.timeout, exchange).await.with_context(|| format!("no answer within {:?}", self.timeout))?
    }
}

/// Reads `http://` and `https://` addresses.
///
/// # Errors
/// When the text is no such address.
pub fn parse_address(text: &str) -> Result<Uri, String> {
    let address = text.parse::<Uri>().ok().filter(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    });
    address.ok_or_else(|| "expected an address such as https://app.example.com/webhooks".to_owned())
}

/// Gives an address without a path the one that is meant.
///
/// # Errors
/// Never for an address that [`parse_address`] read.
pub fn with_path(address: &Uri, path: &'static str) -> anyhow::Result<Uri> {
    if address.path() != "/" || address.query().is_some() {
        return Ok(address.clone());
    }
    let mut parts = address.clone().into_parts();
    parts.path_and_query = Some(path.parse()?);
    Ok(Uri::from_parts(parts)?)
}
