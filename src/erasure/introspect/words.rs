//! What the names of tables and columns say. All knowledge about names that apps use is here.

mod vocabulary;

use serde::Serialize;

use crate::store::catalog::{Column, Family};
pub use vocabulary::framework;
use vocabulary::{
    ABOUT_IT, ADDRESSEES, ANYTHING, BUYERS, HARMLESS, MERCHANTS, MESSAGES, OTHER_ORDERS, PAIRS, PEOPLE, TENANTS,
    VOCABULARY,
};

fn listed(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known == word)
}

/// A name's words in small letters: `shopifyOrderId`, `shopify_order_id` and `ShopifyOrderID` alike.
pub fn words(name: &str) -> Vec<String> {
    let signs: Vec<char> = name.chars().collect();
    let (mut words, mut word) = (Vec::new(), String::new());
    for (i, &c) in signs.iter().enumerate() {
        let before = i.checked_sub(1).map(|before| signs[before]);
        let after = signs.get(i + 1);
        let begins = c.is_uppercase()
            && (before.is_some_and(|b| b.is_lowercase() || b.is_ascii_digit())
                || before.is_some_and(char::is_uppercase) && after.is_some_and(|a| a.is_lowercase()));
        if (begins || !c.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// The word for one of what this word names: `orders` → `order`, `addresses` → `address`.
pub fn singular(word: &str) -> String {
    let cut = |ending: &str| word.strip_suffix(ending).filter(|stem| stem.len() > 1);
    if let Some(stem) = cut("ies") {
        return format!("{stem}y");
    }
    for ending in ["sses", "shes", "ches", "xes", "uses"] {
        if word.ends_with(ending) && word.len() > ending.len() {
            return word[..word.len() - 2].to_owned();
        }
    }
    match cut("s") {
        Some(stem) if !stem.ends_with(['s', 'u', 'i']) => stem.to_owned(),
        _ => word.to_owned(),
    }
}

/// The word for many of them: `order` → `orders`, `address` → `addresses`; what is many already stays.
pub fn plural(word: &str) -> String {
    if word.ends_with('s') && singular(word) != word {
        return word.to_owned();
    }
    let before_y = word.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'i', 'o', 'u']));
    match before_y {
        Some(stem) => format!("{stem}ies"),
        None if ["s", "x", "sh", "ch"].iter().any(|ending| word.ends_with(ending)) => format!("{word}es"),
        None => format!("{word}s"),
    }
}

/// A table's name as the end of a result key: `survey_response` → `SurveyResponses`.
pub fn pascal_plural(table: &str) -> String {
    let mut words = words(table);
    if let Some(last) = words.last_mut() {
        *last = plural(last);
    }
    let capital = |word: &String| {
        let mut signs = word.chars();
        signs.next().map_or(String::new(), |first| first.to_uppercase().chain(signs).collect())
    };
    words.iter().map(capital).collect()
}

/// Whom a value leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    OrderId,
    CustomerId,
    Email,
    Phone,
}

impl Key {
    /// As the data map writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OrderId => "order_id",
            Self::CustomerId => "customer_id",
            Self::Email => "email",
            Self::Phone => "phone",
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::OrderId => "an order's id",
            Self::CustomerId => "a customer's id",
            Self::Email => "an e-mail address",
            Self::Phone => "a phone number",
        }
    }
}

/// In which form a value stands for what it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Written {
    Plain,
    Sha256,
    /// With a key that only the app knows.
    HmacSha256,
}

/// How much a guess is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    Guess,
    Likely,
    Sure,
}

/// What a column's name says about whom it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lead {
    pub key: Key,
    pub written: Written,
    pub confidence: Confidence,
    pub reason: String,
}

impl Lead {
    fn new(key: Key, written: Written, confidence: Confidence) -> Self {
        let form = if written == Written::Plain { "" } else { ", hashed" };
        Self { key, written, confidence, reason: format!("named after {}{form}", key.noun()) }
    }
}

/// What stands between a noun and its id.
const BETWEEN: &[&str] =
    &["admin", "graphql", "api", "legacy", "resource", "shopify", "external", "platform", "remote"];

/// What a column's name and type say about whom its values lead to.
pub fn lead(table: &str, column: &Column) -> Option<Lead> {
    let words = words(&column.name);
    let id = matches!(column.family, Family::Text | Family::Integer | Family::Numeric | Family::Real)
        || column.family == Family::Json && words.last().is_some_and(|last| matches!(last.as_str(), "ids" | "gids"));
    if id && let Some(lead) = id_lead(table, &words) {
        return Some(lead);
    }
    let text = matches!(column.family, Family::Text | Family::Other)
        || column.family == Family::Integer && words.last().is_some_and(|last| last == "phone");
    if text || column.family == Family::Bytes { address_lead(&words) } else { None }
}

