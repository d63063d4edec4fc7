//! Tells whom an erasure concerns, from the identifiers that a job's row keeps and those that only its sealed payload has.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::data_map::By;
use crate::seal::Pii;
use crate::store::target::Kind;
use crate::webhook::normal_form;

/// Whom a job concerns: one customer of a shop, or the whole shop.
#[derive(Clone, Debug)]
pub struct Target {
    /// The shop's domain, lower case.
    pub shop_domain: String,
    /// The platform's own number of the shop, when the webhook gave one.
    pub shop_number: Option<String>,
    /// How much of the shop.
    pub scope: Scope,
}

/// How much of a shop an erasure concerns.
#[derive(Clone, Debug)]
pub enum Scope {
    /// The rows of one customer.
    Subject(Subject),
    /// All rows of the shop.
    Shop,
}

/// A customer: the union of all identifiers that the webhook gives.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    orders: Vec<Id>,
    customers: Vec<Id>,
    emails: Vec<Pii<String>>,
    phones: Vec<Pii<String>>,
    /// What hashed columns hold, as it stands there: identifiers of which only the hash is known.
    stored: Vec<(By, Spelling, Pii<String>)>,
}

/// An order or customer, as apps store it: Shopify's number, which may also stand as its global id, or some other text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Id {
    /// A number, in decimal.
    Number(String),
    /// Any other text, looked for as it stands.
    Text(String),
}

/// What precedes the number in a global id.
fn prefix(by: By) -> &'static str {
    if by == By::CustomerId { "gid://shopify/Customer/" } else { "gid://shopify/Order/" }
}

/// Bounds between which every global id of an order or customer lies, whatever the collation: they differ from one
/// another, and from all ids between them, in nothing but digits.
pub fn global_ids(by: By) -> (&'static str, &'static str) {
    match by {
        By::CustomerId => ("gid://shopify/Customer/0", "gid://shopify/Customer/99999999999999999999"),
        _ => ("gid://shopify/Order/0", "gid://shopify/Order/99999999999999999999"),
    }
}

/// An order's or customer's id as it is compared: without what a global id wraps around it.
pub fn plain_id(by: By, text: &str) -> String {
    Id::parse(by, text).plain().to_owned()
}

impl Id {
    fn parse(by: By, text: &str) -> Self {
        let number = text.strip_prefix(prefix(by)).unwrap_or(text);
        if !number.is_empty() && number.len() <= 20 && number.bytes().all(|b| b.is_ascii_digit()) {
            Self::Number(number.to_owned())
        } else {
            Self::Text(text.to_owned())
        }
    }

    fn read(by: By, value: &Value) -> Option<Self> {
        match value {
            Value::Number(n) if n.is_u64() => Some(Self::Number(n.to_string())),
            Value::String(text) if !text.is_empty() => Some(Self::parse(by, text)),
            _ => None,
        }
    }

    fn plain(&self) -> &str {
        match self {
            Self::Number(text) | Self::Text(text) => text,
        }
    }

    fn global(&self, by: By) -> Option<String> {
        match self {
            Self::Number(number) => Some(format!("{}{number}", prefix(by))),
            Self::Text(_) => None,
        }
    }
}

/// In which spelling identifiers are looked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Spelling {
    /// Ids as numbers or as they stand; e-mail addresses and phone numbers in normal form.
    Plain,
    /// Ids as global ids only.
    Global,
    /// Ids both ways.
    Both,
    /// Ids that a column of numbers or UUIDs can hold.
    Of(Kind),
    /// SHA-256 of the normal form.
    Sha256,
    /// HMAC-SHA256 of the normal form, under the match key of that name.
    Hmac(String),
}

impl Subject {
    /// Nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what only the sealed payload has. What has no normal form cannot be looked for.
    pub fn add_personal(&mut self, email: Option<&str>, phone: Option<&str>) {
        let email = email.and_then(normal_form::email).map(Pii::new);
        let phone = phone.and_then(normal_form::phone).map(Pii::new);
        self.emails.extend(email);
        self.phones.extend(phone);
    }

    /// Adds an order or a customer by its plain id.
    pub fn add_id(&mut self, by: By, id: &str) {
        let ids = if by == By::CustomerId { &mut self.customers } else { &mut self.orders };
        ids.push(Id::parse(by, id));
    }

    /// Adds what a hashed column holds.
    pub fn add_stored(&mut self, by: By, spelling: Spelling, hash: String) {
        self.stored.push((by, spelling, Pii::new(hash)));
    }

    /// What hashed columns hold of somebody of whom only the hash is known.
    pub fn stored(&self) -> impl Iterator<Item = (By, &Spelling, &str)> {
        self.stored.iter().map(|(by, spelling, hash)| (*by, spelling, hash.expose().as_str()))
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.stored.is_empty() && self.identifiers().next().is_none()
    }

