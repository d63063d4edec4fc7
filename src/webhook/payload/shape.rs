//! The shape a body must have to belong to its topic.
//!
//! The topic is claimed by an unsigned header or the path; only the body is signed. So that a captured body of one
//! topic cannot be sent as another, the fields of the body must testify for the topic, and none may speak against it.

use thiserror::Error;

use crate::webhook::strict_json::{Json, Object, shown};
use crate::webhook::topic::Topic;

const UNKNOWN_FIELDS_MAX: usize = 16;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Must be there; an empty or null list counts.
    Must,
    /// Of the fields with this rule, one at least must be there and not be null.
    AnyOf,
    May,
    /// Must not be there, not even as null.
    Never,
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Id,
    Object,
    List,
}

struct Field {
    name: &'static str,
    kind: Kind,
    data_request: Rule,
    customers_redact: Rule,
    shop_redact: Rule,
    app_uninstalled: Rule,
}

use Rule::{AnyOf, May, Must, Never};

/// Every field of the top level that this program knows. The body of `app/uninstalled` is a shop: it has none of
/// them, and `payload/shop.rs` reads the two that count.
#[rustfmt::skip]
const FIELDS: [Field; 6] = [
    Field { name: "shop_domain",      kind: Kind::Text,   data_request: Must,  customers_redact: Must,  shop_redact: Must,   app_uninstalled: Never },
    Field { name: "shop_id",          kind: Kind::Id,     data_request: May,   customers_redact: May,   shop_redact: May,    app_uninstalled: Never },
    Field { name: "customer",         kind: Kind::Object, data_request: Must,  customers_redact: Must,  shop_redact: Never,  app_uninstalled: Never },
    Field { name: "orders_to_redact", kind: Kind::List,   data_request: Never, customers_redact: Must,  shop_redact: Never,  app_uninstalled: Never },
    Field { name: "orders_requested", kind: Kind::List,   data_request: AnyOf, customers_redact: Never, shop_redact: Never,  app_uninstalled: Never },
    Field { name: "data_request",     kind: Kind::Object, data_request: AnyOf, customers_redact: Never, shop_redact: Never,  app_uninstalled: Never },
];

/// The fields known inside other fields.
const INNER_FIELDS: [(&str, &[&str]); 2] = [("customer", &["id", "email", "phone"]), ("data_request", &["id"])];

impl Field {
    fn rule(&self, topic: Topic) -> Rule {
        match topic {
            Topic::CustomersDataRequest => self.data_request,
            Topic::CustomersRedact => self.customers_redact,
            Topic::ShopRedact => self.shop_redact,
            Topic::AppUninstalled => self.app_uninstalled,
        }
    }
}

/// Why a body does not fit its topic, or its sender. Intake holds such a job for a person to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Mismatch {
    #[error("the body lacks `{0}`, which its topic requires")]
    Missing(&'static str),
    #[error("the body has `{0}`, which belongs to another topic")]
    Forbidden(&'static str),
    #[error("`{0}` is not of the kind it must be")]
    WrongKind(&'static str),
    #[error("the body names neither a customer nor an order")]
    NoSubject,
    #[error("an id is an e-mail address or a phone number")]
    ContactAsId,
    #[error("header and body name different shops")]
    OtherShop,
}

/// The first rule of the topic that the body breaks.
pub(super) fn misfit(topic: Topic, fields: &Object<'_>) -> Option<Mismatch> {
    let forbidden = FIELDS
        .iter()
        .find(|field| field.rule(topic) == Never && fields.contains_key(field.name))
        .map(|field| Mismatch::Forbidden(field.name));
    let missing = || {
        FIELDS
            .iter()
            .find(|field| field.rule(topic) == Must && !fields.contains_key(field.name))
            .map(|field| Mismatch::Missing(field.name))
    };
    let wrong = || {
        FIELDS
            .iter()
            .filter(|field| field.rule(topic) != Never)
            .find(|field| fields.get(field.name).is_some_and(|value| !field.kind.allows(value, field.rule(topic))))
            .map(|field| Mismatch::WrongKind(field.name))
    };
    let none_of = || {
        let mut wanted = FIELDS.iter().filter(|field| field.rule(topic) == AnyOf).peekable();
        let first = wanted.peek()?.name;
        let there = |field: &Field| fields.get(field.name).is_some_and(|value| !matches!(value, Json::Null));
        (!wanted.any(there)).then_some(Mismatch::Missing(first))
    };
    forbidden.or_else(missing).or_else(wrong).or_else(none_of)
}

impl Kind {
    fn allows(self, value: &Json<'_>, rule: Rule) -> bool {
        match (self, value) {
            (Self::Text, Json::Text(_))
            | (Self::Id, Json::Integer(_) | Json::Text(_))
            | (Self::Object, Json::Object(_))
            | (Self::List, Json::List(_) | Json::Null) => true,
            (_, Json::Null) => rule != Must,
            _ => false,
        }
    }
}

/// Where the topic lists its orders.
pub(super) fn orders_field(topic: Topic) -> Option<&'static str> {
    match topic {
        Topic::CustomersDataRequest => Some("orders_requested"),
        Topic::CustomersRedact => Some("orders_to_redact"),
        Topic::ShopRedact | Topic::AppUninstalled => None,
    }
}

/// Names of fields that no topic has, with the object they are in: `customer.first_name`. A shop's own fields are
/// many, they change, and nobody reads them.
pub(super) fn unknown_fields(topic: Topic, fields: &Object<'_>) -> Vec<String> {
    if topic == Topic::AppUninstalled {
        return Vec::new();
    }
    let outer = fields
        .keys()
        .filter(|name| !FIELDS.iter().any(|field| field.name == name.as_ref()))
        .map(|name| shown(name).to_owned());
    let inner = INNER_FIELDS.iter().flat_map(|(within, known)| {
        let names = match fields.get(*within) {
            Some(Json::Object(inner)) => Some(inner.keys()),
            _ => None,
        };
        names
            .into_iter()
            .flatten()
            .filter(|name| !known.contains(&name.as_ref()))
            .map(move |name| format!("{within}.{}", shown(name)))
    });
    outer.chain(inner).take(UNKNOWN_FIELDS_MAX).collect()
}