/// The noun that an id belongs to, and what stands before it.
fn id_noun(words: &[String]) -> Option<(&str, Option<&str>)> {
    let (last, rest) = words.split_last()?;
    if let Some(noun) = ["orderid", "ordergid", "customerid", "customergid"].iter().find(|glued| *glued == last) {
        let noun = noun.trim_end_matches("gid").trim_end_matches("id");
        return Some((noun, rest.last().map(String::as_str)));
    }
    if !matches!(last.as_str(), "id" | "gid" | "ids" | "gids") {
        return None;
    }
    let at = rest.iter().rposition(|word| !BETWEEN.contains(&word.as_str()))?;
    Some((rest[at].as_str(), at.checked_sub(1).map(|before| rest[before].as_str())))
}

fn id_lead(table: &str, words: &[String]) -> Option<Lead> {
    if let Some((noun, before)) = id_noun(words) {
        let other = before.is_some_and(|word| listed(OTHER_ORDERS, word));
        return match noun {
            "order" | "orders" if !other => Some(Lead::new(Key::OrderId, Written::Plain, Confidence::Likely)),
            "customer" | "customers" => Some(Lead::new(Key::CustomerId, Written::Plain, Confidence::Likely)),
            noun if listed(BUYERS, noun) => Some(Lead::new(Key::CustomerId, Written::Plain, Confidence::Guess)),
            _ => None,
        };
    }
    // `orders.shopify_id`: the id of what the table holds.
    let joined = words.concat();
    let own = [
        "shopifyid",
        "shopifygid",
        "gid",
        "admingraphqlapiid",
        "externalid",
        "platformid",
        "legacyresourceid",
        "remoteid",
        "graphqlid",
    ];
    if !own.contains(&joined.as_str()) {
        return None;
    }
    let key = match holds(table)?.as_str() {
        "order" => Key::OrderId,
        noun if listed(BUYERS, noun) => Key::CustomerId,
        _ => return None,
    };
    let mut lead = Lead::new(key, Written::Plain, Confidence::Likely);
    lead.reason = format!("the id that the platform gave to what \"{table}\" holds");
    Some(lead)
}

/// What one row of a table is, by the table's last word: `order` for `shopify_orders`.
pub fn holds(table: &str) -> Option<String> {
    let words = words(table);
    let (last, rest) = words.split_last()?;
    let noun = singular(last);
    let other = rest.last().is_some_and(|word| listed(OTHER_ORDERS, word));
    (noun != "order" || !other).then_some(noun)
}

fn address_lead(words: &[String]) -> Option<Lead> {
    let joined = words.concat();
    match joined.as_str() {
        // The names of advertising platforms' interfaces: always hashed there.
        "em" => return Some(Lead::new(Key::Email, Written::Sha256, Confidence::Guess)),
        "ph" => return Some(Lead::new(Key::Phone, Written::Sha256, Confidence::Guess)),
        _ => {}
    }
    let has = |list: &str| words.iter().any(|word| listed(list, word));
    if has(ABOUT_IT) || has(MERCHANTS) {
        return None;
    }
    let email = joined.contains("email") || joined == "mail" || joined.ends_with("mailaddress");
    let phone = has("phone phones telephone mobile msisdn cellphone tel phonenumber");
    let key = if email {
        Key::Email
    } else if phone {
        Key::Phone
    } else {
        return None;
    };
    let written = if has("hmac mac") {
        Written::HmacSha256
    } else if joined.contains("hash") || joined.contains("sha") || joined.contains("digest") {
        Written::Sha256
    } else {
        Written::Plain
    };
    let confidence = if written == Written::Plain { Confidence::Likely } else { Confidence::Guess };
    Some(Lead::new(key, written, confidence))
}

/// What kind of personal value a column seems to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Personal {
    Contact,
    Name,
    Address,
    Network,
    FreeText,
    Identifier,
    Trait,
    Payload,
    Credential,
}

impl Personal {
    /// For a sentence: "looks like …".
    pub fn noun(self) -> &'static str {
        match self {
            Self::Contact => "a way to reach somebody",
            Self::Name => "a person's name",
            Self::Address => "a postal address or a place",
            Self::Network => "a network address or a browser",
            Self::FreeText => "text that somebody wrote",
            Self::Identifier => "an identifier of a visitor or a purchase",
            Self::Trait => "a trait or a number of a person",
            Self::Payload => "a document that could hold anything",
            Self::Credential => "a credential",
        }
    }
}

