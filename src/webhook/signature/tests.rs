use proptest::prelude::*;

use super::*;
use crate::webhook::tests::{sign, unverified};
use crate::webhook::{SHOPIFY, SHOPLINE};

const BODY: &[u8] = b"{}";

fn verify(provider: &'static Provider, hmac: Option<&str>, secrets: &[&str]) -> Result<(), Unauthentic> {
    let mut webhook = unverified(provider, "shop/redact", BODY);
    webhook.headers.hmac = hmac.map(str::to_owned);
    webhook.verify(&self::secrets(secrets)).map(drop)
}

fn secrets(secrets: &[&str]) -> Secrets {
    Secrets::new(secrets.iter().map(|&secret| secret.to_owned()).collect())
}

fn base64(secret: &str) -> String {
    STANDARD.encode(sign(secret, BODY))
}

#[test]
fn every_active_secret_verifies_and_no_other() {
    for secret in ["new", "old", "oldest"] {
        assert_eq!(verify(&SHOPIFY, Some(&base64(secret)), &["new", "old", "oldest"]), Ok(()), "{secret}");
    }
    assert_eq!(verify(&SHOPIFY, Some(&base64("older")), &["new", "old"]), Err(Unauthentic::Mismatch));
    assert_eq!(verify(&SHOPIFY, Some(&base64("new")), &[]), Err(Unauthentic::Mismatch));
}

#[test]
fn an_empty_secret_verifies_nothing() {
    assert!(secrets(&["", " ", "\n"]).is_empty());
    assert_eq!(verify(&SHOPIFY, Some(&base64("")), &[""]), Err(Unauthentic::Mismatch));
}

#[test]
fn a_signature_with_any_bit_flipped_is_refused() {
    for at in 0..DIGEST_LEN {
        for bit in 0..8 {
            let mut digest = sign("s", BODY);
            digest[at] ^= 1 << bit;
            assert_eq!(verify(&SHOPIFY, Some(&STANDARD.encode(digest)), &["s"]), Err(Unauthentic::Mismatch));
        }
    }
}

#[test]
fn a_body_with_any_bit_flipped_is_refused() {
    let body = br#"{"shop_domain":"a.example.com"}"#;
    for at in 0..body.len() {
        for bit in 0..8 {
            let mut altered = body.to_vec();
            altered[at] ^= 1 << bit;
            let mut webhook = unverified(&SHOPIFY, "shop/redact", &altered);
            webhook.headers.hmac = Some(STANDARD.encode(sign("s", body)));
            assert_eq!(webhook.verify(&secrets(&["s"])).map(drop), Err(Unauthentic::Mismatch));
        }
    }
}

#[test]
fn base64_is_read_strictly() {
    let good = base64("s");
    assert!(good.ends_with('='));
    let unpadded = good.trim_end_matches('=').to_owned();
    // The last letter before the padding holds two bits that must be zero.
    let mut loose_bits = unpadded.clone().into_bytes();
    let last = loose_bits.last_mut().unwrap();
    *last = if *last == b'A' { b'B' } else { *last + 1 };
    let mut cases = vec![
        String::from_utf8(loose_bits).unwrap() + "=",
        good.replace('=', "A"),
        format!("{good}="),
        format!("{good}{good}"),
        format!("{unpadded}\n"),
        format!(" {unpadded}"),
        STANDARD.encode(&sign("s", BODY)[..31]),
        STANDARD.encode([sign("s", BODY).as_slice(), b"x"].concat()),
        String::new(),
        "=".repeat(44),
        "ä".repeat(22),
        unpadded,
    ];
    // 44 bytes of the URL-safe alphabet; the body is chosen so that the alphabets differ.
    let (body, digest) = (0..1000)
        .map(|i: u32| (i.to_string(), sign("s", i.to_string().as_bytes())))
        .find(|(_, digest)| STANDARD.encode(digest).contains('/'))
        .unwrap();
    let mut webhook = unverified(&SHOPIFY, "shop/redact", body.as_bytes());
    webhook.headers.hmac = Some(STANDARD.encode(digest).replace('/', "_"));
    assert_eq!(webhook.verify(&secrets(&["s"])).map(drop), Err(Unauthentic::Malformed));
    cases.retain(|case| *case != good);
    for case in cases {
        assert_eq!(verify(&SHOPIFY, Some(&case), &["s"]), Err(Unauthentic::Malformed), "{case:?}");
    }
}

#[test]
fn hexadecimal_is_read_only_where_the_provider_writes_it() {
    let hex = hex::encode(sign("s", BODY));
    assert_eq!(verify(&SHOPIFY, Some(&hex), &["s"]), Err(Unauthentic::Malformed));
    for accepted in [hex.as_str(), &hex.to_uppercase(), &base64("s")] {
        assert_eq!(verify(&SHOPLINE, Some(accepted), &["s"]), Ok(()), "{accepted}");
    }
    for refused in [&hex[2..], &format!("{hex}00"), &hex.replace(|c: char| c.is_ascii_digit(), "g")] {
        assert_eq!(verify(&SHOPLINE, Some(refused), &["s"]), Err(Unauthentic::Malformed), "{refused}");
    }
}

#[test]
fn a_missing_signature_is_refused() {
    assert_eq!(verify(&SHOPIFY, None, &["s"]), Err(Unauthentic::Missing));
}

/// No test can see how long a comparison takes, so this one reads the source.
#[test]
fn the_digest_is_compared_in_constant_time_under_every_secret() {
    let source = include_str!("../signature.rs");
    assert_eq!(source.matches("authentic |= mac.verify_slice(&digest).is_ok();").count(), 1);
    for early_or_leaky in ["finalize", "into_bytes", "break", ".any(", ".find(", "||", "&&"] {
        assert!(!source.contains(early_or_leaky), "{early_or_leaky}");
    }
}

#[test]
fn secrets_and_unverified_bodies_are_not_printed() {
    assert_eq!(format!("{:?}", secrets(&["hush", "hush_old"])), "Secrets(2 active)");
    let mut webhook = unverified(&SHOPIFY, "shop/redact", b"john@example.com");
    webhook.headers.hmac = Some(base64("s"));
    webhook.headers.name = Some("john@example.com".to_owned());
    let printed = format!("{webhook:?}");
    assert!(!printed.contains("john") && !printed.contains(&base64("s")), "{printed}");
}

proptest! {
    #[test]
    fn no_signature_header_makes_verification_panic(hmac in "\\PC*", hex in "[0-9a-g]{62,66}") {
        for provider in [&SHOPIFY, &SHOPLINE] {
            prop_assert!(verify(provider, Some(&hmac), &["s"]).is_err());
            prop_assert!(verify(provider, Some(&hex), &["s"]).is_err());
        }
    }
}
