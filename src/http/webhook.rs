//! The webhooks' door: request in, durable delivery out, and only then 200.
//!
//! A stranger learns nothing here but 401: the signature is checked before anything that the sender wrote is looked at,
//! apart from the method and the size of the body, without which there is nothing to check.

mod tally;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HeaderMap};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, post};
use futures_util::future::BoxFuture;
use serde::Serialize;

use super::error::Problem;
use super::server::read_body;
use crate::acceptance::{Accepted, NotDurable};
use crate::seal::Pii;
use crate::webhook::{Delivery, Provider, Secrets, Topic, UnverifiedWebhook, VerifiedWebhook, WebhookHeaders};
use tally::{Answer, Tally};

/// Makes a delivery durable, or says that it could not.
pub type Accept = Arc<dyn Fn(Delivery) -> BoxFuture<'static, Result<Accepted, NotDurable>> + Send + Sync>;

/// What the door needs: the secrets that senders sign with, and the desk behind it.
#[derive(Clone)]
pub struct WebhookDoor {
    /// The active secrets.
    pub secrets: Secrets,
    /// The desk.
    pub accept: Accept,
}

impl fmt::Debug for WebhookDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookDoor").field("secrets", &self.secrets).finish_non_exhaustive()
    }
}

struct Room {
    door: WebhookDoor,
    tally: Tally,
}

/// What the sender is told of a delivery that is safe.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answered<'a> {
    job_id: Option<&'a str>,
    duplicate: bool,
}

/// The routes of the door. A trailing slash is as good as none: senders do not follow redirects.
pub(super) fn router(door: WebhookDoor) -> Router {
    let route: MethodRouter<Arc<Room>> = post(take).fallback(refuse_method);
    Router::new()
        .route("/webhooks", route.clone())
        .route("/webhooks/", route.clone())
        .route("/webhooks/{*topic}", route)
        .with_state(Arc::new(Room { door, tally: Tally::default() }))
}

async fn refuse_method(State(room): State<Arc<Room>>) -> Problem {
    room.tally.count(None, None, Answer::of(&Problem::MethodNotAllowed));
    Problem::MethodNotAllowed
}

async fn take(State(room): State<Arc<Room>>, request: Request) -> Response {
    let begun = Instant::now();
    let mut seen = Seen::default();
    let (answer, response) = match room.door.take(request, &mut seen).await {
        Ok(accepted) => (Answer::of_accepted(&accepted), answered(&accepted)),
        Err(problem) => (Answer::of(&problem), problem.into_response()),
    };
    room.tally.count(seen.provider, seen.topic, answer);
    room.tally.time(begun.elapsed());
    response
}

/// What is known of a webhook so far, for the metrics. The topic is known once the signature and the body agree with it.
#[derive(Default)]
struct Seen {
    provider: Option<&'static Provider>,
    topic: Option<Topic>,
}

impl WebhookDoor {
    async fn take(&self, request: Request, seen: &mut Seen) -> Result<Accepted, Problem> {
        let (head, body) = request.into_parts();
        let body = Pii::new(read_body(body).await?);
        let webhook = unverified(&head.headers, head.uri.path(), body)?;
        seen.provider = Some(webhook.provider);
        let verified = verify(webhook, &self.secrets)?;
        if !is_json(&head.headers) {
            return Err(Problem::NotJsonType);
        }
        let delivery = verified.read().map_err(Problem::Unreadable)?;
        seen.topic = Some(delivery.topic);
        (self.accept)(delivery).await.map_err(|NotDurable| Problem::NotDurable)
    }
}

/// Collects what the sender claims. Two signatures are none: which one counts must not be the sender's choice.
fn unverified(headers: &HeaderMap, path: &str, body: Pii<Vec<u8>>) -> Result<UnverifiedWebhook, Problem> {
    if headers.iter().filter(|(name, _)| name.as_str().ends_with("-hmac-sha256")).nth(1).is_some() {
        return Err(Problem::Unauthentic);
    }
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let provider = Provider::detect(&header).map_err(|_| Problem::Unauthentic)?;
    let path_topic = path.strip_prefix("/webhooks").map(|topic| topic.trim_matches('/')).unwrap_or_default();
    Ok(UnverifiedWebhook {
        provider,
        headers: WebhookHeaders::read(provider, header),
        path_topic: (!path_topic.is_empty()).then(|| path_topic.to_owned()),
        body,
    })
}

fn verify(webhook: UnverifiedWebhook, secrets: &Secrets) -> Result<VerifiedWebhook, Problem> {
    webhook.verify(secrets).map_err(|reason| {
        tracing::debug!(reason = %reason, "refused a webhook");
        Problem::Unauthentic
    })
}

/// `application/json` and everything ending in `+json`, with any parameters. Without the header the body decides.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return true };
    let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let suffix = essence.len().checked_sub("+json".len()).map(|start| &essence[start..]);
    essence.eq_ignore_ascii_case(b"application/json")
        || essence.contains(&b'/') && suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"+json"))
}

fn answered(accepted: &Accepted) -> Response {
    let document = Answered { job_id: accepted.job_id.as_deref(), duplicate: accepted.duplicate };
    // Serialising a text and a flag cannot fail.
    let body = serde_json::to_vec(&document).unwrap_or_default();
    (StatusCode::OK, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_known_by_its_type_whatever_its_parameters() {
        let typed = |value: &'static str| HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
        for good in
            ["application/json", "Application/JSON; charset=utf-8", "application/vnd.shop+json", "text/x+JSON ;a=b"]
        {
            assert!(is_json(&typed(good)), "{good}");
        }
        for bad in
            ["", "text/plain", "application/json2", "application/x-www-form-urlencoded", "+json", "text/html; +json"]
        {
            assert!(!is_json(&typed(bad)), "{bad}");
        }
        assert!(is_json(&HeaderMap::new()));
    }
}