    /// Every identifier in its one form: ids plain, e-mail addresses and phone numbers normal.
    pub fn identifiers(&self) -> impl Iterator<Item = (By, &str)> {
        let orders = self.orders.iter().map(|id| (By::OrderId, id.plain()));
        let customers = self.customers.iter().map(|id| (By::CustomerId, id.plain()));
        let emails = self.emails.iter().map(|email| (By::Email, email.expose().as_str()));
        let phones = self.phones.iter().map(|phone| (By::Phone, phone.expose().as_str()));
        orders.chain(customers).chain(emails).chain(phones)
    }

    /// Everything to look for in columns of one identifier and spelling, in order and each once. `hmac_key` is the secret
    /// of [`Spelling::Hmac`].
    pub fn values(&self, by: By, spelling: &Spelling, hmac_key: &[u8]) -> Vec<String> {
        let digest: &dyn Fn(&str) -> String = match spelling {
            Spelling::Sha256 => &|text| hex::encode(Sha256::digest(text.as_bytes())),
            Spelling::Hmac(_) => &|text| keyed(hmac_key, text),
            _ => &str::to_owned,
        };
        let hashed = matches!(spelling, Spelling::Sha256 | Spelling::Hmac(_));
        let mut values: Vec<String> = match by {
            By::OrderId | By::CustomerId => {
                let ids = if by == By::OrderId { &self.orders } else { &self.customers };
                let plain = ids.iter().map(|id| digest(id.plain()));
                let global = ids.iter().filter_map(|id| id.global(by));
                match spelling {
                    Spelling::Global => global.collect(),
                    Spelling::Both => plain.chain(global).collect(),
                    Spelling::Of(kind) => plain.filter(|id| kind.admits(id)).collect(),
                    _ => plain.collect(),
                }
            }
            By::Email => self.emails.iter().map(|email| digest(email.expose())).collect(),
            // Hashes are made of E.164 numbers with and without `+`; written numbers may begin with `00`.
            By::Phone if hashed => {
                let phones = self.phones.iter().map(Pii::expose);
                phones.flat_map(|phone| [digest(phone), digest(&format!("+{phone}"))]).collect()
            }
            By::Phone => {
                self.phones.iter().map(Pii::expose).flat_map(|phone| [phone.clone(), format!("00{phone}")]).collect()
            }
        };
        let stored = self.stored.iter().filter(|(of, how, _)| *of == by && how == spelling);
        values.extend(stored.map(|(_, _, hash)| hash.expose().clone()));
        values.sort_unstable();
        values.dedup();
        values
    }

    /// How many identifiers of each kind there are: orders, customers, e-mail addresses, phone numbers.
    pub fn counts(&self) -> [usize; 4] {
        [self.orders.len(), self.customers.len(), self.emails.len(), self.phones.len()]
    }
}

fn keyed(key: &[u8], text: &str) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// Whether a payload may keep an id back because it is an e-mail address or a phone number: it has null in the place of one.
/// Such an id stands in the sealed body.
pub fn may_withhold(payload: &Value) -> bool {
    let lists = ["orders_to_redact", "orders_requested"].iter().filter_map(|name| payload.get(name)?.as_array());
    payload.get("customer_id").is_some_and(Value::is_null) || lists.flatten().any(Value::is_null)
}

/// A job's payload that does not have the shape that its type asks for.
#[derive(Debug)]
pub struct UnreadablePayload {
    id: String,
    column: &'static str,
    reason: &'static str,
}

impl fmt::Display for UnreadablePayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} of \"GDPRJob\" does not read back: {} in \"{}\"", self.id, self.reason, self.column)
    }
}

impl std::error::Error for UnreadablePayload {}

impl UnreadablePayload {
    /// A job whose type is none that this build knows.
    pub fn job_type(id: &str) -> Self {
        Self { id: id.to_owned(), column: "jobType", reason: "an unknown type" }
    }

    /// A sealed payload that is not there, or does not open or read.
    pub fn sealed(id: &str, reason: &'static str) -> Self {
        Self { id: id.to_owned(), column: "sealedPayload", reason }
    }
}

