//! Bodies with less in them than in the examples, and with other ids.

use super::source::{EMAIL_ONLY, PRIVACY, SHOPLINE, UNSIGNED_INT_64};
use super::{Basis, Check, Scene, Script, Severity};
use crate::cli::check::as_shopify::bodies::{self, EMAIL, ORDERS, PHONE};
use crate::webhook::Topic;

pub static CHECKS: [Check; 5] = [
    Check {
        id: "empty-orders",
        severity: Severity::Required,
        basis: Basis::Inferred,
        rule: "A webhook about a customer without orders is confirmed.",
        source: PRIVACY,
        script: |scene| {
            let customer = bodies::customer();
            let redact = scene.letter(Topic::CustomersRedact, bodies::redact(&scene.shop, &customer, "[]"))?;
            let request = bodies::data_request(&scene.shop, &customer, "[]");
            let request = scene.letter(Topic::CustomersDataRequest, request)?;
            Ok(Script::OneByOne(vec![
                redact.saying("genuine, with an empty orders_to_redact"),
                request.saying("genuine, with an empty orders_requested"),
            ]))
        },
    },
    Check {
        id: "contact-missing",
        severity: Severity::Required,
        basis: Basis::Inferred,
        rule: "A customer without e-mail and phone, null or not there, is confirmed: shops sell to such customers.",
        source: PRIVACY,
        script: |scene| {
            redacts(
                scene,
                &[
                    (r#"{"id":9007199254100000,"email":null,"phone":null}"#, "genuine, with e-mail and phone null"),
                    (r#"{"id":9007199254100000}"#, "genuine, without e-mail and phone"),
                ],
            )
        },
    },
    Check {
        id: "customer-id-missing",
        severity: Severity::Required,
        basis: Basis::Reported,
        rule: "A customer of whom only the e-mail address is known, with an id of null or none, is confirmed.",
        source: EMAIL_ONLY,
        script: |scene| {
            let null = format!(r#"{{"id":null,"email":"{EMAIL}","phone":"{PHONE}"}}"#);
            let none = format!(r#"{{"email":"{EMAIL}"}}"#);
            let what =
                [(null.as_str(), "genuine, with a customer id of null"), (&none, "genuine, with an e-mail only")];
            redacts(scene, &what)
        },
    },
    Check {
        id: "ids-above-2-53",
        severity: Severity::Advised,
        basis: Basis::Inferred,
        rule: "Ids beyond 2^53 are confirmed: they are whole numbers of 64 bits, which JavaScript's numbers are not.",
        source: UNSIGNED_INT_64,
        script: |scene| {
            let customer = format!(r#"{{"id":9007199254740993,"email":"{EMAIL}","phone":null}}"#);
            let body = bodies::redact(&scene.shop, &customer, "[9007199254740993,9223372036854775807]");
            let letter = scene.letter(Topic::CustomersRedact, body)?;
            Ok(Script::OneByOne(vec![letter.saying("genuine, with ids beyond 2^53")]))
        },
    },
    Check {
        id: "string-ids",
        severity: Severity::Advised,
        basis: Basis::Reported,
        rule: "Ids written as texts are confirmed: platforms that copied the scheme write them so.",
        source: SHOPLINE,
        script: |scene| {
            let shop = &scene.shop;
            let body = format!(
                r##"{{"shop_id":"{}","shop_domain":"{shop}","customer":{{"id":"9007199254100000","email":"{EMAIL}","phone":"{PHONE}"}},"orders_to_redact":["#9007199254200001"]}}"##,
                bodies::SHOP_ID
            );
            let letter = scene.letter(Topic::CustomersRedact, body)?;
            Ok(Script::OneByOne(vec![letter.saying("genuine, with ids as texts")]))
        },
    },
];

/// A `customers/redact` for each of these customers.
fn redacts(scene: &Scene<'_>, customers: &[(&str, &'static str)]) -> anyhow::Result<Script> {
    let letters = customers.iter().map(|(customer, what)| {
        let letter = scene.letter(Topic::CustomersRedact, bodies::redact(&scene.shop, customer, ORDERS))?;
        Ok(letter.saying(what))
    });
    Ok(Script::OneByOne(letters.collect::<anyhow::Result<_>>()?))
}
