//! Every check: its rule, where the rule comes from, and what is sent.
//!
//! Ids are stable: scripts name them. To add a check: write its script and its row in the file of its group, and add the
//! id to docs/conformance.md, which a test holds against this list.

mod bytes;
mod genuine;
mod http;
mod load;
mod shape;
mod signature;

use std::fmt;

use serde::Serialize;

use super::letter::{Letter, Scene};

/// Where rules come from.
mod source {
    pub const PRIVACY: &str = "https://shopify.dev/docs/apps/build/compliance/privacy-law-compliance";
    pub const HTTPS: &str = "https://shopify.dev/docs/apps/build/webhooks/subscribe/https";
    pub const STRUCTURE: &str = "https://shopify.dev/docs/apps/build/webhooks/delivery-structure";
    pub const VERIFY: &str = "https://shopify.dev/docs/apps/build/webhooks/verify-deliveries";
    pub const DUPLICATES: &str = "https://shopify.dev/docs/apps/build/webhooks/ignore-duplicates";
    pub const PRACTICES: &str = "https://shopify.dev/docs/apps/build/webhooks/best-practices";
    pub const ROTATION: &str = "https://shopify.dev/docs/apps/build/authentication-authorization/client-secrets/rotate-revoke-client-credentials";
    pub const UNSIGNED_INT_64: &str = "https://shopify.dev/docs/api/admin-graphql/latest/scalars/UnsignedInt64";
    /// A developer quotes the page of that time.
    pub const EMAIL_ONLY: &str = "https://community.shopify.com/c/Shopify-APIs-SDKs/When-does-the-customer-redact-webhook-only-send-an-email-address/td-p/652962";
    pub const SHOPLINE: &str = "https://developer.shopline.com/docs/webhook/customers/delete-customer-data-gdpr-specification?version=v20230301";
    pub const BAD_REQUEST: &str = "https://www.rfc-editor.org/rfc/rfc9110.html#section-15.5.1";
    pub const METHOD_NOT_ALLOWED: &str = "https://www.rfc-editor.org/rfc/rfc9110.html#section-15.5.6";
    pub const CONTENT_TOO_LARGE: &str = "https://www.rfc-editor.org/rfc/rfc9110.html#section-15.5.14";
    pub const UNSUPPORTED_MEDIA_TYPE: &str = "https://www.rfc-editor.org/rfc/rfc9110.html#section-15.5.16";
}

/// One thing to find out about an endpoint.
pub struct Check {
    pub id: &'static str,
    pub severity: Severity,
    pub basis: Basis,
    /// The rule, in a sentence.
    pub rule: &'static str,
    /// A page that the rule is taken from.
    pub source: &'static str,
    pub script: fn(&Scene<'_>) -> anyhow::Result<Script>,
}

/// What it means when a check does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Webhooks are lost, or the app review refuses the app.
    Required,
    /// It works without.
    Advised,
    /// The answer cannot tell good from bad; it is shown.
    Informational,
}

/// How well founded a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// The source says it.
    Documented,
    /// The source reports it, or does it.
    Reported,
    /// It follows from the source by an argument of ours.
    Inferred,
}

/// What a check sends.
#[derive(Debug)]
pub enum Script {
    OneByOne(Vec<Letter>),
    AtOnce(Vec<Letter>),
    /// Nothing, for this reason.
    Skip(&'static str),
}

/// Every check, in the order in which they run: what stops everything else comes first, what is heavy comes last.
pub fn all() -> impl Iterator<Item = &'static Check> {
    genuine::CHECKS
        .iter()
        .chain(&signature::CHECKS)
        .chain(&bytes::CHECKS)
        .chain(&shape::CHECKS)
        .chain(&http::CHECKS)
        .chain(&load::CHECKS)
}

impl Severity {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Advised => "advised",
            Self::Informational => "informational",
        }
    }
}

impl Basis {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::Reported => "reported",
            Self::Inferred => "inferred",
        }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Check({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_plain() {
        let mut seen = BTreeSet::new();
        for check in all() {
            assert!(seen.insert(check.id), "{} is there twice", check.id);
            assert!(check.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
        }
        assert!(seen.len() > 30);
    }

    #[test]
    fn every_rule_is_a_sentence_with_an_address() {
        for check in all() {
            assert!(check.rule.ends_with('.') && check.rule.len() > 20, "{}", check.id);
            assert!(check.source.starts_with("https://"), "{}", check.id);
        }
    }
}
