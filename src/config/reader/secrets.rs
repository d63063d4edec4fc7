//! Reads secrets: directly, or from the file that the key's `…_file` twin names. Neither is ever quoted.

use serde_json::Value;

use super::super::layers::{Entry, Origin, Raw};
use super::super::problem::Problem;
use super::super::secret::{MASK, Secret, ServiceUrl};
use super::{Reader, text};

impl Reader {
    /// One secret text that must not be empty.
    pub(in super::super) fn secret(&mut self, key: &str, expected: &str) -> Secret {
        let Some(entry) = self.take_secret(key) else { return Secret::new("") };
        let secret = text(&entry.raw).map(str::trim).filter(|secret| !secret.is_empty()).map(Secret::new);
        if secret.is_none() {
            self.expected_unquoted(key, expected, &entry);
        } else {
            self.note(key, Value::from(MASK), entry.origin);
        }
        secret.unwrap_or_else(|| Secret::new(""))
    }

    /// A list of secrets: comma-separated or one per line in text, a list of strings in TOML.
    pub(in super::super) fn secrets(&mut self, key: &str) -> Vec<Secret> {
        let Some(entry) = self.take_secret(key) else { return Vec::new() };
        let secrets = match &entry.raw {
            Raw::Text(text) => Some(
                text.split([',', '\n']).map(str::trim).filter(|secret| !secret.is_empty()).map(Secret::new).collect(),
            ),
            Raw::Typed(Value::Array(list)) => list
                .iter()
                .map(|item| item.as_str().map(str::trim).filter(|secret| !secret.is_empty()).map(Secret::new))
                .collect::<Option<Vec<_>>>(),
            Raw::Typed(_) => None,
        };
        if let Some(secrets) = secrets {
            self.note(key, secrets.iter().map(|_| MASK).collect(), entry.origin);
            secrets
        } else {
            self.expected_unquoted(key, "a list of texts, none of them empty", &entry);
            Vec::new()
        }
    }

    /// The URL of a service whose scheme is one of `schemes`; an empty one only where `may_be_empty`.
    pub(in super::super) fn service_url(&mut self, key: &str, schemes: &[&str], may_be_empty: bool) -> ServiceUrl {
        let Some(entry) = self.take_secret(key) else { return ServiceUrl::new("") };
        let url = ServiceUrl::new(text(&entry.raw).unwrap_or_default().trim());
        let fits = if url.is_empty() {
            may_be_empty && text(&entry.raw).is_some()
        } else {
            schemes.contains(&url.scheme()) && url.expose().len() > url.scheme().len() + 1
        };
        if fits {
            self.note(key, Value::from(url.masked()), entry.origin);
        } else {
            let schemes: Vec<_> = schemes.iter().map(|scheme| format!("{scheme}://…")).collect();
            let or_nothing = if may_be_empty { ", or nothing" } else { "" };
            self.expected_unquoted(key, &format!("a URL {}{or_nothing}", schemes.join(" or ")), &entry);
        }
        url
    }

    /// Takes a secret from its own key or from the file its twin names, whichever the later layer set.
    pub(super) fn take_secret(&mut self, key: &str) -> Option<Entry> {
        let twin = format!("{key}_file");
        self.known.insert(twin.clone());
        let Some(named) = self.layers.take(&twin) else { return self.take(key) };
        self.known.insert(key.to_owned());
        self.origins.push((key.to_owned(), named.origin.clone()));
        if self.layers.take(key).is_some() {
            let message = format!("set either this or `{key}`, not both");
            self.problems.push(Problem::new(twin, named.origin, message));
            return None;
        }
        let Some(path) = text(&named.raw).filter(|path| !path.is_empty()) else {
            self.problems.push(Problem::new(twin, named.origin, "expected the path of a file"));
            return None;
        };
        self.read_secret_file(&twin, path, named.origin.clone())
    }

    pub(super) fn expected_unquoted(&mut self, key: &str, expected: &str, entry: &Entry) {
        self.problems.push(Problem::new(key, entry.origin.clone(), format!("expected {expected}")));
    }

    fn read_secret_file(&mut self, key: &str, path: &str, origin: Origin) -> Option<Entry> {
        match std::fs::read_to_string(path) {
            Ok(mut content) => {
                let kept = content.strip_suffix('\n').unwrap_or(&content);
                content.truncate(kept.strip_suffix('\r').unwrap_or(kept).len());
                Some(Entry::read_from_file(content, origin))
            }
            Err(error) => {
                self.problems.push(Problem::new(key, origin, format!("the file {path} cannot be read: {error}")));
                None
            }
        }
    }
}
