//! The topics, and the names providers give them: three duties, and the news that a shop has left.

use super::provider::Provider;

/// What a webhook asks for, or tells. A closed list: everything else is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// Collect what is kept about a customer.
    CustomersDataRequest,
    /// Erase a customer.
    CustomersRedact,
    /// Erase a shop, 48 hours after it uninstalled the app.
    ShopRedact,
    /// A shop uninstalled the app. Makes no job: the shop is marked, and nothing is erased.
    AppUninstalled,
}

impl Topic {
    pub const ALL: [Self; 4] =
        [Self::CustomersDataRequest, Self::CustomersRedact, Self::ShopRedact, Self::AppUninstalled];

    /// The name in headers, paths and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CustomersDataRequest => "customers/data_request",
            Self::CustomersRedact => "customers/redact",
            Self::ShopRedact => "shop/redact",
            Self::AppUninstalled => "app/uninstalled",
        }
    }

    /// The name as AMQP routing key, where dots part the words.
    pub const fn routing_key(self) -> &'static str {
        match self {
            Self::CustomersDataRequest => "customers.data_request",
            Self::CustomersRedact => "customers.redact",
            Self::ShopRedact => "shop.redact",
            Self::AppUninstalled => "app.uninstalled",
        }
    }

    /// Whether it asks for something to be done with personal data, and so makes a job.
    pub const fn is_duty(self) -> bool {
        match self {
            Self::CustomersDataRequest | Self::CustomersRedact | Self::ShopRedact => true,
            Self::AppUninstalled => false,
        }
    }

    /// Whether it is about one person of a shop.
    pub const fn names_a_person(self) -> bool {
        match self {
            Self::CustomersDataRequest | Self::CustomersRedact => true,
            Self::ShopRedact | Self::AppUninstalled => false,
        }
    }

    /// Reads a header's or a path's topic: our own name or the provider's, in any case, slashes around it ignored.
    pub fn parse(provider: &Provider, name: &str) -> Option<Self> {
        let name = name.trim().trim_matches('/');
        let ours = Self::ALL.into_iter().map(|topic| (topic.as_str(), topic));
        let theirs = provider.topic_aliases.iter().copied();
        ours.chain(theirs).find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, topic)| topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::{SHOPIFY, SHOPLINE};

    #[test]
    fn every_topic_is_read_back_from_its_name_by_every_provider() {
        for topic in Topic::ALL {
            assert_eq!(Topic::parse(&SHOPIFY, topic.as_str()), Some(topic));
            assert_eq!(Topic::parse(&SHOPLINE, &format!("/{}/", topic.as_str().to_uppercase())), Some(topic));
            assert_eq!(topic.routing_key(), topic.as_str().replace('/', "."));
        }
    }

    #[test]
    fn no_other_name_is_a_topic() {
        for name in ["", "/", "shop", "shop/redact2", "customers//redact", "orders/create", "shop.redact"] {
            assert_eq!(Topic::parse(&SHOPIFY, name), None, "{name}");
        }
    }

    #[test]
    fn a_providers_own_names_lead_to_the_same_topics() {
        let provider = Provider { topic_aliases: &[("store/redact", Topic::ShopRedact)], ..SHOPIFY };
        assert_eq!(Topic::parse(&provider, "store/redact"), Some(Topic::ShopRedact));
        assert_eq!(Topic::parse(&SHOPIFY, "store/redact"), None);
    }
}
