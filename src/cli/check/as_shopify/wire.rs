//! One request on a connection of its own, with Shopify's patience and its times.

use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower::ServiceExt as _;

/// Shopify's time to connect. <https://shopify.dev/docs/apps/build/webhooks/subscribe/https>
const CONNECT_LIMIT: Duration = Duration::from_secs(1);
/// Most of an answer that is read; it is judged by its status.
const ANSWER_BYTES_MAX: usize = 1_048_576;

/// Sends requests, each within the same limits. Follows no redirects.
#[derive(Debug)]
pub struct Wire {
    connector: HttpsConnector<HttpConnector>,
    limit: Duration,
}

/// How the names of headers are written. HTTP gives both the same meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Casing {
    /// `X-Shopify-Topic`
    Title,
    /// `x-shopify-topic`
    Lower,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    Answer(StatusCode),
    /// Nobody took the connection.
    Unreachable(String),
    /// No complete answer within the limit.
    Late(Duration),
    /// The connection ended, or something that is not HTTP came.
    Broken(String),
}

/// One request and what came of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Until the connection stood, with TLS; none when it never did.
    pub connected_after: Option<Duration>,
    pub took: Duration,
    pub came: Came,
}

impl Wire {
    /// `limit` bounds a request in all, from connecting to the last byte of the answer.
    pub fn new(limit: Duration) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(limit.min(CONNECT_LIMIT)));
        let https = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1();
        Self { connector: https.wrap_connector(http), limit }
    }

    pub async fn send(&self, request: Request<Full<Bytes>>, casing: Casing) -> Exchange {
        let begun = Instant::now();
        let mut connected_after = None;
        let exchange = self.exchange(request, casing, begun, &mut connected_after);
        let came = timeout(self.limit, exchange).await.unwrap_or(Came::Late(self.limit));
        Exchange { connected_after, took: begun.elapsed(), came }
    }

    async fn exchange(
        &self,
        mut request: Request<Full<Bytes>>,
        casing: Casing,
        begun: Instant,
        connected_after: &mut Option<Duration>,
    ) -> Came {
        let stream = match self.connector.clone().oneshot(request.uri().clone()).await {
            Ok(stream) => stream,
            Err(error) => return Came::Unreachable(told(&*error)),
        };
        *connected_after = Some(begun.elapsed());
        to_origin_form(&mut request);
        let broken = |error: hyper::Error| Came::Broken(told(&error));
        let mut builder = http1::Builder::new();
        builder.title_case_headers(casing == Casing::Title);
        let (mut sender, connection) = match builder.handshake(stream).await {
            Ok(ends) => ends,
            Err(error) => return broken(error),
        };
        // Ends with this function, however it ends.
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let answer = match sender.send_request(request).await {
            Ok(answer) => answer,
            Err(error) => return broken(error),
        };
        let (head, mut body) = answer.into_parts();
        let mut read = 0;
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => read += frame.data_ref().map_or(0, Bytes::len),
                Err(error) => return broken(error),
            }
            if read > ANSWER_BYTES_MAX {
                break;
            }
        }
        Came::Answer(head.status)
    }
}

/// Names the host in a header and leaves the path, as a request to an origin server has it.
fn to_origin_form(request: &mut Request<Full<Bytes>>) {
    let uri = request.uri();
    let host = uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    let path = uri.path_and_query().map(|path| Uri::from(path.clone())).unwrap_or_default();
    if let Some(host) = host {
        request.headers_mut().insert(HOST, host);
    }
    *request.uri_mut() = path;
}

/// An error with its causes.
fn told(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(status) => write!(f, "{}", status.as_u16()),
            Self::Unreachable(why) => write!(f, "no connection: {why}"),
            Self::Late(limit) => write!(f, "no answer within {} ms", limit.as_millis()),
            Self::Broken(why) => write!(f, "no answer: {why}"),
        }
    }
}
