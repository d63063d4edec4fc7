//! The dialects of headers and encodings, as a table.
//!
//! To add a provider: add a row below, list it in [`PROVIDERS`], and add a signed body of theirs to
//! `tests/vectors/`.

use super::signature::Unauthentic;
use super::topic::Topic;

/// One row: how a provider writes the same three webhooks.
#[derive(Debug, PartialEq, Eq)]
pub struct Provider {
    /// The name in tables, logs and metrics.
    pub name: &'static str,
    /// `shopify` stands for the headers `X-Shopify-…` and `Shopify-…`. Lower-case.
    pub header_prefix: &'static str,
    /// How the signature may be written.
    pub encodings: Encodings,
    /// The provider's own topic names, beside ours.
    pub topic_aliases: &'static [(&'static str, Topic)],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encodings {
    pub base64: bool,
    pub hex: bool,
}

/// <https://shopify.dev/docs/apps/build/compliance/privacy-law-compliance>
pub static SHOPIFY: Provider = Provider {
    name: "shopify",
    header_prefix: "shopify",
    encodings: Encodings { base64: true, hex: false },
    topic_aliases: &[],
};

/// Sends ids as strings, and signs in hexadecimal or base64.
pub static SHOPLINE: Provider = Provider {
    name: "shopline",
    header_prefix: "shopline",
    encodings: Encodings { base64: true, hex: true },
    topic_aliases: &[],
};

/// All rows. The first is taken for a webhook that carries no signature header at all.
pub static PROVIDERS: [&Provider; 2] = [&SHOPIFY, &SHOPLINE];

impl Provider {
    /// Finds the provider whose signature header is there. `header` is asked for lower-case names.
    ///
    /// # Errors
    /// [`Unauthentic::Ambiguous`] when the signature headers of two providers are there: which dialect holds must not
    /// be the sender's choice.
    pub fn detect<T>(header: &dyn Fn(&str) -> Option<T>) -> Result<&'static Self, Unauthentic> {
        let mut signed = PROVIDERS.into_iter().filter(|provider| provider.lookup("hmac-sha256", header).is_some());
        match (signed.next(), signed.next()) {
            (None, _) => Ok(PROVIDERS[0]),
            (Some(provider), None) => Ok(provider),
            (Some(_), Some(_)) => Err(Unauthentic::Ambiguous),
        }
    }

    /// Whether a header is there with the `x-` prefix and without it, and the two say different things.
    pub(super) fn contradicts<'h>(&self, name: &str, header: &dyn Fn(&str) -> Option<&'h str>) -> bool {
        let full = ["x-", self.header_prefix, "-", name].concat();
        let (with, without) = (header(&full), header(&full["x-".len()..]));
        with.zip(without).is_some_and(|(with, without)| with.trim() != without.trim())
    }

    /// Looks a header up with the `x-` prefix, then without it.
    pub(super) fn lookup<T>(&self, name: &str, header: &dyn Fn(&str) -> Option<T>) -> Option<T> {
        let full = ["x-", self.header_prefix, "-", name].concat();
        header(&full).or_else(|| header(&full["x-".len()..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(present: &[&str]) -> Result<&'static str, Unauthentic> {
        Provider::detect(&|name| present.contains(&name).then_some(())).map(|provider| provider.name)
    }

    #[test]
    fn the_signature_header_tells_the_provider() {
        assert_eq!(detect(&["x-shopify-hmac-sha256", "x-shopline-topic"]), Ok("shopify"));
        assert_eq!(detect(&["shopify-hmac-sha256"]), Ok("shopify"));
        assert_eq!(detect(&["x-shopline-hmac-sha256", "x-shopify-topic"]), Ok("shopline"));
        assert_eq!(detect(&[]), Ok("shopify"));
    }

    #[test]
    fn signatures_of_two_providers_are_ambiguous() {
        assert_eq!(detect(&["x-shopify-hmac-sha256", "shopline-hmac-sha256"]), Err(Unauthentic::Ambiguous));
    }

    #[test]
    fn no_two_rows_share_a_name_or_a_prefix() {
        for (i, one) in PROVIDERS.iter().enumerate() {
            assert_eq!(one.header_prefix, one.header_prefix.to_ascii_lowercase());
            assert!(one.encodings.base64 || one.encodings.hex);
            for other in &PROVIDERS[i + 1..] {
                assert_ne!(one.name, other.name);
                assert_ne!(one.header_prefix, other.header_prefix);
            }
        }
    }
}
