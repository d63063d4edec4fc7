//! Values that must never be printed: shared secrets, tokens, and the passwords inside URLs.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

/// What stands in for a secret wherever it is printed.
pub(super) const MASK: &str = "***";

/// A secret text, wiped on drop. `Debug` and `Serialize` show `***`; there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself: only for the code that signs, verifies or connects with it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::new(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

/// The URL of a database or broker. `Debug` and `Serialize` show where it points, never how it signs in.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceUrl(Secret);

impl ServiceUrl {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(Secret::new(text))
    }

    /// The URL with its password: only for the code that connects.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The scheme in front of the first colon, as written.
    pub fn scheme(&self) -> &str {
        self.expose().split(':').next().unwrap_or_default()
    }

    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }

    /// The URL with everything hidden that could be a secret: `postgres://efface:***@db:5432/efface?***`.
    ///
    /// Passwords in the wild hold unescaped `@`, `/` and `?`, so the text is cut at the *last* `@`, and whatever does
    /// not look like a plain user or host is hidden as a whole.
    pub fn masked(&self) -> String {
        let url = self.expose();
        if url.is_empty() || self.scheme() == "sqlite" {
            return url.to_owned();
        }
        let Some((scheme, rest)) = url.split_once("://") else { return MASK.to_owned() };
        let (user, place) = match rest.rsplit_once('@') {
            None => (String::new(), rest),
            Some((credentials, _)) if credentials.contains(['/', '?']) => return format!("{scheme}://{MASK}"),
            Some((credentials, place)) => match credentials.split_once(':') {
                Some((user, _)) if is_plain(user, "_-.") => (format!("{user}:{MASK}@"), place),
                _ => (format!("{MASK}@"), place),
            },
        };
        let (place, query) = match place.split_once('?') {
            Some((place, _)) => (place, "?***"),
            None => (place, ""),
        };
        if is_plain(place, "_-./:[]%,") && has_numeric_port(place) {
            format!("{scheme}://{user}{place}{query}")
        } else {
            format!("{scheme}://{MASK}")
        }
    }
}

fn is_plain(text: &str, further: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || further.contains(c))
}

/// False for `user:password` standing where host and port belong.
fn has_numeric_port(place: &str) -> bool {
    let authority = place.split('/').next().unwrap_or_default();
    let port = authority.rsplit(']').next().unwrap_or_default().rsplit_once(':').map_or("", |(_, port)| port);
    port.chars().all(|c| c.is_ascii_digit())
}

impl fmt::Debug for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl Serialize for ServiceUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.masked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"***\"");
    }

    #[test]
    fn a_url_shows_where_it_points_and_never_its_password() {
        for (url, shown) in [
            ("postgres://efface:hunter2@db:5432/efface", "postgres://efface:***@db:5432/efface"),
            ("postgres://efface:hunt@er2@db/efface", "postgres://efface:***@db/efface"),
            ("postgres://efface:hun/ter@2?x@db/efface", "postgres://***"),
            ("postgres://db/efface?user=efface&password=hunter2", "postgres://db/efface?***"),
            ("postgres://db/efface?password=hunt@er2", "postgres://***"),
            ("postgres://efface:hunter2", "postgres://***"),
            ("amqps://hunter2@queue/%2f", "amqps://***@queue/%2f"),
            ("amqp://[::1]:5672/", "amqp://[::1]:5672/"),
            ("hunter2", "***"),
            ("sqlite://efface.db?mode=rwc", "sqlite://efface.db?mode=rwc"),
            ("", ""),
        ] {
            assert_eq!(ServiceUrl::new(url).masked(), shown);
        }
    }
}
