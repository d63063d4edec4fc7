//! Who is not Shopify is turned away, and who is, is not.

use super::source::{HTTPS, PRIVACY, ROTATION};
use super::{Basis, Check, Letter, Scene, Script, Severity};
use crate::cli::check::as_shopify::bodies;
use crate::cli::check::as_shopify::expect::Expect;
use crate::config::Secret;
use crate::webhook::Topic;

/// No app's secret.
const GUESS: &str = "efface-conformance-is-not-the-secret";

pub static CHECKS: [Check; 8] = [
    Check {
        id: "forged-hmac",
        severity: Severity::Required,
        basis: Basis::Documented,
        rule: "A webhook of any topic that is signed with another secret is answered 401.",
        source: PRIVACY,
        script: |scene| {
            each_topic(scene, |letter| {
                let forged = letter.signed_with(&Secret::new(GUESS))?;
                Ok(forged.saying("signed with another secret").expecting(Expect::Unauthorized))
            })
        },
    },
    Check {
        id: "missing-hmac",
        severity: Severity::Required,
        basis: Basis::Inferred,
        rule: "A webhook of any topic without a signature is refused; 401 is the only safe code.",
        source: PRIVACY,
        script: |scene| {
            each_topic(scene, |letter| {
                Ok(letter.unsigned().saying("without a signature header").expecting(Expect::Refused))
            })
        },
    },
    Check {
        id: "empty-hmac",
        severity: Severity::Required,
        basis: Basis::Inferred,
        rule: "A webhook of any topic with an empty signature is refused; 401 is the only safe code.",
        source: PRIVACY,
        script: |scene| {
            each_topic(scene, |letter| {
                let empty = letter.with_empty_signature();
                Ok(empty.saying("with an empty signature header").expecting(Expect::Refused))
            })
        },
    },
    Check {
        id: "hex-hmac",
        severity: Severity::Required,
        basis: Basis::Documented,
        rule: "The right digest in hexadecimal is answered 401: Shopify writes base64.",
        source: HTTPS,
        script: |scene| {
            let letter = scene.ordinary(Topic::CustomersRedact)?.signed_in_hex()?;
            Ok(refused(letter.saying("signed in hexadecimal")))
        },
    },
    Check {
        id: "other-bodys-hmac",
        severity: Severity::Required,
        basis: Basis::Documented,
        rule: "A genuine signature of another body is answered 401.",
        source: PRIVACY,
        script: |scene| {
            let other = scene.letter(Topic::CustomersRedact, bodies::of(Topic::CustomersRedact, &scene.shop, 1)?)?;
            let letter = scene.ordinary(Topic::CustomersRedact)?.with_body_of(&other);
            Ok(refused(letter.saying("with the signature of another body")))
        },
    },
    Check {
        id: "reserialised-hmac",
        severity: Severity::Required,
        basis: Basis::Documented,
        rule: "The signature of the same JSON in other bytes is answered 401: the raw body is signed.",
        source: HTTPS,
        script: |scene| {
            let body = bodies::of(Topic::CustomersRedact, &scene.shop, 0)?;
            let spaced = scene.letter(Topic::CustomersRedact, body.replace(',', ", "))?;
            let letter = scene.letter(Topic::CustomersRedact, body)?.with_body_of(&spaced);
            Ok(refused(letter.saying("with the signature of the same JSON without spaces")))
        },
    },
    Check {
        id: "empty-secret-hmac",
        severity: Severity::Required,
        basis: Basis::Documented,
        rule: "A webhook that is signed with an empty secret is answered 401, even while the app has lost its own.",
        source: PRIVACY,
        script: |scene| {
            let letter = scene.ordinary(Topic::CustomersRedact)?.signed_with(&Secret::new(""))?;
            Ok(refused(letter.saying("signed with an empty secret")))
        },
    },
    Check {
        id: "old-secret",
        severity: Severity::Advised,
        basis: Basis::Documented,
        rule: "While a secret is rotated, webhooks signed with the old one are confirmed: Shopify may sign so for an hour.",
        source: ROTATION,
        script: |scene| {
            let Some(secret) = &scene.play.old_secret else { return Ok(Script::Skip("--old-secret was not given")) };
            let letter = scene.ordinary(Topic::CustomersRedact)?.signed_with(secret)?;
            Ok(Script::OneByOne(vec![letter.saying("signed with the old secret")]))
        },
    },
];

/// The app review tries every topic: one address may check what another forgot.
fn each_topic(scene: &Scene<'_>, change: fn(Letter) -> anyhow::Result<Letter>) -> anyhow::Result<Script> {
    let duties = Topic::ALL.into_iter().filter(|topic| topic.is_duty());
    let letters = duties.map(|topic| change(scene.ordinary(topic)?));
    Ok(Script::OneByOne(letters.collect::<anyhow::Result<_>>()?))
}

fn refused(letter: Letter) -> Script {
    Script::OneByOne(vec![letter.expecting(Expect::Unauthorized)])
}
