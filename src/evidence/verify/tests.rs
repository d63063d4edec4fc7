use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

use super::super::dsse;
use super::*;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public(seed: u8) -> PublicKey {
    PublicKey::new(key(seed).verifying_key())
}

/// A statement of an erasure that kept some rows, signed by key 1.
fn retained() -> Value {
    let id = "gdpr_0123456789abcdef0123456789abcdef";
    let table = |table: &str, deleted: u64, kept: u64| {
        json!({
            "store": "default", "table": table, "matched": deleted + kept, "deleted": deleted, "masked": 0, "kept": kept,
            "ground": "invoices are kept for ten years", "alreadyAbsent": 0, "residual": 0,
        })
    };
    json!({
        "_type": STATEMENT_TYPE,
        "subject": [{ "name": id, "digest": digest(id) }],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "request": {
                "jobId": id, "jobType": "customer_redact", "topic": "customers/redact", "provider": "shopify",
                "source": "http", "shopDomain": "ada.example", "webhookId": "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
                "receivedAt": "2026-11-01T00:00:00.000Z", "dueAt": "2026-12-01T00:00:00.000Z",
            },
            "subject": { "kind": "customer", "orders": { "count": 0, "pseudonyms": [] } },
            "outcome": "retained",
            "attempts": 1,
            "endedAt": "2026-11-02T00:00:00.000Z",
            "policy": {},
            "erasure": {
                "tables": [table("ConversionLog", 2, 0), table("Invoice", 0, 1)],
                "verification": { "method": "freshSnapshotAfterCommit", "verifiedAt": "2026-11-01T23:59:59.000Z" },
                "residualHorizon": [
                    { "in": "backups", "days": 35, "until": "2026-12-07T00:00:00.000Z", "statedBy": "operator" },
                ],
            },
            "holds": [],
            "software": { "name": "efface", "version": "0.1.0" },
            "signedBy": { "algorithm": ALGORITHM, "publicKey": public(1).to_base64() },
        },
    })
}

fn seal_as(statement: &Value, seed: u8) -> String {
    dsse::seal(&key(seed), public(seed).id(), PAYLOAD_TYPE, statement.to_string().as_bytes())
}

/// The part of a statement that is refused once it is changed and signed again by its own signer.
fn refused(change: impl FnOnce(&mut Value)) -> Option<Part> {
    let mut statement = retained();
    change(&mut statement);
    verify(seal_as(&statement, 1).as_bytes(), &[public(1)]).err().map(|refused| refused.part)
}

#[test]
fn a_receipt_verifies_against_a_key_from_outside_or_says_that_it_did_not() {
    let receipt = seal_as(&retained(), 1);
    let checked = verify(receipt.as_bytes(), &[public(2), public(1)]).unwrap();
    assert!(checked.is_trusted && checked.key == public(1));
    assert_eq!(checked.statement.predicate.outcome, Outcome::Retained);
    assert_eq!(serde_json::to_value(&checked.statement).unwrap(), retained(), "reading loses nothing");
    assert!(!verify(receipt.as_bytes(), &[]).unwrap().is_trusted);
    let other = verify(receipt.as_bytes(), &[public(2)]).unwrap_err();
    assert_eq!(other.part, Part::Signature, "a key from outside is never replaced by the enclosed one");
}

#[test]
fn a_forger_who_encloses_another_key_is_found_by_the_key_from_outside() {
    let mut forged = retained();
    forged["predicate"]["signedBy"]["publicKey"] = public(9).to_base64().into();
    let receipt = seal_as(&forged, 9);
    assert_eq!(verify(receipt.as_bytes(), &[public(1)]).unwrap_err().part, Part::Signature);
    // One that keeps the true signer's key cannot sign for it.
    let receipt = seal_as(&retained(), 9);
    assert_eq!(verify(receipt.as_bytes(), &[]).unwrap_err().part, Part::Signature);
    assert_eq!(verify(receipt.as_bytes(), &[public(9)]).unwrap_err().part, Part::Receipt);
}

