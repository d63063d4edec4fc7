//! Turns refusals into problem documents: the only home of HTTP's error codes.
//!
//! Bodies follow RFC 9457 (`application/problem+json`). They tell the caller what to change, and never quote personal
//! data, a request's body or our insides.

use std::borrow::Cow;

use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::webhook::Unreadable;

/// Seconds after which a refused sender may come back.
const RETRY_AFTER_SECONDS: &str = "10";

/// Every reason for which a door answers with an error.
#[derive(Debug)]
pub enum Problem {
    /// No such route.
    NotFound,
    /// The route exists, but not for this method; `Allow` names those it has.
    MethodNotAllowed,
    /// A webhook whose signature is missing or wrong. Says nothing more: the sender is a stranger.
    Unauthentic,
    /// A signed webhook that cannot be understood.
    Unreadable(Unreadable),
    /// The content type is not JSON.
    NotJsonType,
    /// The body is larger than the limit.
    BodyTooLarge,
    /// The body did not arrive within the deadline.
    BodyTooSlow,
    /// The body ended early or broke the transfer coding.
    BodyBroken,
    /// The body of an API request is not the JSON that the route takes.
    BadBody {
        /// What is wrong with it, in words of ours.
        reason: &'static str,
    },
    /// Neither broker nor database took the webhook.
    NotDurable,
    /// The API was called without a token that is known.
    NoToken,
    /// The token's role does not reach so far.
    Forbidden {
        /// What was asked for, as in "change jobs".
        wish: &'static str,
    },
    /// A query parameter that is unknown or malformed.
    BadParameter {
        /// Its name, as the caller wrote it, shortened.
        name: String,
        /// What would be right.
        reason: &'static str,
    },
    /// No job has that id.
    JobNotFound,
    /// The job has not ended yet, so there is no receipt of it.
    NoReceipt,
    /// No data request package answers to that job.
    PackageNotFound,
    /// The package cannot be fetched yet.
    PackageNotReady,
    /// The package was removed.
    PackageRemoved,
    /// A link that was good once.
    LinkGone {
        /// What became of it, as in "was used".
        fate: &'static str,
    },
    /// Nothing of the job is in a signed tree yet, or all of it is pruned.
    NoEvidence,
    /// No legal hold has that id.
    HoldNotFound,
    /// The legal hold was released before.
    HoldReleased,
    /// No row of the app's names that shop, or its shops do not choose.
    ShopNotFound,
    /// A retention run is at work already.
    RunAtWork,
    /// Our clock and the database's are too far apart to purge anything.
    ClockJumped,
    /// The job's state does not allow what was asked.
    TransitionNotAllowed {
        /// The job's status.
        status: Cow<'static, str>,
        /// The command: `retry`, `cancel` or `release`.
        command: &'static str,
    },
    /// The job waits for the approval of another plan than the one that was named.
    NotThePlan {
        /// The hash of the plan that it waits with.
        waits_with: String,
    },
    /// The job has ended, and what its plan was made of is destroyed.
    NoPlan,
    /// None of the types in `Accept` can be served.
    NotAcceptable {
        /// The types that can.
        offered: &'static str,
    },
    /// Something that the answer needs does not answer just now.
    Unavailable,
    /// A bug of ours; the log has the rest under the request's id.
    Internal,
}

/// What a problem looks like from outside, apart from its detail.
struct Shape {
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Cow<'a, str>>,
}

impl Problem {
    /// A bad parameter; the name is shortened, because the caller chose it.
    pub fn parameter(name: &str, reason: &'static str) -> Self {
        Self::BadParameter { name: name.chars().filter(|c| !c.is_control()).take(40).collect(), reason }
    }

    /// The status code that this problem is answered with.
    pub fn status(&self) -> StatusCode {
        self.shape().status
    }

