//! What Shopify does not send: the endpoint keeps its countenance.

use hyper::Method;

use super::source::{BAD_REQUEST, HTTPS, METHOD_NOT_ALLOWED, UNSUPPORTED_MEDIA_TYPE, VERIFY};
use super::{Basis, Check, Letter, Script, Severity};
use crate::cli::check::as_shopify::bodies;
use crate::cli::check::as_shopify::expect::Expect;
use crate::webhook::Topic;

/// Of no app and no platform.
const UNKNOWN_TOPIC: &str = "conformance/unknown";

pub static CHECKS: [Check; 7] = [
    Check {
        id: "method-get",
        severity: Severity::Advised,
        basis: Basis::Documented,
        rule: "GET is answered 405: only POST brings webhooks.",
        source: METHOD_NOT_ALLOWED,
        script: |scene| {
            let letter = scene.ordinary(Topic::CustomersRedact)?.method(Method::GET).unsigned().without_body();
            Ok(one(letter, "without signature and body", Expect::WrongMethod))
        },
    },
    Check {
        id: "method-put",
        severity: Severity::Advised,
        basis: Basis::Documented,
        rule: "PUT is answered 405: only POST brings webhooks.",
        source: METHOD_NOT_ALLOWED,
        script: |scene| {
            let letter = scene.ordinary(Topic::CustomersRedact)?.method(Method::PUT);
            Ok(one(letter, "genuine but for its method", Expect::WrongMethod))
        },
    },
    Check {
        id: "trailing-slash",
        severity: Severity::Advised,
        basis: Basis::Inferred,
        rule: "The address with a slash at its end, or without the one it has, does not redirect: Shopify follows none.",
        source: HTTPS,
        script: |scene| {
            let topic = Topic::CustomersRedact;
            let Some(other) = scene.play.address.with_the_other_slash(topic.as_str())? else {
                return Ok(Script::Skip("the address has no path"));
            };
            Ok(one(
                scene.ordinary(topic)?.to(other),
                "genuine, to the address with the other slash",
                Expect::NoRedirect,
            ))
        },
    },
    Check {
        id: "wrong-content-type",
        severity: Severity::Advised,
        basis: Basis::Inferred,
        rule: "A genuine webhook typed text/plain is confirmed or refused, not an error of the server.",
        source: UNSUPPORTED_MEDIA_TYPE,
        script: |scene| {
            let letter = scene.ordinary(Topic::CustomersRedact)?.typed("text/plain");
            Ok(one(letter, "genuine but for its type, text/plain", Expect::Answered))
        },
    },
    Check {
        id: "not-json",
        severity: Severity::Advised,
        basis: Basis::Inferred,
        rule: "A signed body that is not JSON is refused with 4xx, best with 400, and is not an error of the server.",
        source: BAD_REQUEST,
        script: |scene| {
            let letter = scene.letter(Topic::ShopRedact, "this is signed, and it is not JSON")?;
            Ok(one(letter, "signed, with a body that is not JSON", Expect::SendersFault))
        },
    },
    Check {
        id: "unknown-topic",
        severity: Severity::Informational,
        basis: Basis::Inferred,
        rule: "A signed webhook of a topic that the app did not subscribe to: the answer is shown.",
        source: VERIFY,
        script: |scene| {
            let letter = scene.ordinary(Topic::ShopRedact)?.under_topic(UNKNOWN_TOPIC);
            let letter = letter.to(scene.play.address.of(UNKNOWN_TOPIC)?);
            Ok(one(letter, "signed, of a topic that does not exist", Expect::Anything))
        },
    },
    Check {
        id: "replay-other-topic",
        severity: Severity::Informational,
        basis: Basis::Inferred,
        rule: "The signature covers the body alone: a captured customers/redact sent as shop/redact must not erase the shop. \
               No answer shows it; look at what became of this one.",
        source: VERIFY,
        script: |scene| {
            let body = bodies::of(Topic::CustomersRedact, &scene.shop, 0)?;
            let letter = scene.letter(Topic::ShopRedact, body)?;
            Ok(one(letter, "with the body and signature of a customers/redact", Expect::Anything))
        },
    },
];

fn one(letter: Letter, what: &'static str, expect: Expect) -> Script {
    Script::OneByOne(vec![letter.saying(what).expecting(expect)])
}
