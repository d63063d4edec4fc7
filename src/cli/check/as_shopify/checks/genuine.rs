//! What Shopify sends every day is confirmed, in time, as often as it comes.

use chrono::TimeDelta;

use super::source::{DUPLICATES, HTTPS, PRACTICES, PRIVACY};
use super::{Basis, Check, Scene, Script, Severity};
use crate::cli::check::as_shopify::expect::Expect;
use crate::webhook::Topic;

pub static CHECKS: [Check; 8] = [
    Check {
        id: "valid-data-request",
        severity: Severity::Required,
        basis: Basis::Documented,
        rule: "A genuine customers/data_request is confirmed with 2xx.",
        source: PRIVACY,
        script: |scene| one(scene, Topic::CustomersDataRequest),
    },
    Check {
        id: "valid-customers-redact",
        severity: Severity::Required,
        basis: Basis::Documented,
        rule: "A genuine customers/redact is confirmed with 2xx.",
        source: PRIVACY,
        script: |scene| one(scene, Topic::CustomersRedact),
    },
    Check {
        id: "valid-shop-redact",
        severity: Severity::Required,
        basis: Basis::Documented,
        rule: "A genuine shop/redact is confirmed with 2xx.",
        source: PRIVACY,
        script: |scene| one(scene, Topic::ShopRedact),
    },
    Check {
        id: "shop-never-installed",
        severity: Severity::Required,
        basis: Basis::Inferred,
        rule: "A shop/redact for a shop that is not known is confirmed: it comes 48 hours after the app was removed.",
        source: PRIVACY,
        script: |scene| {
            let letter = scene.ordinary(Topic::ShopRedact)?.saying("genuine, for a shop that never installed the app");
            Ok(Script::OneByOne(vec![letter]))
        },
    },
    Check {
        id: "answer-time",
        severity: Severity::Required,
        basis: Basis::Documented,
        rule: "A connection is accepted within one second, and the answer is there within five in all.",
        source: HTTPS,
        script: in_time,
    },
    Check {
        id: "duplicate-delivery",
        severity: Severity::Required,
        basis: Basis::Documented,
        rule: "The same delivery sent again is confirmed again.",
        source: DUPLICATES,
        script: |scene| {
            let letter = scene.ordinary(Topic::CustomersRedact)?;
            Ok(Script::OneByOne(vec![letter.clone(), letter.saying("genuine, the same delivery again")]))
        },
    },
    Check {
        id: "same-event-new-webhook-id",
        severity: Severity::Required,
        basis: Basis::Documented,
        rule: "The same event under a second webhook id, as two subscriptions deliver it, is confirmed.",
        source: DUPLICATES,
        script: |scene| {
            let letter = scene.ordinary(Topic::CustomersRedact)?;
            let again =
                letter.clone().with_a_new_webhook_id().saying("genuine, the same event under another webhook id");
            Ok(Script::OneByOne(vec![letter, again]))
        },
    },
    Check {
        id: "late-delivery",
        severity: Severity::Advised,
        basis: Basis::Documented,
        rule: "A webhook that was triggered almost a day ago is confirmed: deliveries may be that late.",
        source: PRACTICES,
        script: |scene| {
            let letter = scene.ordinary(Topic::CustomersRedact)?.triggered_before(TimeDelta::hours(23));
            Ok(Script::OneByOne(vec![letter.saying("genuine, triggered 23 hours ago")]))
        },
    },
];

fn one(scene: &Scene<'_>, topic: Topic) -> anyhow::Result<Script> {
    Ok(Script::OneByOne(vec![scene.ordinary(topic)?]))
}

fn in_time(scene: &Scene<'_>) -> anyhow::Result<Script> {
    let duties = Topic::ALL.into_iter().filter(|topic| topic.is_duty());
    let letters = duties.map(|topic| Ok(scene.ordinary(topic)?.expecting(Expect::Anything)));
    Ok(Script::OneByOne(letters.collect::<anyhow::Result<_>>()?))
}