/// What kind of personal value a column seems to hold, by its name and type.
pub fn personal(table: &str, column: &Column) -> Option<Personal> {
    if lead(table, column).is_some() {
        return Some(Personal::Contact);
    }
    match column.family {
        Family::Network => return Some(Personal::Network),
        Family::Json | Family::Bytes | Family::Other => return Some(Personal::Payload),
        Family::Text => {}
        _ => return None,
    }
    let mut words = words(&column.name);
    let pairs: Vec<String> =
        words.windows(2).filter(|w| PAIRS.contains(&w.join(" ").as_str())).map(<[String]>::concat).collect();
    let in_pairs = pairs.len();
    words.splice(0..0, pairs);
    // `requestId` is the id of a request, and no request; `visitorId` leads to a visitor all the same.
    let only_id = in_pairs == 0 && words.last().is_some_and(|last| is_id(last));
    let known = |word: &String| VOCABULARY.iter().find(|(_, list)| listed(list, word)).map(|(kind, _)| *kind);
    if let Some(kind) = words.iter().filter_map(known).find(|kind| !only_id || *kind == Personal::Identifier) {
        return Some(kind);
    }
    let reaches = words.iter().any(|word| ["email", "mail", "phone", "mobile", "contact"].contains(&word.as_str()));
    if reaches && !words.iter().any(|word| listed(ABOUT_IT, word)) {
        return Some(Personal::Contact);
    }
    if words.concat() == "name" && holds(table).is_some_and(|noun| listed(PEOPLE, &noun)) {
        return Some(Personal::Name);
    }
    let numbered =
        words.iter().any(|word| word == "order") && words.iter().any(|word| word == "number" || word == "name");
    numbered.then_some(Personal::Identifier)
}

fn is_id(word: &str) -> bool {
    matches!(word, "id" | "gid" | "uuid" | "ids" | "gids")
}

/// Whether a text column says whom a message went to: by an address, or by a number.
pub fn addressee(table: &str, column: &Column) -> bool {
    column.family == Family::Text
        && listed(ADDRESSEES, &words(&column.name).concat())
        && words(table).iter().any(|word| listed(MESSAGES, word))
}

/// Whether a table holds a shop's settings: an address or a number in it is the merchant's.
pub(super) fn is_settings(table: &str) -> bool {
    let of_buyers = words(table).iter().any(|word| listed(BUYERS, word));
    !of_buyers && holds(table).is_some_and(|noun| matches!(noun.as_str(), "setting" | "config" | "configuration"))
}

/// Whether a table named so may be the table of shops though no foreign key refers to it.
pub(super) fn may_be_tenant(noun: &str) -> bool {
    listed(TENANTS, noun)
}

/// Why a text column does not look personal; none: its name says nothing.
pub fn harmless(table: &str, column: &Column) -> Option<String> {
    if column.family != Family::Text || personal(table, column).is_some() {
        return None;
    }
    let words = words(&column.name);
    let last = words.last()?;
    if matches!(words.as_slice(), [noun, last] if is_id(last) && listed(ANYTHING, noun)) {
        return None;
    }
    if is_id(last) || last == "key" {
        return Some("an id of something that is no person, by its name".to_owned());
    }
    listed(HARMLESS, last).then(|| format!("{last}: nothing personal, by its name"))
}

/// Names of columns that hold a shop's domain. `true`: it could mean something else, so that rows must confirm it.
pub fn shop_domain(name: &str) -> Option<bool> {
    match words(name).concat().as_str() {
        "shopdomain"
        | "shopifydomain"
        | "myshopifydomain"
        | "shopifyshopdomain"
        | "storedomain"
        | "shopmyshopifydomain"
        | "shopifystoredomain" => Some(false),
        "shop" | "domain" | "shopurl" | "storeurl" | "shopname" | "storename" | "shopifyshop" | "store"
        | "merchant" | "shopifyurl" | "tenant" | "tenantdomain" | "merchantdomain" => Some(true),
        _ => None,
    }
}

/// Whether a column is named after the key of a table of shops.
pub fn shop_id(name: &str, shop_table: Option<&str>) -> bool {
    let joined = words(name).concat();
    let of_table = shop_table.and_then(holds).map(|noun| format!("{noun}id"));
    matches!(joined.as_str(), "shopid" | "storeid" | "tenantid" | "merchantid" | "shopifyshopid" | "shopfk")
        || of_table.is_some_and(|name| joined == name)
}

#[cfg(test)]
mod tests;
