use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::webhook::tests::{read, verified};

const REDACT: &str = "customers/redact";
const REQUEST: &str = "customers/data_request";
const SHOP: &str = "shop/redact";
const GONE: &str = "app/uninstalled";

fn redact() -> Value {
    json!({"shop_id": 1, "shop_domain": "a.example.com",
        "customer": {"id": 2, "email": "e@example.com", "phone": "555"}, "orders_to_redact": [3]})
}

fn request() -> Value {
    json!({"shop_id": 1, "shop_domain": "a.example.com",
        "customer": {"id": 2, "email": "e@example.com", "phone": "555"}, "orders_requested": [3], "data_request": {"id": 4}})
}

fn shop() -> Value {
    json!({"shop_id": 1, "shop_domain": "a.example.com"})
}

/// The shop object, as far as it matters.
fn gone() -> Value {
    json!({"id": 1, "name": "A", "email": "owner@example.com", "domain": "www.example.com",
        "myshopify_domain": "a.example.com", "plan_name": "basic"})
}

/// What is wrong with a body after one change; none when it is accepted.
fn misfit(topic: &str, mut body: Value, change: impl FnOnce(&mut Value)) -> Option<Mismatch> {
    change(&mut body);
    read(topic, &body.to_string()).unwrap().mismatch
}

fn remove(body: &mut Value, field: &str) {
    body.as_object_mut().unwrap().remove(field).unwrap();
}

#[test]
fn every_body_fits_its_own_topic_and_no_other() {
    for (at, body) in [redact(), request(), shop()].into_iter().enumerate() {
        for (topic_at, topic) in [REDACT, REQUEST, SHOP].into_iter().enumerate() {
            let mismatch = misfit(topic, body.clone(), |_| ());
            assert_eq!(mismatch.is_none(), at == topic_at, "{topic}: {body}: {mismatch:?}");
        }
    }
}

#[test]
fn a_body_of_another_topic_tells_no_uninstallation_and_an_uninstallation_is_no_other_topic() {
    for body in [redact(), request(), shop()] {
        assert_eq!(read(GONE, &body.to_string()).unwrap_err(), Unreadable::NoShop, "{body}");
    }
    for topic in [REDACT, REQUEST, SHOP] {
        assert_eq!(read(topic, &gone().to_string()).unwrap_err(), Unreadable::NoShop, "{topic}");
    }
    for field in ["shop_domain", "customer", "orders_to_redact", "orders_requested", "data_request"] {
        let mismatch = misfit(GONE, gone(), |body| body[field] = json!(null));
        assert_eq!(mismatch, Some(Mismatch::Forbidden(field)));
    }
}

#[test]
fn an_uninstallation_names_its_shop_by_its_permanent_domain_or_else_by_the_other() {
    let left = read(GONE, &gone().to_string()).unwrap();
    assert_eq!(
        (left.topic, left.shop_domain.as_str(), left.shop_id.as_deref()),
        (Topic::AppUninstalled, "a.example.com", Some("1"))
    );
    assert!(
        left.mismatch.is_none() && left.subject.is_empty() && left.orders.is_empty() && left.unknown_fields.is_empty()
    );
    let mut plain = gone();
    remove(&mut plain, "myshopify_domain");
    assert_eq!(read(GONE, &plain.to_string()).unwrap().shop_domain, "www.example.com");
    plain["domain"] = json!(null);
    assert_eq!(read(GONE, &plain.to_string()).unwrap_err(), Unreadable::NoShop);
    plain["domain"] = json!(["a.b"]);
    assert_eq!(read(GONE, &plain.to_string()).unwrap_err(), Unreadable::BadShop);
    let with = |claimed: &str| {
        let header = Some(claimed.to_owned());
        verified(GONE, gone().to_string().as_bytes(), |webhook| webhook.headers.shop_domain = header)
            .read()
            .unwrap()
            .mismatch
    };
    assert_eq!(with("A.example.com"), None);
    assert_eq!(with("www.example.com"), None);
    assert_eq!(with("b.example.com"), Some(Mismatch::OtherShop));
}

#[test]
fn a_field_of_another_topic_holds_the_job_even_when_it_is_null() {
    let forbidden = [
        (REDACT, redact(), ["orders_requested", "data_request"].as_slice()),
        (REQUEST, request(), &["orders_to_redact"]),
        (SHOP, shop(), &["customer", "orders_to_redact", "orders_requested", "data_request"]),
    ];
    for (topic, body, fields) in forbidden {
        for &field in fields {
            for value in [json!(null), json!([]), json!({}), json!("x")] {
                let mismatch = misfit(topic, body.clone(), |body| body[field] = value.clone());
                assert_eq!(mismatch, Some(Mismatch::Forbidden(field)), "{topic}: {field}: {value}");
            }
        }
    }
}