impl Target {
    /// The target of a `customer_redact` or `data_request` job, from its payload with the list of orders at `key`. What
    /// [`may_withhold`] tells of is not in it.
    ///
    /// # Errors
    /// [`UnreadablePayload`] when the list is not one of numbers and texts.
    pub fn of_subject(id: &str, shop_domain: &str, payload: &Value, key: &str) -> Result<Self, UnreadablePayload> {
        let unreadable = |reason| UnreadablePayload { id: id.to_owned(), column: "payload", reason };
        let listed = payload.get(key).and_then(Value::as_array).ok_or_else(|| unreadable("no list of orders"))?;
        let mut orders = Vec::with_capacity(listed.len());
        for order in listed.iter().filter(|order| !order.is_null()) {
            let order = Id::read(By::OrderId, order);
            orders.push(order.ok_or_else(|| unreadable("an order that is neither a whole number nor text"))?);
        }
        orders.sort_unstable();
        orders.dedup();
        let customer = payload.get("customer_id").filter(|customer| !customer.is_null());
        let customer = customer.map(|customer| {
            let customer = Id::read(By::CustomerId, customer);
            customer.ok_or_else(|| unreadable("a customer that is neither a whole number nor text"))
        });
        let customers = customer.transpose()?.into_iter().collect();
        let subject = Subject { orders, customers, ..Subject::default() };
        Ok(Self { shop_domain: shop_domain.to_owned(), shop_number: None, scope: Scope::Subject(subject) })
    }

    /// The target of a `shop_redact` job.
    pub fn of_shop(shop_domain: &str) -> Self {
        Self { shop_domain: shop_domain.to_owned(), shop_number: None, scope: Scope::Shop }
    }

    /// Adds the platform's number of the shop.
    #[must_use]
    pub fn with_shop_number(mut self, number: Option<String>) -> Self {
        self.shop_number = number;
        self
    }

    /// Whether all of the shop is meant.
    pub fn is_whole_shop(&self) -> bool {
        matches!(self.scope, Scope::Shop)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn subject(payload: &Value) -> Subject {
        match Target::of_subject("gdpr_1", "a.myshopify.com", payload, "orders_to_redact").unwrap().scope {
            Scope::Subject(subject) => subject,
            Scope::Shop => panic!("a subject expected"),
        }
    }

    fn spelled(orders: &Value) -> Vec<String> {
        subject(&json!({ "orders_to_redact": orders })).values(By::OrderId, &Spelling::Both, &[])
    }

    #[test]
    fn an_order_is_looked_for_as_number_and_as_global_id() {
        let both = ["9007199254740993", "gid://shopify/Order/9007199254740993"];
        assert_eq!(spelled(&json!([9_007_199_254_740_993_u64])), both);
        assert_eq!(spelled(&json!(["9007199254740993"])), both);
        assert_eq!(spelled(&json!(["gid://shopify/Order/9007199254740993", 9_007_199_254_740_993_u64])), both);
    }

    #[test]
    fn an_order_name_is_looked_for_as_it_stands_and_never_in_a_column_of_numbers() {
        assert_eq!(spelled(&json!(["#72348"])), ["#72348"]);
        let named = subject(&json!({ "orders_to_redact": ["#72348", 7], "customer_id": null }));
        assert_eq!(named.values(By::OrderId, &Spelling::Of(Kind::Integer), &[]), ["7"]);
    }

    #[test]
    fn a_customer_has_a_global_id_of_its_own() {
        let customer = subject(&json!({ "orders_to_redact": [], "customer_id": 191_167 }));
        assert_eq!(customer.values(By::CustomerId, &Spelling::Global, &[]), ["gid://shopify/Customer/191167"]);
    }

    #[test]
    fn emails_and_phones_are_looked_for_in_normal_form_and_hashed_from_it() {
        let mut subject = Subject::new();
        subject.add_personal(Some(" John@Example.COM "), Some("+1 (555) 625-1199"));
        assert_eq!(subject.values(By::Email, &Spelling::Plain, &[]), ["john@example.com"]);
        assert_eq!(subject.values(By::Phone, &Spelling::Plain, &[]), ["0015556251199", "15556251199"]);
        let hash = "855f96e983f1f8e8be944692b6f719fd54329826cb62e98015efee8e2e071dd4";
        assert_eq!(subject.values(By::Email, &Spelling::Sha256, &[]), [hash]);
        assert_eq!(subject.values(By::Phone, &Spelling::Sha256, &[]).len(), 2);
        assert!(!format!("{subject:?}").contains("example"));
    }

    #[test]
    fn a_payload_that_makes_no_sense_is_an_error_that_names_the_row_and_quotes_nothing() {
        for bad in [json!({}), json!({"orders_to_redact": [1.5]}), json!({"orders_to_redact": "jane@example.com"})] {
            let error = Target::of_subject("gdpr_7", "a.myshopify.com", &bad, "orders_to_redact").unwrap_err();
            let text = error.to_string();
            assert!(text.contains("gdpr_7") && text.contains("\"payload\"") && !text.contains("jane"), "{text}");
        }
    }
}
