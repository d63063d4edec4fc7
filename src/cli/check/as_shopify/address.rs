//! Where the webhooks go: one address for all topics, or one for each.

use hyper::Uri;

use super::super::super::UsageError;

/// An endpoint's address.
#[derive(Clone, Debug)]
pub struct Address {
    base: Uri,
    per_topic: bool,
}

impl Address {
    /// # Errors
    /// When the address names a user: no sender of webhooks signs in that way, and a password would be shown.
    pub fn new(base: &Uri, per_topic: bool) -> Result<Self, UsageError> {
        if base.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(UsageError("the address names a user; Shopify sends none".to_owned()));
        }
        Ok(Self { base: base.clone(), per_topic })
    }

    /// Whether each topic has an address of its own.
    pub fn is_per_topic(&self) -> bool {
        self.per_topic
    }

    /// Where a topic's webhooks go.
    ///
    /// # Errors
    /// Never: the parts were an address before.
    pub fn of(&self, topic: &str) -> anyhow::Result<Uri> {
        self.with_path(&self.path(topic))
    }

    /// The same address with a slash at its end, or without the one it has. None where there is no path to speak of.
    ///
    /// # Errors
    /// Never: see [`Self::of`].
    pub fn with_the_other_slash(&self, topic: &str) -> anyhow::Result<Option<Uri>> {
        let path = self.path(topic);
        match path.strip_suffix('/') {
            Some("") => Ok(None),
            Some(bare) => self.with_path(bare).map(Some),
            None => self.with_path(&format!("{path}/")).map(Some),
        }
    }

    fn path(&self, topic: &str) -> String {
        let path = self.base.path();
        if self.per_topic { format!("{}/{topic}", path.trim_end_matches('/')) } else { path.to_owned() }
    }

    fn with_path(&self, path: &str) -> anyhow::Result<Uri> {
        let query = self.base.query().map(|query| format!("?{query}")).unwrap_or_default();
        let mut parts = self.base.clone().into_parts();
        parts.path_and_query = Some(format!("{path}{query}").parse()?);
        Ok(Uri::from_parts(parts)?)
    }

    /// For people and reports. A query may hold a token and is left out.
    pub fn shown(&self) -> String {
        let full = self.base.to_string();
        match full.split_once('?') {
            Some((bare, _)) => format!("{bare}?…"),
            None => full,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(base: &str, per_topic: bool) -> Address {
        Address::new(&base.parse().unwrap(), per_topic).unwrap()
    }

    #[test]
    fn one_address_is_used_exactly_as_written() {
        for base in ["https://app.example.com/", "https://app.example.com/webhooks/?k=v", "http://[::1]:80/a"] {
            assert_eq!(address(base, false).of("shop/redact").unwrap().to_string(), base);
        }
    }

    #[test]
    fn a_base_gets_the_topic_and_keeps_its_query() {
        for base in ["https://app.example.com/hooks?k=v", "https://app.example.com/hooks/?k=v"] {
            let of = address(base, true).of("shop/redact").unwrap();
            assert_eq!(of.to_string(), "https://app.example.com/hooks/shop/redact?k=v");
        }
        assert_eq!(address("http://localhost", true).of("shop/redact").unwrap().path(), "/shop/redact");
    }

    #[test]
    fn the_other_slash_is_the_one_that_the_address_lacks() {
        let other = |base, per_topic| address(base, per_topic).with_the_other_slash("shop/redact").unwrap();
        assert_eq!(other("http://a/hooks", false).unwrap().path(), "/hooks/");
        assert_eq!(other("http://a/hooks/", false).unwrap().path(), "/hooks");
        assert_eq!(other("http://a/", true).unwrap().path(), "/shop/redact/");
        assert_eq!(other("http://a/", false), None);
    }

    #[test]
    fn what_could_be_a_secret_is_neither_taken_nor_shown() {
        assert!(Address::new(&"https://user:hunter2@a/".parse().unwrap(), false).is_err());
        assert_eq!(address("https://a/b?token=hunter2", false).shown(), "https://a/b?…");
    }
}
