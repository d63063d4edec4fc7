//! Knows who calls the API, and what their role may do.

use std::fmt;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::MethodRouter;
use sha2::{Digest as _, Sha256};
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};
use zeroize::Zeroizing;

use super::error::Problem;

/// What a token's bearer is to Efface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// May do everything.
    Admin,
    /// May also change jobs and legal holds.
    Operator,
    /// May read jobs and reports.
    Viewer,
    /// Reads all that proves something, and changes nothing.
    Auditor,
}

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// See jobs.
    ReadJobs,
    /// Retry, cancel and release jobs.
    ChangeJobs,
    /// See compliance reports.
    ReadReports,
    /// See legal holds.
    ReadHolds,
    /// Place and release legal holds.
    ChangeHolds,
    /// See the audit log.
    ReadAudit,
}

impl Role {
    /// The role of that name in the configuration.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "admin" => Some(Self::Admin),
            "operator" => Some(Self::Operator),
            "viewer" => Some(Self::Viewer),
            "auditor" => Some(Self::Auditor),
            _ => None,
        }
    }

    /// The role's name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Viewer => "viewer",
            Self::Auditor => "auditor",
        }
    }

    /// Whether this role reaches as far as `permission`.
    pub const fn may(self, permission: Permission) -> bool {
        match permission {
            Permission::ReadJobs | Permission::ReadReports | Permission::ReadHolds => true,
            Permission::ReadAudit => matches!(self, Self::Admin | Self::Operator | Self::Auditor),
            Permission::ChangeJobs | Permission::ChangeHolds => matches!(self, Self::Admin | Self::Operator),
        }
    }
}

impl Permission {
    /// The permission as a wish, as in "may not change jobs".
    const fn wish(self) -> &'static str {
        match self {
            Self::ReadJobs => "read jobs",
            Self::ChangeJobs => "change jobs",
            Self::ReadReports => "read reports",
            Self::ReadHolds => "read legal holds",
            Self::ChangeHolds => "change legal holds",
            Self::ReadAudit => "read the audit log",
        }
    }
}

/// Who calls: the name is the token's, and stands in the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The token's name.
    pub name: Arc<str>,
    /// The token's role.
    pub role: Role,
}

/// The bearer tokens that are known; only their digests are kept.
#[derive(Clone, Default)]
pub struct Tokens {
    known: Arc<[([u8; 32], Caller)]>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.known.iter().map(|(_, caller)| caller)).finish()
    }
}

impl Tokens {
    /// Takes `(name, role, token)` of each token, and forgets the token. An empty token lets nobody in.
    pub fn new(entries: impl IntoIterator<Item = (String, Role, Zeroizing<String>)>) -> Self {
        let known = entries.into_iter().filter(|(_, _, token)| !token.is_empty());
        let known = known.map(|(name, role, token)| (digest(token.as_bytes()), Caller { name: name.into(), role }));
        Self { known: known.collect() }
    }

    /// Who bears `token`. Compares all digests to their ends, whatever matches, so that time tells nothing.
    pub fn caller(&self, token: &[u8]) -> Option<&Caller> {
        let offered = digest(token);
        let mut found = u32::MAX;
        for (place, (digest, _)) in (0..).zip(self.known.iter()) {
            found.conditional_assign(&place, digest.ct_eq(&offered));
        }
        self.known.get(usize::try_from(found).ok()?).map(|(_, caller)| caller)
    }
}

fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// The token of an `Authorization: Bearer …` header; the scheme's case does not matter, two headers are none.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.as_bytes().split_at_checked("bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii()).filter(|token| !token.is_empty())
}

/// Lets requests with a known token through, with their [`Caller`] attached, and answers 401 to all others.
pub(super) async fn identify(State(tokens): State<Tokens>, mut request: Request, next: Next) -> Response {
    match bearer(request.headers()).and_then(|token| tokens.caller(token)) {
        Some(caller) => {
            let caller = caller.clone();
            request.extensions_mut().insert(caller.clone());
            let mut response = next.run(request).await;
            // For the layers around this one.
            response.extensions_mut().insert(caller);
            response
        }
        None => Problem::NoToken.into_response(),
    }
}

/// Guards every method of `route` with one permission. Routes of the API are added through this function only.
pub(super) fn permit<S: Clone + Send + Sync + 'static>(
    permission: Permission,
    route: MethodRouter<S>,
) -> MethodRouter<S> {
    route.route_layer(from_fn(move |request: Request, next: Next| async move {
        match request.extensions().get::<Caller>() {
            Some(caller) if caller.role.may(permission) => next.run(request).await,
            Some(_) => Problem::Forbidden { wish: permission.wish() }.into_response(),
            None => Problem::NoToken.into_response(),
        }
    }))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn tokens() -> Tokens {
        let entry = |name: &str, role, token: &str| (name.to_owned(), role, Zeroizing::new(token.to_owned()));
        Tokens::new([
            entry("ops", Role::Admin, "first-token"),
            entry("desk", Role::Viewer, "second-token"),
            entry("unset", Role::Admin, ""),
        ])
    }

    #[test]
    fn each_token_names_its_bearer_and_no_other_token_names_anybody() {
        let tokens = tokens();
        assert_eq!(tokens.caller(b"first-token").map(|caller| &*caller.name), Some("ops"));
        assert_eq!(tokens.caller(b"second-token").map(|caller| caller.role), Some(Role::Viewer));
        for stranger in [&b""[..], b"first-toke", b"first-token ", b"third"] {
            assert_eq!(tokens.caller(stranger), None);
        }
        assert_eq!(Tokens::default().caller(b""), None);
    }

    #[test]
    fn only_one_bearer_header_is_a_token() {
        let mut headers = HeaderMap::new();
        assert_eq!(bearer(&headers), None);
        for (value, token) in
            [("Bearer abc", Some(&b"abc"[..])), ("bearer  abc ", Some(b"abc")), ("Basic abc", None), ("Bearer ", None)]
        {
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            assert_eq!(bearer(&headers), token, "{value}");
        }
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer abc"));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer def"));
        assert_eq!(bearer(&headers), None);
    }

    #[test]
    fn tokens_cannot_be_printed() {
        let printed = format!("{:?}", tokens());
        assert!(printed.contains("ops") && !printed.contains("first-token"), "{printed}");
    }

    #[test]
    fn only_admins_and_operators_change_jobs_and_holds() {
        for change in [Permission::ChangeJobs, Permission::ChangeHolds] {
            let changers = [Role::Admin, Role::Operator, Role::Viewer, Role::Auditor].map(|r| r.may(change));
            assert_eq!(changers, [true, true, false, false]);
        }
    }
}
