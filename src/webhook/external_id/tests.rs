use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn text(text: &str) -> ExternalId {
    ExternalId::parse(text).unwrap()
}

#[test]
fn an_id_beyond_two_to_the_53_is_a_string_in_our_json() {
    assert_eq!(ExternalId::Number(1 << 53).to_json(), json!(9_007_199_254_740_992_u64));
    assert_eq!(ExternalId::Number((1 << 53) + 1).to_json(), json!("9007199254740993"));
    assert_eq!(ExternalId::Number(u64::MAX).to_json(), json!("18446744073709551615"));
    assert_eq!(text("954889").to_json(), json!("954889"));
    assert_eq!(text("#72348").to_json(), json!("#72348"));
}

#[test]
fn a_gid_keeps_its_text_and_knows_its_plain_id() {
    let gid = text("gid://shopify/Order/123");
    assert_eq!((gid.as_text().as_ref(), gid.plain().as_ref()), ("gid://shopify/Order/123", "123"));
    assert_eq!(text("gid://shopify/Order/123?app=1").plain(), "123");
    for whole in ["#72348", "gid://", "gid://shopify/Order/", "http://x/1", "a/b"] {
        assert_eq!(text(whole).plain(), whole);
    }
    assert_eq!(ExternalId::Number(123).plain(), "123");
}

#[test]
fn a_number_and_its_text_are_the_same_id() {
    let same: HashSet<_> = [ExternalId::Number(7), text("7"), text("07"), text("7 ")].into_iter().collect();
    assert_eq!(same.len(), 3, "only the text that the number would be written as");
    assert_eq!(ExternalId::Number(7), text("7"));
    assert_eq!(ExternalId::Number(0), text("0"));
    assert_eq!(text("18446744073709551616"), text("18446744073709551616"), "one more than fits a number");
    assert_ne!(text("18446744073709551616"), ExternalId::Number(0));
}

#[test]
fn what_no_column_should_hold_is_no_id() {
    let long = "9".repeat(256);
    for refused in ["", " ", "\t", "a\0", "a\nb", "\u{85}1", &long] {
        assert!(ExternalId::parse(refused).is_none(), "{refused:?}");
    }
    assert!(ExternalId::parse(&long[1..]).is_some());
}

#[test]
fn an_id_that_may_be_personal_is_not_printed() {
    assert_eq!(format!("{:?}", text("john@example.com")), "Text([16 bytes])");
    assert_eq!(format!("{:?}", text("gid://shopify/Order/123")), "Text(\"gid://shopify/Order/123\")");
    assert_eq!(format!("{:?} {:?}", text("#7"), ExternalId::Number(7)), "Text(\"#7\") Number(7)");
    assert_eq!(format!("{:?}", text("gid://john@example.com/Order/1")), "Text([30 bytes])");
}

#[test]
fn what_is_no_id_is_not_read_from_json_and_not_quoted() {
    for refused in ["1.5", "-1", "1e3", "true", "null", "[]", "{}", r#""""#, r#"" ""#, "18446744073709551616"] {
        let error = serde_json::from_str::<ExternalId>(refused).unwrap_err().to_string();
        assert!(error.starts_with("not an id"), "{refused}: {error}");
    }
}

proptest! {
    #[test]
    fn every_number_round_trips_exactly(number: u64) {
        let id = ExternalId::Number(number);
        prop_assert_eq!(id.as_text(), number.to_string());
        prop_assert_eq!(&text(&number.to_string()), &id);
        let json = serde_json::to_string(&id).unwrap();
        let back: ExternalId = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(back.as_text(), id.as_text());
        prop_assert_eq!(back, id);
    }

    #[test]
    fn every_text_round_trips_exactly(sent in "\\PC{1,60}") {
        if let Some(id) = ExternalId::parse(&sent) {
            prop_assert_eq!(id.as_text(), sent.as_str());
            let back: ExternalId = serde_json::from_str(&serde_json::to_string(&id).unwrap()).unwrap();
            prop_assert_eq!(back.as_text(), sent.as_str());
        }
    }
}
