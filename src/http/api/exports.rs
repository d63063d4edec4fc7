//! Hands data request packages to merchants: an operator makes a link, its bearer downloads.

use axum::Json;
use axum::RequestExt as _;
use axum::body::Body;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use super::body;
use super::jobs::{PathId, job_id};
use super::jobs_source::unavailable;
use super::{ApiState, query};
use crate::audit::Actor;
use crate::clock::rfc3339;
use crate::export::{PackageError, Recipient};
use crate::http::auth::Caller;
use crate::http::error::Problem;
use crate::http::server::read_body;

/// A wish for a link: who asks, for which job, encrypted to whom.
pub(super) struct Wish {
    caller: Caller,
    job_id: String,
    recipient: Option<Recipient>,
}

/// The body of a wish; it may be left out.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct WishBody {
    age_recipient: Option<String>,
}

/// A link as its maker gets it: the only time that it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LinkView {
    url: String,
    expires_at: String,
}

impl<S: Send + Sync> FromRequest<S> for Wish {
    type Rejection = Problem;

    async fn from_request(mut request: Request, _state: &S) -> Result<Self, Problem> {
        query::none(request.uri())?;
        let job_id = job_id(request.extract_parts::<Path<String>>().await)?;
        let caller = request.extensions().get::<Caller>().cloned().ok_or(Problem::NoToken)?;
        let sent = read_body(request.into_body()).await?;
        let wish: WishBody = if sent.trim_ascii().is_empty() {
            WishBody::default()
        } else {
            body::object(&sent).ok_or(Problem::BadBody { reason: r#"send nothing, or {"ageRecipient": "age1…"}"# })?
        };
        let recipient = wish.age_recipient.as_deref().map(str::parse).transpose();
        let recipient =
            recipient.map_err(|_| Problem::BadBody { reason: "`ageRecipient` is no age recipient, age1…" })?;
        Ok(Self { caller, job_id, recipient })
    }
}

pub(super) async fn make_link(State(api): State<ApiState>, wish: Wish) -> Result<Json<LinkView>, Problem> {
    let actor = Actor::Operator(wish.caller.name.to_string());
    let link = api.packages()?.make_link(actor, &wish.job_id, wish.recipient.as_ref()).await.map_err(problem)?;
    Ok(Json(LinkView { url: link.url, expires_at: rfc3339(link.expires_at) }))
}

/// Answers a link with the package.
pub(super) async fn download(State(api): State<ApiState>, path: PathId, uri: Uri) -> Response {
    let answer = async {
        let (id, token) = link(path, &uri)?;
        api.packages()?.open(&id, &token).await.map_err(problem)
    };
    let mut response = match answer.await {
        Ok(download) => {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(download.media_type));
            // The name is made of an id of ours.
            let disposition = format!("attachment; filename=\"{}\"", download.file_name);
            if let Ok(disposition) = HeaderValue::from_str(&disposition) {
                headers.insert(CONTENT_DISPOSITION, disposition);
            }
            (headers, Body::from_stream(download.pieces)).into_response()
        }
        Err(problem) => problem.into_response(),
    };
    keep_to_yourself(&mut response);
    response
}

/// Tells those who only look, such as programs that preview links, without counting a try.
pub(super) async fn look(State(api): State<ApiState>, path: PathId, uri: Uri) -> Response {
    let answer = async {
        let (id, token) = link(path, &uri)?;
        api.packages()?.look(&id, &token).await.map_err(problem)
    };
    let mut response = match answer.await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(problem) => problem.into_response(),
    };
    keep_to_yourself(&mut response);
    response
}

fn link(path: PathId, uri: &Uri) -> Result<(String, String), Problem> {
    let id = job_id(path).map_err(|_| Problem::NotFound)?;
    Ok((id, query::link_token(uri)?))
}

/// The address holds a token: it may be in no cache and in no `Referer`.
fn keep_to_yourself(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

fn problem(error: PackageError) -> Problem {
    match error {
        PackageError::NoPackage(_) => Problem::PackageNotFound,
        PackageError::NotReady => Problem::PackageNotReady,
        PackageError::Removed => Problem::PackageRemoved,
        // A stranger learns nothing: not even whether the package exists.
        PackageError::UnknownLink => Problem::NotFound,
        PackageError::LinkGone(fate) => Problem::LinkGone { fate },
        PackageError::Busy => Problem::Unavailable,
        PackageError::Store(error) => unavailable(error),
        PackageError::NotWhole(_)
        | PackageError::Key(_)
        | PackageError::Write(_)
        | PackageError::Zip(_)
        | PackageError::Encrypt(_) => {
            tracing::error!(error = %error, "a data request package could not be handed out");
            Problem::Internal
        }
    }
}