    fn shape(&self) -> Shape {
        let (status, slug, title) = match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is nothing here"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "The method is not allowed here")
            }
            Self::Unauthentic => (StatusCode::UNAUTHORIZED, "unauthentic", "Unauthorized"),
            Self::Unreadable(_) => (StatusCode::BAD_REQUEST, "unreadable", "The webhook cannot be read"),
            Self::NotJsonType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The content type is not JSON")
            }
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large"),
            Self::BodyTooSlow => (StatusCode::REQUEST_TIMEOUT, "body-too-slow", "The body came too slowly"),
            Self::BodyBroken => (StatusCode::BAD_REQUEST, "body-broken", "The body is incomplete"),
            Self::BadBody { .. } => (StatusCode::BAD_REQUEST, "bad-body", "The body is not what this route takes"),
            Self::NotDurable => (StatusCode::SERVICE_UNAVAILABLE, "not-durable", "The webhook could not be stored"),
            Self::NoToken => (StatusCode::UNAUTHORIZED, "no-token", "A bearer token is needed"),
            Self::Forbidden { .. } => (StatusCode::FORBIDDEN, "forbidden", "The role does not allow this"),
            Self::BadParameter { .. } => (StatusCode::BAD_REQUEST, "bad-parameter", "A parameter is not right"),
            Self::JobNotFound => (StatusCode::NOT_FOUND, "job-not-found", "There is no such job"),
            Self::NoEvidence => (StatusCode::NOT_FOUND, "no-evidence", "There is no evidence yet, or no more"),
            Self::NoReceipt => (StatusCode::NOT_FOUND, "no-receipt", "There is no receipt yet"),
            Self::PackageNotFound => (StatusCode::NOT_FOUND, "package-not-found", "There is no package for that job"),
            Self::PackageNotReady => {
                (StatusCode::CONFLICT, "package-not-ready", "The package is still being collected")
            }
            Self::PackageRemoved => (StatusCode::GONE, "package-removed", "The package was removed"),
            Self::LinkGone { .. } => (StatusCode::GONE, "link-gone", "The link is not good any more"),
            Self::HoldNotFound => (StatusCode::NOT_FOUND, "hold-not-found", "There is no such legal hold"),
            Self::HoldReleased => (StatusCode::CONFLICT, "hold-released", "The legal hold was released before"),
            Self::ShopNotFound => (StatusCode::NOT_FOUND, "shop-not-found", "There is no such shop"),
            Self::RunAtWork => (StatusCode::CONFLICT, "run-at-work", "Another retention run is at work"),
            Self::ClockJumped => (StatusCode::CONFLICT, "clock-jumped", "The clocks do not agree: nothing is purged"),
            Self::TransitionNotAllowed { .. } => {
                (StatusCode::CONFLICT, "transition-not-allowed", "The job's state does not allow this")
            }
            Self::NotThePlan { .. } => {
                (StatusCode::CONFLICT, "not-the-plan", "The job waits for another plan's approval")
            }
            Self::NoPlan => (StatusCode::CONFLICT, "no-plan", "The job has no plan any more"),
            Self::NotAcceptable { .. } => {
                (StatusCode::NOT_ACCEPTABLE, "not-acceptable", "None of the accepted types is offered")
            }
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available just now"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong here"),
        };
        Shape { status, slug, title }
    }

    fn detail(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Unreadable(why) => Some(why.to_string().into()),
            Self::NotJsonType => Some("send `application/json`, or a type that ends in `+json`".into()),
            Self::BadBody { reason } => Some((*reason).into()),
            Self::NotDurable => Some("it is not certain that it was accepted; send it again".into()),
            Self::Forbidden { wish } => Some(format!("the token's role may not {wish}").into()),
            Self::BadParameter { name, reason } => Some(format!("`{name}`: {reason}").into()),
            Self::TransitionNotAllowed { status, command } => {
                Some(format!("a job that is {status} does not take `{command}`").into())
            }
            Self::NotThePlan { waits_with } => {
                Some(format!("look at the plan, and send {{\"planHash\":\"{waits_with}\"}} to approve it").into())
            }
            Self::NoPlan => Some("its sealed payload is gone or cannot be read".into()),
            Self::NotAcceptable { offered } => Some(format!("offered: {offered}").into()),
            Self::NoEvidence => Some("entries are signed within seconds, and pruned after 180 days".into()),
            Self::NoReceipt => Some("a job gets its receipt when it is completed or cancelled".into()),
            Self::LinkGone { fate } => Some(format!("it {fate}; ask for a new one").into()),
            Self::NotFound
            | Self::MethodNotAllowed
            | Self::Unauthentic
            | Self::BodyTooLarge
            | Self::BodyTooSlow
            | Self::BodyBroken
            | Self::NoToken
            | Self::JobNotFound
            | Self::PackageNotFound
            | Self::PackageNotReady
            | Self::PackageRemoved
            | Self::HoldNotFound
            | Self::HoldReleased
            | Self::ShopNotFound
            | Self::RunAtWork
            | Self::ClockJumped
            | Self::Unavailable
            | Self::Internal => None,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Shape { status, slug, title } = self.shape();
        let r#type = format!("urn:efface:problem:{slug}");
        let document = Document { r#type, title, status: status.as_u16(), detail: self.detail() };
        // Serialising strings and a number cannot fail; an empty body would still carry the status.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self {
            Self::NoToken => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::NotDurable | Self::Unavailable => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
            }
            // The rest of the body is not read, so the connection cannot be used again.
            Self::BodyTooLarge | Self::BodyTooSlow | Self::BodyBroken => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}

/// Answers 404 for every path without a route.
pub(super) async fn not_found() -> Problem {
    Problem::NotFound
}

/// Answers 405; axum adds the `Allow` header of the route.
pub(super) async fn method_not_allowed() -> Problem {
    Problem::MethodNotAllowed
}