#[test]
fn a_body_that_does_not_testify_for_its_topic_holds_the_job() {
    assert_eq!(
        misfit(REDACT, redact(), |body| remove(body, "orders_to_redact")),
        Some(Mismatch::Missing("orders_to_redact"))
    );
    assert_eq!(misfit(REDACT, redact(), |body| remove(body, "customer")), Some(Mismatch::Missing("customer")));
    assert_eq!(misfit(REQUEST, request(), |body| remove(body, "customer")), Some(Mismatch::Missing("customer")));
    for field in ["orders_requested", "data_request"] {
        assert_eq!(misfit(REQUEST, request(), |body| remove(body, field)), None, "one of two is enough");
    }
    let neither = |body: &mut Value| {
        remove(body, "orders_requested");
        body["data_request"] = json!(null);
    };
    assert_eq!(misfit(REQUEST, request(), neither), Some(Mismatch::Missing("orders_requested")));
}

#[test]
fn any_one_handle_of_the_subject_is_enough_and_none_holds_the_job() {
    let with = |customer: Value, orders: Value| {
        misfit(REDACT, redact(), |body| {
            body["customer"] = customer;
            body["orders_to_redact"] = orders;
        })
    };
    for customer in [json!({"id": 2}), json!({"email": "e@x.de"}), json!({"phone": "5", "id": null, "email": null})] {
        assert_eq!(with(customer.clone(), json!([])), None);
        assert_eq!(with(customer, json!(null)), None);
    }
    assert_eq!(with(json!({}), json!([3])), None);
    for nobody in [json!({}), json!({"id": null, "email": "", "phone": "  "})] {
        assert_eq!(with(nobody.clone(), json!([])), Some(Mismatch::NoSubject));
        assert_eq!(with(nobody, json!(null)), Some(Mismatch::NoSubject));
    }
}

#[test]
fn a_field_of_the_wrong_kind_holds_the_job() {
    for value in [json!("x"), json!(1), json!([]), json!(null)] {
        let mismatch = misfit(REDACT, redact(), |body| body["customer"] = value.clone());
        assert_eq!(mismatch, Some(Mismatch::WrongKind("customer")), "{value}");
    }
    for value in [json!("x"), json!(1), json!({}), json!(true)] {
        let mismatch = misfit(REDACT, redact(), |body| body["orders_to_redact"] = value.clone());
        assert_eq!(mismatch, Some(Mismatch::WrongKind("orders_to_redact")), "{value}");
    }
    let mismatch = misfit(REQUEST, request(), |body| body["data_request"] = json!(7));
    assert_eq!(mismatch, Some(Mismatch::WrongKind("data_request")));
    let long = json!("x".repeat(1025));
    for value in [json!(1), json!({}), json!("a\u{0}b"), json!("a\nb"), long] {
        for (field, path) in [("email", "customer.email"), ("phone", "customer.phone")] {
            let mismatch = misfit(REDACT, redact(), |body| body["customer"][field] = value.clone());
            assert_eq!(mismatch, Some(Mismatch::WrongKind(path)), "{field}: {value}");
        }
    }
}

#[test]
fn a_new_field_is_named_and_nothing_more() {
    let mut body = redact();
    body["locale"] = json!({"anything": [1.5, {"x": null}]});
    body["customer"]["first_name"] = json!("John");
    body["john@example.com"] = json!(1);
    let delivery = read(REDACT, &body.to_string()).unwrap();
    assert_eq!(delivery.mismatch, None);
    assert_eq!(delivery.unknown_fields, ["(odd name)", "locale", "customer.first_name"]);
}

#[test]
fn the_names_of_new_fields_are_bounded() {
    let mut body = shop();
    for i in 0..1000 {
        body[format!("field_{i}")] = json!(i);
    }
    assert_eq!(read(SHOP, &body.to_string()).unwrap().unknown_fields.len(), 16);
}

#[test]
fn an_order_listed_twice_is_one_order_and_the_sequence_is_kept() {
    let mut body = redact();
    body["orders_to_redact"] = json!([5, "gid://shopify/Order/5", 3, "5", "#3", 3]);
    let orders = read(REDACT, &body.to_string()).unwrap().orders;
    let texts: Vec<_> = orders.iter().map(ExternalId::as_text).collect();
    assert_eq!(texts, ["5", "gid://shopify/Order/5", "3", "#3"]);
}

