use proptest::prelude::*;

use super::*;

fn refused(body: &str) -> (Fault, String) {
    match parse(body.as_bytes()) {
        Ok(_) => panic!("accepted: {body}"),
        Err((fault, path)) => (fault, path.to_string()),
    }
}

fn nested(depth: usize) -> String {
    // The object at the top is the first level.
    format!(r#"{{"a":{}1{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1))
}

#[test]
fn a_key_that_stands_twice_is_refused_at_every_level() {
    let cases = [
        (r#"{"a":1,"a":1}"#, "`a`"),
        (r#"{"a":1,"\u0061":2}"#, "`a`"),
        (r#"{"customer":{"id":1,"email":"e","id":2}}"#, "`customer.id`"),
        (r#"{"new":[0,{"deep":{"x":null,"x":null}}]}"#, "`new[].deep.x`"),
        (r#"{"":1,"":1}"#, "`(odd name)`"),
    ];
    for (body, path) in cases {
        assert_eq!(refused(body), (Fault::DuplicateKey, path.to_owned()), "{body}");
    }
    assert!(parse(br#"{"a":{"x":1},"b":{"x":1},"A":1}"#).is_ok(), "in different objects, or in another case");
}

#[test]
fn the_top_level_must_be_an_object() {
    for body in ["[]", "1", "null", "\"x\"", "true"] {
        assert_eq!(refused(body).0, Fault::NotAnObject, "{body}");
    }
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    let cases = [
        ("", "the top level"),
        ("{", "the top level"),
        ("{} x", "the top level"),
        ("{}{}", "the top level"),
        ("\u{feff}{}", "the top level"),
        (r#"{"a":1,}"#, "the top level"),
        (r"{'a':1}", "the top level"),
        (r#"{"customer":{"id":01}}"#, "`customer.id`"),
        (r#"{"customer":{"email":"\ud800"}}"#, "`customer.email`"),
        (r#"{"orders":[1,2,}"#, "`orders[]`"),
        (r#"{"a":NaN}"#, "`a`"),
        ("{\"a\":\"\n\"}", "`a`"),
    ];
    for (body, path) in cases {
        assert_eq!(refused(body), (Fault::NotJson, path.to_owned()), "{body}");
    }
    assert!(matches!(parse(b"{\"a\":\"\xff\"}"), Err((Fault::NotJson, _))), "not UTF-8");
}

#[test]
fn whitespace_around_the_object_is_no_trailing_byte() {
    assert!(parse(b" \r\n\t{} \n").is_ok());
}

#[test]
fn depth_is_limited() {
    assert!(parse(nested(DEPTH_MAX).as_bytes()).is_ok());
    assert_eq!(refused(&nested(DEPTH_MAX + 1)).0, Fault::TooDeep);
    assert_eq!(refused(&"{\"a\":".repeat(100_000)).0, Fault::TooDeep);
}

#[test]
fn the_number_of_values_is_limited() {
    let list = |count: usize| format!(r#"{{"a":[{}1]}}"#, "1,".repeat(count - 1));
    assert!(parse(list(VALUES_MAX - 2).as_bytes()).is_ok());
    assert_eq!(refused(&list(VALUES_MAX - 1)), (Fault::TooManyValues, "`a[]`".to_owned()));
}

#[test]
fn whole_numbers_are_exact_and_others_are_told_apart() {
    let body = r#"{"a":18446744073709551615,"b":18446744073709551616,"c":-1,"d":1.0,"e":1e2,"f":0,"g":-0}"#;
    let object = parse(body.as_bytes()).ok().unwrap();
    assert!(matches!(object["a"], Json::Integer(u64::MAX)));
    assert!(matches!(object["f"], Json::Integer(0)));
    for name in ["b", "c", "d", "e", "g"] {
        assert!(matches!(object[name], Json::OtherNumber), "{name}");
    }
}

#[test]
fn names_that_are_no_plain_words_are_not_shown() {
    assert_eq!(shown("customer_id-2"), "customer_id-2");
    let long = "x".repeat(65);
    assert_eq!(shown("address_2_line_1"), "address_2_line_1");
    for name in ["", "john@example.com", "a b", "ä", "a\n", "15557778888", "customer_61616161", &long] {
        assert_eq!(shown(name), "(odd name)");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_parsing_panic(body: Vec<u8>) {
        let _ = parse(&body);
    }

    #[test]
    fn what_is_accepted_here_is_json_to_others(body in r#"\{("[a-c]":[\[\]{}:,"0-9a-c.e-]{0,8},?){0,4}\}"#) {
        if parse(body.as_bytes()).is_ok() {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok());
        }
    }
}
