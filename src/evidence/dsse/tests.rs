use serde_json::{Value, json};

use super::*;

/// The keys of RFC 8032, section 7.1, which DSSE's own test vectors use: TEST 1 and TEST 2.
const SEEDS: [&str; 2] = [
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
];
const STATEMENT: &[u8] = br#"{"_type":"https://in-toto.io/Statement/v1"}"#;
/// What TEST 1 and TEST 2 make of `STATEMENT`, by DSSE's test vectors.
const SIGNATURES: [&str; 2] = [
    "2WAfaHm5jluo0w+0rk8uVkluELJYWjSmU9x7EUzx+AyteDGJ4/nqyJXfmAUVFIAoQafWm7AxBZNw5M9ixNHiCA==",
    "c1+67/aT0yqEpwx8PsVY3MLHsj9D0CZ014/Fv/QlG59P+9CobUZ7xECJ/V3USG0Ob9CiE5LjReEZUzNF2l7eBw==",
];

fn signing_key(place: usize) -> SigningKey {
    SigningKey::from_bytes(&hex::decode(SEEDS[place]).unwrap().try_into().unwrap())
}

fn public_key(place: usize) -> PublicKey {
    PublicKey::new(signing_key(place).verifying_key())
}

fn envelope(payload: &[u8], payload_type: &str, signatures: &[&str]) -> Value {
    let signatures: Vec<Value> = signatures.iter().map(|sig| json!({ "sig": sig })).collect();
    json!({ "payload": STANDARD.encode(payload), "payloadType": payload_type, "signatures": signatures })
}

fn parse(envelope: &Value) -> Result<Envelope, String> {
    Envelope::parse(envelope.to_string().as_bytes())
}

/// How many of the two keys signed it.
fn signers(envelope: &Value) -> usize {
    parse(envelope).unwrap().signers(&[public_key(0), public_key(1)]).len()
}

#[test]
fn the_encoding_is_that_of_the_protocols_example() {
    assert_eq!(
        pae("http://example.com/HelloWorld", b"hello world"),
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    );
    assert_eq!(pae("", b""), b"DSSEv1 0  0 ");
    assert!(pae("application/vnd.ex\u{e4}mple+json", b"").starts_with(b"DSSEv1 29 "), "lengths count bytes");
}

#[test]
fn the_signatures_are_those_of_the_protocols_test_vectors() {
    for (place, signature) in SIGNATURES.into_iter().enumerate() {
        let written: Value = serde_json::from_str(&seal(&signing_key(place), "A", PAYLOAD_TYPE, STATEMENT)).unwrap();
        assert_eq!(written["signatures"], json!([{ "keyid": "A", "sig": signature }]));
        assert_eq!(written["payload"], "eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEifQ==");
        assert_eq!(written["payloadType"], "application/vnd.in-toto+json");
    }
    let accepted = [
        envelope(STATEMENT, PAYLOAD_TYPE, &SIGNATURES[..1]),
        envelope(
            b"",
            PAYLOAD_TYPE,
            &["gSggCAaTLTYyRH6FIDBem6meyIynsYy8RTHVzwx9tnTb7Bg/1jMWnuVgI/gffqmbsC2VX5/jHfkkDqsj7CDbDg=="],
        ),
        envelope(
            STATEMENT,
            "application/vnd.ex\u{e4}mple+json",
            &["xmSk/ug66ysT7ayhkCIjhAq42zgZXSsEWuzUaNL7w2eGAdF/NU6/fRXPtmfN+5DNSAs5/i2lUnHjbbjPsu0tAw=="],
        ),
        json!({ "payload": "-_-_Pj8=", "payloadType": PAYLOAD_TYPE, "signatures": [{ "sig": "P-_KHICeR7tI6S_YyejJTRtrXhcQyQ2LYPaL8h90KjC9qN8HU_svOQ6TuDOT1HIrsGW886DbWNWcCmX5twLrAw==" }] }),
    ];
    for envelope in &accepted {
        assert_eq!(signers(envelope), 1, "{envelope}");
    }
    let swapped = envelope(STATEMENT, "application/vnd.example.other+json", &SIGNATURES[..1]);
    assert_eq!(signers(&swapped), 0, "the type is signed with the payload");
}

#[test]
fn each_trusted_key_counts_once_and_other_signatures_are_passed_over() {
    assert_eq!(signers(&envelope(STATEMENT, PAYLOAD_TYPE, &SIGNATURES)), 2);
    assert_eq!(signers(&envelope(STATEMENT, PAYLOAD_TYPE, &[SIGNATURES[0], SIGNATURES[0]])), 1);
    let stranger = STANDARD.encode([7; 64]);
    let short = STANDARD.encode([7; 3]);
    assert_eq!(signers(&envelope(STATEMENT, PAYLOAD_TYPE, &[&stranger, &short, "", SIGNATURES[1]])), 1);
    let trusted = [public_key(1)];
    let envelope = parse(&envelope(STATEMENT, PAYLOAD_TYPE, &SIGNATURES[..1])).unwrap();
    assert!(envelope.signers(&trusted).is_empty(), "a good signature of a key that nobody trusts is none");
}

#[test]
fn a_key_id_only_narrows_the_keys_that_are_tried() {
    let with_id = |id: &str| {
        let mut envelope = envelope(STATEMENT, PAYLOAD_TYPE, &SIGNATURES[..1]);
        envelope["signatures"][0]["keyid"] = id.into();
        signers(&envelope)
    };
    assert_eq!(with_id(public_key(0).id()), 1);
    assert_eq!(with_id(""), 1, "an empty field is one that was left out");
    assert_eq!(with_id(public_key(1).id()), 0, "the id never makes a signature good");
    assert_eq!(with_id("A"), 0);
}

#[test]
fn what_is_not_strictly_an_envelope_is_refused() {
    let good = envelope(STATEMENT, PAYLOAD_TYPE, &SIGNATURES[..1]);
    let text = good.to_string();
    let signature = r#"{"sig":"#;
    let wrong = [
        String::new(),
        "[]".to_owned(),
        "null".to_owned(),
        format!("{text}{text}"),
        format!("{text}\u{0}"),
        text.replacen('{', r#"{"payload":"","#, 1),
        text.replacen('{', r#"{"note":"unsigned","#, 1),
        text.replacen(signature, r#"{"note":"unsigned","sig":"#, 1),
        text.replacen(signature, r#"{"sig":"","sig":"#, 1),
        text.replacen("payloadType", "payloadtype", 1),
        text.replacen("fQ==", "fQ=", 1),
        text.replacen("fQ==", "fQ", 1),
        text.replacen("fQ==", "fR==", 1),
        text.replacen("fQ==", "fQ==\\n", 1),
        text.replacen("eyJ", "e yJ", 1),
        text.replacen("CA==\"", "CA== \"", 1),
        envelope(STATEMENT, PAYLOAD_TYPE, &[]).to_string(),
        envelope(STATEMENT, PAYLOAD_TYPE, &[SIGNATURES[0]; SIGNATURES_MAX + 1]).to_string(),
        // One text in both alphabets at once.
        envelope(STATEMENT, PAYLOAD_TYPE, &[&SIGNATURES[0].replacen('+', "-", 1)]).to_string(),
    ];
    for text in wrong {
        assert!(Envelope::parse(text.as_bytes()).is_err(), "{text}");
    }
    assert!(Envelope::parse(text.as_bytes()).is_ok());
}
