//! What tables, columns, people and orders are called: names that are easily mistaken for each other, and spellings
//! that people use.

use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::oracle::{hmac_sha256, normal_email, normal_phone};
use super::random::Random;
use super::schema::{By, Form, Id, Path};

pub struct Shop {
    pub domain: &'static str,
    /// The platform's own number.
    pub number: u64,
    /// Its key in a table of shops whose keys are numbers, and in one whose keys are text.
    pub keys: (i64, &'static str),
}

/// The last one is in no table of shops.
pub const SHOPS: [Shop; 4] = [
    Shop { domain: "ada.myshopify.com", number: 954_889, keys: (1, "1") },
    Shop { domain: "bea.myshopify.com", number: 9_548_890, keys: (11, "11") },
    Shop { domain: "ada.myshopify.co", number: 9_007_199_254_740_993, keys: (954_889, "cku-1 'x'") },
    Shop { domain: "nobody.myshopify.com", number: 954_888, keys: (7, "7") },
];

pub struct Person {
    pub id: u64,
    pub email: &'static str,
    /// With its country code, or without.
    pub phone: &'static str,
}

pub const PEOPLE: [Person; 4] = [
    Person { id: 7, email: "ann@example.com", phone: "+49 30 1234567" },
    // An id that is also an order's, and an address within another's.
    Person { id: 1001, email: "jo.ann@example.com", phone: "+1 (555) 010-7788" },
    Person { id: 9_007_199_254_740_992, email: "Änne+news@example.com", phone: "030 1234567" },
    Person { id: 9_007_199_254_740_993, email: "o'ann%_@example.com", phone: "+49 30 123456" },
];

pub const ORDERS: [u64; 7] =
    [1001, 1, 10_010, 1002, 9_007_199_254_740_992, 9_007_199_254_740_993, 4_611_686_018_427_387_905];
pub const ORDER_NAMES: [&str; 3] = ["#1001", "1001-A", "o'1001"];

pub const TABLE_NAMES: [&str; 14] = [
    "transaction",
    "references",
    "constraint",
    "authorization",
    "Order_",
    "LineItem",
    "_events",
    "order_line_items",
    "T",
    "customerEvents",
    "k_",
    "SELECTION",
    "keys_",
    "Users_",
];

/// Keywords, names that a statement might use for itself, mixed case, and the longest name there may be.
pub const COLUMN_NAMES: [&str; 40] = [
    "select",
    "from",
    "where",
    "order",
    "group",
    "user",
    "table",
    "index",
    "default",
    "values",
    "references",
    "check",
    "job",
    "shop",
    "val",
    "n",
    "k",
    "t",
    "d",
    "u",
    "value",
    "key",
    "orderId",
    "customer_ID",
    "Email",
    "phoneNumber",
    "payload",
    "_x",
    "c0",
    "wanted",
    "row",
    "place",
    "tableoid_",
    "data",
    "json",
    "end",
    "s",
    "p",
    "h1",
    "a_very_long_name_that_fills_all_of_the_63_characters_of_a_name_",
];

/// Text that has nothing to do with anybody, and must come through unchanged.
pub const BALLAST: [&str; 8] = [
    "",
    " ",
    "it's \"quoted\" \\ and % _ so on",
    "line\nbreak\ttab",
    "名前 🦀 é",
    "null",
    "{\"not\": json",
    "2026-11-21T00:00:00.000Z",
];

/// An order as a text column holds it.
pub fn order_text(random: &mut Random, order: u64) -> String {
    match random.below(10) {
        0..=5 => order.to_string(),
        6 | 7 => format!("gid://shopify/Order/{order}"),
        // None of these is the order.
        8 => random.pick(&[
            format!("gid://shopify/Customer/{order}"),
            format!("0{order}"),
            format!("{order} "),
            format!("{order}.0"),
        ]),
        _ => random.pick(&ORDER_NAMES).to_owned(),
    }
}

pub fn customer_text(random: &mut Random, id: u64) -> String {
    match random.below(10) {
        0..=6 => id.to_string(),
        7 | 8 => format!("gid://shopify/Customer/{id}"),
        _ => random.pick(&[format!("gid://shopify/Order/{id}"), format!("{id}0"), String::new()]),
    }
}

/// An address as people and programs write it; in the last spellings it is not the same address.
pub fn email_text(random: &mut Random, email: &str) -> String {
    match random.below(12) {
        0..=4 => email.to_owned(),
        5 | 6 => email.to_ascii_uppercase(),
        7 => format!("  {email} "),
        8 => format!(" {}", email.to_ascii_uppercase()),
        9 => email.to_lowercase(),
        10 => random.pick(&[format!("\t{email}"), format!("{email}."), email.replace("example", "examp1e")]),
        _ => random.pick(&["", "  "]).to_owned(),
    }
}

pub fn phone_text(random: &mut Random, phone: &str) -> String {
    let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
    match random.below(12) {
        0..=3 => phone.to_owned(),
        4 | 5 => digits,
        6 if phone.starts_with('+') => format!("00{digits}"),
        7 if phone.starts_with('+') => format!("00 {}-{}", &digits[..2], &digits[2..]),
        6 | 7 => format!(" {phone} "),
        8 => format!("{}/{}.{}", &digits[..3], &digits[3..5], &digits[5..]),
        9 => format!("tel:{digits}"),
        10 => random.pick(&[format!("0{digits}"), format!("{digits}0"), digits[1..].to_owned()]),
        _ => random.pick(&["", "+", "-"]).to_owned(),
    }
}

/// A value of a subject in one of its forms, as a text column holds it.
pub fn subject_text(random: &mut Random, by: By, form: Form, person: usize, order: u64) -> String {
    let person = &PEOPLE[person];
    match (by, form) {
        (By::Order, _) => order_text(random, order),
        (By::Customer, _) => customer_text(random, person.id),
        (By::Email, Form::Plain) => email_text(random, person.email),
        (By::Phone, Form::Plain) => phone_text(random, person.phone),
        (By::Email, form) => in_form(form, &normal_email(person.email).unwrap()),
        (By::Phone, form) => in_form(form, &normal_phone(person.phone).unwrap()),
    }
}

pub fn in_form(form: Form, normal: &str) -> String {
    match form {
        Form::Plain => normal.to_owned(),
        Form::Sha256 => hex::encode(Sha256::digest(normal.as_bytes())),
        Form::HmacSha256 => hmac_sha256(normal),
    }
}

/// An id as a JSON document or a webhook gives it.
pub fn id(random: &mut Random, number: u64, kind: &str) -> Id {
    match random.below(4) {
        0 | 1 => Id::Number(number),
        2 => Id::Text(number.to_string()),
        _ => Id::Text(format!("gid://shopify/{kind}/{number}")),
    }
}

impl Id {
    pub fn json(&self) -> Json {
        match self {
            Self::Number(number) => json!(number),
            Self::Text(text) => json!(text),
        }
    }
}

/// Where a document of [`super::rows::document`] holds what: paths to match by.
pub fn paths(by: By) -> &'static [Path] {
    match by {
        By::Order => &[&["orders", "[*]", "id"], &["ids", "[*]"], &["order-id"]],
        By::Customer => &[&["customer", "id"], &["orders", "[*]", "lines", "[*]", "buyer"]],
        By::Email => &[&["customer", "email"], &["orders", "[*]", "lines", "[*]", "to"], &["Select", "from"]],
        By::Phone => &[&["customer", "phone"]],
    }
}

/// Paths to mask: their values are text, or absent.
pub const MASK_PATHS: [Path; 5] = [
    &["customer", "email"],
    &["customer", "phone"],
    &["note"],
    &["Select", "from"],
    &["orders", "[*]", "lines", "[*]", "to"],
];
