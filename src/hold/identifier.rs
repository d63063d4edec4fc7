//! What tells a person from all others, in the form in which it is hashed.

use crate::seal::{Keyring, Pii};
use crate::webhook::{ExternalId, Subject, normal_form};

/// What an identifier is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    CustomerId,
    Email,
    Phone,
    OrderId,
}

impl Kind {
    /// The kind as rows and JSON name it; part of what is hashed, so it never changes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CustomerId => "customer_id",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::OrderId => "order_id",
        }
    }
}

/// One identifier of a person, in normal form.
#[derive(Clone, Debug)]
pub struct Identifier {
    kind: Kind,
    normal: Pii<String>,
}

impl Identifier {
    /// A customer's id: a number stays as it is, `gid://shopify/Customer/1` becomes `1`.
    pub fn customer_id(id: &ExternalId) -> Self {
        Self { kind: Kind::CustomerId, normal: Pii::new(id.plain().into_owned()) }
    }

    /// An order's id, likewise.
    pub fn order_id(id: &ExternalId) -> Self {
        Self { kind: Kind::OrderId, normal: Pii::new(id.plain().into_owned()) }
    }

    /// An e-mail address; `None` when nothing is left of it.
    pub fn email(text: &str) -> Option<Self> {
        Some(Self { kind: Kind::Email, normal: Pii::new(normal_form::email(text)?) })
    }

    /// A phone number; `None` when it has no digit.
    pub fn phone(text: &str) -> Option<Self> {
        Some(Self { kind: Kind::Phone, normal: Pii::new(normal_form::phone(text)?) })
    }

    /// Everything that a webhook tells of its subject.
    pub(super) fn all(subject: &Subject, orders: &[ExternalId]) -> Vec<Self> {
        let contact = |contact: &Option<Pii<String>>, read: fn(&str) -> Option<Self>| {
            contact.as_ref().and_then(|contact| read(contact.expose()))
        };
        let customer = subject.customer_id.as_ref().map(Self::customer_id);
        let contacts = [contact(&subject.email, Self::email), contact(&subject.phone, Self::phone)];
        customer.into_iter().chain(contacts.into_iter().flatten()).chain(orders.iter().map(Self::order_id)).collect()
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The pseudonym under which a hold knows it, in one shop and nowhere else.
    pub(super) fn hash(&self, keyring: &Keyring, shop: &str) -> String {
        let parts = [shop, self.kind.as_str(), self.normal.expose()];
        hex::encode(keyring.digest("hold", &parts.map(str::as_bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ExternalId {
        ExternalId::parse(text).unwrap()
    }

    #[test]
    fn every_way_to_write_an_identifier_has_one_hash() {
        let keyring = Keyring::generate();
        let hash = |identifier: Identifier| identifier.hash(&keyring, "a.example.com");
        let customer = hash(Identifier::customer_id(&ExternalId::Number(191_167)));
        for written in ["191167", "gid://shopify/Customer/191167"] {
            assert_eq!(hash(Identifier::customer_id(&id(written))), customer, "{written}");
        }
        let email = |text| hash(Identifier::email(text).unwrap());
        assert_eq!(email(" Jane@Example.COM "), email("jane@example.com"));
        let phone = |text| hash(Identifier::phone(text).unwrap());
        assert_eq!(phone("+49 (555) 0147-11"), phone("0049555014711"));
        assert!(Identifier::email(" ").is_none() && Identifier::phone("+").is_none());
    }

    #[test]
    fn kind_shop_and_installation_each_make_another_hash() {
        let keyring = Keyring::generate();
        let number = ExternalId::Number(7);
        let (customer, order) = (Identifier::customer_id(&number), Identifier::order_id(&number));
        let hash = customer.hash(&keyring, "a.example.com");
        assert_eq!(hash.len(), 64);
        assert_ne!(hash, order.hash(&keyring, "a.example.com"));
        assert_ne!(hash, customer.hash(&keyring, "b.example.com"));
        assert_ne!(hash, customer.hash(&Keyring::generate(), "a.example.com"));
    }

    #[test]
    fn an_identifier_prints_no_value() {
        let printed = format!("{:?}", Identifier::email("jane@example.com"));
        assert!(!printed.contains("jane"), "{printed}");
    }
}
