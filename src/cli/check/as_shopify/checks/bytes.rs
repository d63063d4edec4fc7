//! The signature is of bytes, not of JSON: a body that a framework would write differently verifies as it was sent.

use super::source::{HTTPS, STRUCTURE};
use super::{Basis, Check, Letter, Script, Severity};
use crate::cli::check::as_shopify::bodies::{self, ORDERS, PHONE, SHOP_ID};
use crate::webhook::Topic;

pub static CHECKS: [Check; 6] = [
    Check {
        id: "raw-spacing",
        severity: Severity::Required,
        basis: Basis::Documented,
        rule: "A body with unusual spacing is confirmed: the signature is checked over the raw body.",
        source: HTTPS,
        script: |scene| {
            let body = bodies::of(Topic::CustomersRedact, &scene.shop, 0)?;
            let body = body.replace(':', "\t: ").replace(',', " ,\r\n  ");
            Ok(one(scene.letter(Topic::CustomersRedact, body)?, "genuine, with unusual spacing"))
        },
    },
    Check {
        id: "raw-trailing-newline",
        severity: Severity::Required,
        basis: Basis::Documented,
        rule: "A body that ends in a newline is confirmed: the signature is checked over the raw body.",
        source: HTTPS,
        script: |scene| {
            let body = bodies::of(Topic::CustomersRedact, &scene.shop, 0)? + "\n";
            Ok(one(scene.letter(Topic::CustomersRedact, body)?, "genuine, with a newline at its end"))
        },
    },
    Check {
        id: "raw-key-order",
        severity: Severity::Required,
        basis: Basis::Documented,
        rule: "A body with its fields in another order is confirmed: the signature is checked over the raw body.",
        source: HTTPS,
        script: |scene| {
            let (shop, email) = (&scene.shop, bodies::EMAIL);
            let customer = format!(r#"{{"phone":"{PHONE}","email":"{email}","id":9007199254100000}}"#);
            let body = format!(
                r#"{{"orders_to_redact":{ORDERS},"customer":{customer},"shop_domain":"{shop}","shop_id":{SHOP_ID}}}"#
            );
            Ok(one(scene.letter(Topic::CustomersRedact, body)?, "genuine, with its fields in another order"))
        },
    },
    Check {
        id: "raw-escapes",
        severity: Severity::Required,
        basis: Basis::Documented,
        rule: "A body with escaped characters is confirmed: the signature is checked over the raw body.",
        source: HTTPS,
        script: |scene| {
            let customer = format!(
                r#"{{"id":9007199254100000,"email":"no\/b\u00f6dy@efface-conformance.invalid","phone":"{PHONE}"}}"#
            );
            let body = bodies::redact(&scene.shop, &customer, ORDERS);
            Ok(one(scene.letter(Topic::CustomersRedact, body)?, r"genuine, with \u00f6 and \/ in it"))
        },
    },
    Check {
        id: "utf8-body",
        severity: Severity::Required,
        basis: Basis::Documented,
        rule: "A body with characters beyond ASCII is confirmed: the signature is checked over the raw body.",
        source: HTTPS,
        script: |scene| {
            let customer = format!(
                r#"{{"id":9007199254100000,"email":"nöbödy.無名@efface-conformance.invalid","phone":"{PHONE}"}}"#
            );
            let body = bodies::redact(&scene.shop, &customer, ORDERS);
            Ok(one(scene.letter(Topic::CustomersRedact, body)?, "genuine, with characters beyond ASCII"))
        },
    },
    Check {
        id: "lower-case-headers",
        severity: Severity::Required,
        basis: Basis::Documented,
        rule: "Headers are found whatever the case of their names.",
        source: STRUCTURE,
        script: |scene| {
            Ok(one(scene.ordinary(Topic::CustomersRedact)?.in_lower_case(), "genuine, with lower-case header names"))
        },
    },
];

fn one(letter: Letter, what: &'static str) -> Script {
    Script::OneByOne(vec![letter.saying(what)])
}