#[test]
fn a_second_signature_may_stand_beside_the_first() {
    let mut both: Value = serde_json::from_str(&seal_as(&retained(), 1)).unwrap();
    let second: Value = serde_json::from_str(&seal_as(&retained(), 2)).unwrap();
    both["signatures"].as_array_mut().unwrap().insert(0, second["signatures"][0].clone());
    for trusted in [1, 2] {
        assert_eq!(verify(both.to_string().as_bytes(), &[public(trusted)]).unwrap().key, public(trusted));
    }
    assert_eq!(verify(both.to_string().as_bytes(), &[public(3)]).unwrap_err().part, Part::Signature);
}

#[test]
fn a_signed_payload_of_another_type_is_no_receipt() {
    let payload = retained().to_string();
    for other in ["application/json", "application/vnd.in-toto+JSON", "application/vnd.in-toto.receipt+json", ""] {
        let sealed = dsse::seal(&key(1), public(1).id(), other, payload.as_bytes());
        assert_eq!(verify(sealed.as_bytes(), &[public(1)]).unwrap_err().part, Part::Envelope, "{other}");
    }
    assert_eq!(refused(|s| s["_type"] = "https://in-toto.io/Statement/v0.1".into()), Some(Part::Statement));
    assert_eq!(refused(|s| s["predicateType"] = "https://slsa.dev/provenance/v1".into()), Some(Part::Statement));
    assert_eq!(refused(|s| s["predicateType"] = format!("{PREDICATE_TYPE}/").into()), Some(Part::Statement));
    let twice = payload.replacen(r#""outcome":"#, r#""outcome":"erased","outcome":"#, 1);
    let sealed = dsse::seal(&key(1), public(1).id(), PAYLOAD_TYPE, twice.as_bytes());
    assert_eq!(verify(sealed.as_bytes(), &[public(1)]).unwrap_err().part, Part::Statement);
}

#[test]
fn what_a_later_version_adds_is_passed_over() {
    assert_eq!(refused(|_| {}), None);
    assert_eq!(refused(|s| s["predicate"]["inclusionProof"] = json!({ "index": 7 })), None);
}

#[test]
fn a_signed_statement_whose_parts_do_not_fit_together_is_refused() {
    let receipt = Some(Part::Receipt);
    let table = |s: &mut Value, field: &str, value: Value| s["predicate"]["erasure"]["tables"][1][field] = value;
    assert_eq!(refused(|s| s["subject"][0]["name"] = "gdpr_1".into()), receipt);
    assert_eq!(refused(|s| s["subject"][0]["digest"]["sha256"] = "00".repeat(32).into()), receipt);
    assert_eq!(refused(|s| s["subject"] = json!([])), receipt);
    assert_eq!(refused(|s| s["subject"] = json!([s["subject"][0], s["subject"][0]])), receipt);
    assert_eq!(refused(|s| s["predicate"]["request"]["jobId"] = "gdpr_1".into()), receipt);
    assert_eq!(refused(|s| s["predicate"]["request"]["jobType"] = "data_request".into()), receipt);
    for outcome in ["exported", "nothing_found", "not_executed", "done"] {
        assert_eq!(refused(|s| s["predicate"]["outcome"] = outcome.into()), receipt, "{outcome}");
    }
    assert_eq!(refused(|s| drop(s["predicate"].as_object_mut().unwrap().remove("erasure"))), receipt);
    assert_eq!(refused(|s| s["predicate"]["export"] = json!({ "tables": [] })), receipt);
    assert_eq!(refused(|s| table(s, "matched", 2.into())), receipt);
    assert_eq!(refused(|s| table(s, "masked", 1.into())), receipt);
    assert_eq!(refused(|s| table(s, "deleted", (-1).into())), receipt);
    assert_eq!(refused(|s| table(s, "deleted", u64::MAX.into())), receipt, "a sum that overflows");
    assert_eq!(refused(|s| table(s, "residual", 1.into())), receipt);
    assert_eq!(refused(|s| table(s, "ground", " ".into())), receipt);
    assert_eq!(refused(|s| s["predicate"]["endedAt"] = "2026-11-01T00:00:00.000Z".into()), receipt);
    assert_eq!(refused(|s| s["predicate"]["erasure"]["residualHorizon"][0]["days"] = 36.into()), receipt);
    assert_eq!(refused(|s| s["predicate"]["erasure"]["verification"]["method"] = "trust".into()), receipt);
    assert_eq!(refused(|s| s["predicate"]["signedBy"]["algorithm"] = "none".into()), receipt);
    assert_eq!(refused(|s| s["predicate"]["signedBy"]["publicKey"] = public(2).to_base64().into()), receipt);
}

#[test]
fn a_request_whose_topic_type_subject_and_instants_do_not_belong_together_is_refused() {
    let receipt = Some(Part::Receipt);
    let request = |s: &mut Value, field: &str, value: &str| s["predicate"]["request"][field] = value.into();
    for topic in ["shop/redact", "customers/data_request", "app/uninstalled", "Customers/Redact", ""] {
        assert_eq!(refused(|s| request(s, "topic", topic)), receipt, "{topic}");
    }
    assert_eq!(refused(|s| request(s, "dueAt", "2026-10-31T23:59:59.999Z")), receipt);
    assert_eq!(refused(|s| request(s, "dueAt", "2026-11-01T00:00:00.000Z")), None, "due at once");
    for other in ["2026-11-01T00:00:00Z", "2026-11-01T00:00:00.000+00:00", "2026-11-01 00:00:00.000Z", "today"] {
        assert_eq!(refused(|s| request(s, "receivedAt", other)), receipt, "{other}");
    }
    assert_eq!(refused(|s| s["predicate"]["subject"]["kind"] = "shop".into()), receipt);
    let named = |n: usize| -> Vec<String> { (0..n).map(|order| format!("{order:032x}")).collect() };
    let orders = |s: &mut Value, count: u64, pseudonyms: Vec<String>| {
        s["predicate"]["subject"]["orders"] = json!({ "count": count, "pseudonyms": pseudonyms });
    };
    for (count, some) in [(0, 2), (1, 2), (3, 2), (1, 0), (1_000, 999), (1_001, 1_001), (999, 1_000)] {
        assert_eq!(refused(|s| orders(s, count, named(some))), receipt, "{count} orders, {some} of them named");
    }
    for (count, some) in [(2, 2), (1_000, 1_000), (1_001, 1_000), (u64::MAX, 1_000)] {
        assert_eq!(refused(|s| orders(s, count, named(some))), None, "{count} orders, {some} of them named");
    }
    assert_eq!(refused(|s| orders(s, 2, named(2).into_iter().rev().collect())), receipt);
    assert_eq!(refused(|s| orders(s, 2, vec!["0".repeat(32); 2])), receipt);
    // A whole shop names nobody.
    let of_shop = |s: &mut Value| {
        request(s, "jobType", "shop_redact");
        request(s, "topic", "shop/redact");
        s["predicate"]["subject"] = json!({ "kind": "shop" });
    };
    assert_eq!(refused(of_shop), None);
    for (field, value) in [("customer", json!("0".repeat(32))), ("orders", json!({ "count": 0, "pseudonyms": [] }))] {
        let told = refused(|s| {
            of_shop(s);
            s["predicate"]["subject"][field] = value.clone();
        });
        assert_eq!(told, receipt, "{field}");
    }
}

#[test]
fn what_is_too_large_is_refused_before_it_is_read() {
    let large = vec![b' '; RECEIPT_BYTES_MAX + 1];
    assert_eq!(verify(&large, &[]).unwrap_err().part, Part::Size);
}

#[test]
fn a_refusal_quotes_nothing_of_the_receipt() {
    let told = |text: &str| verify(text.as_bytes(), &[]).unwrap_err().to_string();
    for text in [
        r#"{"jane@example.com":1}"#,
        r#"{"payload":"jane@example.com","payloadType":"jane@example.com","signatures":[{"sig":""}]}"#,
    ] {
        assert!(!told(text).contains("jane"), "{}", told(text));
    }
}