#[test]
fn what_is_no_id_is_refused_and_named_by_its_field() {
    let long = json!("7".repeat(256));
    for bad in
        [json!(1.0), json!(-1), json!(1e300), json!(true), json!([]), json!({}), json!(""), json!("a\u{0}"), long]
    {
        let cases = [
            (REDACT, redact(), "/customer/id", "customer.id"),
            (REDACT, redact(), "/orders_to_redact/0", "orders_to_redact"),
            (REQUEST, request(), "/orders_requested/0", "orders_requested"),
            (REQUEST, request(), "/data_request/id", "data_request.id"),
            (SHOP, shop(), "/shop_id", "shop_id"),
        ];
        for (topic, mut body, pointer, path) in cases {
            *body.pointer_mut(pointer).unwrap() = bad.clone();
            let refused = read(topic, &body.to_string()).unwrap_err();
            assert_eq!(refused, Unreadable::BadId(FieldPath::of(path)), "{body}");
        }
    }
    let above = redact().to_string().replace(r#""id":2"#, r#""id":18446744073709551616"#);
    assert_eq!(read(REDACT, &above).unwrap_err(), Unreadable::BadId(FieldPath::of("customer.id")));
    let null = redact().to_string().replace("[3]", "[3,null]");
    assert_eq!(read(REDACT, &null).unwrap_err(), Unreadable::BadId(FieldPath::of("orders_to_redact")));
}

#[test]
fn a_shop_without_a_number_is_a_shop() {
    for change in [|body: &mut Value| body["shop_id"] = json!(null), |body: &mut Value| remove(body, "shop_id")] {
        assert_eq!(misfit(SHOP, shop(), change), None);
    }
}

#[test]
fn a_body_without_a_shop_is_refused() {
    let with = |value: Value| {
        let mut body = shop();
        body["shop_domain"] = value;
        read(SHOP, &body.to_string()).unwrap_err()
    };
    assert_eq!(read(SHOP, "{}").unwrap_err(), Unreadable::NoShop);
    assert_eq!(with(json!(null)), Unreadable::NoShop);
    for bad in [json!(1), json!(""), json!("no-dot"), json!("a.b/c"), json!(["a.b"])] {
        assert_eq!(with(bad), Unreadable::BadShop);
    }
}

#[test]
fn the_shop_of_the_header_must_be_that_of_the_body() {
    let with = |claimed: &str| {
        let header = Some(claimed.to_owned());
        verified(SHOP, shop().to_string().as_bytes(), |webhook| webhook.headers.shop_domain = header).read().unwrap()
    };
    for same in ["a.example.com", "A.Example.Com", "a.example.com."] {
        assert_eq!(with(same).mismatch, None, "{same}");
    }
    for other in ["b.example.com", "example.com", "nonsense", "a.example.com.evil.com"] {
        let held = with(other);
        assert_eq!(held.mismatch, Some(Mismatch::OtherShop), "{other}");
        assert_eq!(held.shop_domain, "a.example.com", "the signed one counts");
    }
}

#[test]
fn header_and_path_must_agree_on_the_topic() {
    let with = |header: Option<&str>, path: Option<&str>| {
        verified(SHOP, shop().to_string().as_bytes(), |webhook| {
            webhook.headers.topic = header.map(str::to_owned);
            webhook.path_topic = path.map(str::to_owned);
        })
        .read()
        .map(|delivery| delivery.topic)
    };
    assert_eq!(with(Some(SHOP), None), Ok(Topic::ShopRedact));
    assert_eq!(with(None, Some("shop/redact/")), Ok(Topic::ShopRedact));
    assert_eq!(with(Some("Shop/Redact"), Some(SHOP)), Ok(Topic::ShopRedact));
    assert_eq!(with(Some(REDACT), Some(SHOP)), Err(Unreadable::TopicsDisagree));
    assert_eq!(with(Some("orders/create"), None), Err(Unreadable::UnknownTopic));
    assert_eq!(with(Some(SHOP), Some("orders/create")), Err(Unreadable::UnknownTopic));
    assert_eq!(with(None, None), Err(Unreadable::NoTopic));
}

#[test]
fn headers_are_carried_along_and_bad_ids_refused() {
    let with = |id: &str| {
        verified(SHOP, shop().to_string().as_bytes(), |webhook| {
            webhook.headers.webhook_id = Some(id.to_owned());
            webhook.headers.event_id = Some("event".to_owned());
            webhook.headers.triggered_at = Some("2026-11-21T10:00:00Z".to_owned());
            webhook.headers.api_version = Some("2026-10".to_owned());
        })
        .read()
    };
    let delivery = with("b54557e4-bdd9-4b37-8a5f-bf7d70bcd043").unwrap();
    assert_eq!(delivery.webhook_id.as_deref(), Some("b54557e4-bdd9-4b37-8a5f-bf7d70bcd043"));
    assert_eq!(delivery.event_id.as_deref(), Some("event"));
    assert_eq!(delivery.triggered_at.unwrap().to_rfc3339(), "2026-11-21T10:00:00+00:00");
    assert_eq!(delivery.api_version.as_deref(), Some("2026-10"));
    assert_eq!(with("a\u{0}").unwrap_err(), Unreadable::BadHeader("Webhook-Id"));
    assert_eq!(with(&"a".repeat(256)).unwrap_err(), Unreadable::BadHeader("Webhook-Id"));
}

#[test]
fn no_refusal_quotes_the_body() {
    let body = redact().to_string();
    let bodies = [
        body.replace(r#""id":2"#, r#""id":"e@example.com\u0000""#),
        body.replace(r#""id":2"#, r#""email":"e@example.com""#),
        body.replace(r#""id":2"#, r#""e@example.com":1,"e@example.com":2"#),
        body.replace("\"a.example.com\"", "\"e@example.com\""),
        body.replace(r#""id":2"#, r#""id":e@example.com"#),
        format!("{body}e@example.com"),
        r#""e@example.com""#.to_owned(),
    ];
    for body in bodies {
        let refused = read(REDACT, &body).unwrap_err();
        let printed = format!("{refused} {refused:?} {}", refused.code());
        assert!(!printed.contains("e@example") && !printed.contains("example.com"), "{printed}");
    }
}

#[test]
fn a_doubled_key_is_refused_before_any_of_its_values_counts() {
    let doubled = redact().to_string().replace(r#""id":2"#, r#""id":2,"id":9"#);
    assert_eq!(read(REDACT, &doubled).unwrap_err().code(), "duplicate_key");
}

fn arb_id() -> impl Strategy<Value = Value> {
    prop_oneof![any::<u64>().prop_map(Value::from), "#?[0-9]{1,20}".prop_map(Value::from)]
}

fn arb_contact() -> impl Strategy<Value = Value> {
    prop_oneof![Just(Value::Null), "\\PC{0,40}".prop_map(Value::from)]
}

/// A subject in the clear, to compare.
fn exposed(delivery: &Delivery) -> (Option<String>, Option<String>, Option<String>, Vec<String>) {
    let subject = &delivery.subject;
    (
        subject.customer_id.as_ref().map(|id| id.as_text().into_owned()),
        subject.email.as_ref().map(|email| email.expose().clone()),
        subject.phone.as_ref().map(|phone| phone.expose().clone()),
        delivery.orders.iter().map(|id| id.as_text().into_owned()).collect(),
    )
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(body: Vec<u8>, topic in 0usize..4) {
        let _ = verified([REDACT, REQUEST, SHOP, GONE][topic], &body, |_| ()).read();
    }

    #[test]
    fn no_json_makes_reading_panic(
        topic in 0usize..3,
        field in prop::sample::select(vec![
            "/shop_id", "/shop_domain", "/customer", "/customer/id", "/customer/email", "/orders_to_redact",
            "/orders_to_redact/0", "/data_request",
        ]),
        value in r#"(\[|\{"x":)?(null|true|-?[0-9]{1,25}(\.[0-9])?|"[a-z.@\\u]{0,9}")[\]}]?"#,
    ) {
        let mut body = redact();
        body["data_request"] = json!(null);
        *body.pointer_mut(field).unwrap() = json!("HERE");
        let body = body.to_string().replace("\"HERE\"", &value);
        let _ = verified([REDACT, REQUEST, SHOP][topic], body.as_bytes(), |_| ()).read();
    }

    #[test]
    fn every_way_to_write_a_body_gives_the_same_subject(
        id in arb_id(), email in arb_contact(), phone in arb_contact(), orders in prop::collection::vec(arb_id(), 0..6),
    ) {
        let mut body = redact();
        body["customer"] = json!({"id": id, "email": email, "phone": phone});
        body["orders_to_redact"] = json!(orders);
        let compact = body.to_string();
        let pretty = serde_json::to_string_pretty(&body).unwrap();
        let mut escaped = String::new();
        for c in compact.chars() {
            if c.is_ascii() { escaped.push(c) } else {
                c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| write!(escaped, "\\u{unit:04x}").unwrap());
            }
        }
        let first = read(REDACT, &compact).unwrap();
        prop_assert_eq!(&first.mismatch, &None);
        let subject = exposed(&first);
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        prop_assert_eq!(subject.0.as_ref(), Some(&text(&body["customer"]["id"])));
        for other in [pretty, escaped] {
            prop_assert_eq!(&exposed(&read(REDACT, &other).unwrap()), &subject);
        }
    }
}
