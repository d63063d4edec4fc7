//! Puts around every route what none may forget: a request id, safe headers, a net for panics, and the access log.

use std::panic::AssertUnwindSafe;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, Method, Request, Response};
use axum::response::IntoResponse as _;
use futures_util::FutureExt as _;
use hyper::body::Incoming;
use tower::Service as _;

use super::{LimitedBody, ServerSettings};
use crate::http::error::Problem;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Words of our own routes; any other part of a path may be a client's data and is not logged.
const PATH_WORDS: [&str; 30] = [
    "api",
    "app",
    "audit",
    "cancel",
    "checkpoint",
    "compliance",
    "customers",
    "data_request",
    "entries",
    "exports",
    "health",
    "holds",
    "jobs",
    "livez",
    "metrics",
    "minimum-index",
    "openapi.json",
    "ready",
    "readyz",
    "redact",
    "release",
    "reports",
    "retention",
    "retry",
    "runs",
    "shop",
    "tile",
    "uninstalled",
    "v1",
    "webhooks",
];

/// Asks the router, and makes its answer fit to leave the house.
pub(super) async fn answer(mut router: Router, request: Request<Incoming>, limits: ServerSettings) -> Response<Body> {
    let id = request_id();
    let seen = tracing::enabled!(tracing::Level::DEBUG)
        .then(|| (Instant::now(), method_word(request.method()), masked_path(request.uri().path())));
    let request = request.map(|body| Body::new(LimitedBody::new(body, limits.body_bytes_max, limits.body_deadline)));

    let mut response = match AssertUnwindSafe(router.call(request)).catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_panic) => {
            tracing::error!(request.id = id.to_str().unwrap_or_default(), "a request ended in a panic");
            Problem::Internal.into_response()
        }
    };

    if let Some((begun, method, path)) = seen {
        tracing::debug!(
            request.id = id.to_str().unwrap_or_default(),
            http.method = method,
            http.path = path,
            http.status = response.status().as_u16(),
            seconds = begun.elapsed().as_secs_f64(),
            "answered a request"
        );
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A new id: eight hexadecimal digits of this process, eight of this request. Never the client's own.
fn request_id() -> HeaderValue {
    static PROCESS: LazyLock<u32> = LazyLock::new(rand::random);
    static REQUEST: AtomicU32 = AtomicU32::new(0);
    let number = u64::from(*PROCESS) << 32 | u64::from(REQUEST.fetch_add(1, Ordering::Relaxed));
    let mut text = [0; 16];
    for (place, digit) in text.iter_mut().enumerate() {
        let nibble = (number >> (60 - 4 * place)) & 0xf;
        *digit = b"0123456789abcdef"[usize::try_from(nibble).unwrap_or_default()];
    }
    HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("-"))
}

fn method_word(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "PATCH" => "PATCH",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// The path with every part that is not a word of ours left out.
fn masked_path(path: &str) -> String {
    let known = |part: &str| part.is_empty() || PATH_WORDS.contains(&part);
    path.split('/').map(|part| if known(part) { part } else { "…" }).take(12).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_logged_without_anything_a_client_chose() {
        assert_eq!(masked_path("/api/v1/jobs/gdpr_1/retry"), "/api/v1/jobs/…/retry");
        assert_eq!(masked_path("/webhooks/customers/redact/"), "/webhooks/customers/redact/");
        assert_eq!(masked_path("/john@example.com"), "/…");
    }

    #[test]
    fn request_ids_differ_and_have_sixteen_digits() {
        let (first, second) = (request_id(), request_id());
        assert_ne!(first, second);
        assert_eq!(first.len(), 16);
    }
}
