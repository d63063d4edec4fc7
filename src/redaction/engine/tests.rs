use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::redaction::{JsonPath, Salt, Segment};
use crate::seal::SealError;

const SHOP: &str = "snowdevil.myshopify.com";
const GOLDEN_KEYS: &str = include_str!("../../../tests/vectors/keys-v1.json");
/// Computed by `tests/vectors/redaction.py`, which shares no code with this crate.
const GOLDEN: &str = include_str!("../../../tests/vectors/redaction-v1.json");

fn engine() -> Engine {
    Engine::new(Keyring::generate().into())
}

/// An engine under a keys file; it is changed first.
fn engine_with(change: impl FnOnce(&mut Value)) -> Engine {
    let mut keys: Value = serde_json::from_str(GOLDEN_KEYS).unwrap();
    change(&mut keys);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("efface.keys");
    fs::write(&file, keys.to_string()).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    Engine::new(Keyring::load(&file).unwrap().into())
}

fn compiled(rules: &[(&str, Mode)]) -> Compiled {
    let rules: Vec<_> = rules.iter().map(|(path, mode)| (JsonPath::parse(path).unwrap(), mode)).collect();
    Compiled::new(rules.iter().map(|(path, mode)| (path, *mode)))
}

/// The document after the rules.
fn masked(engine: &Engine, rules: &[(&str, Mode)], mut document: Value) -> Value {
    engine.apply(&compiled(rules), SHOP, &mut document);
    document
}

fn text(value: Option<Value>) -> String {
    value.unwrap().as_str().unwrap().to_owned()
}

fn is(mode: &Mode, value: &Value) -> bool {
    value.as_str().is_some_and(|text| is_masked(mode, text))
}

#[test]
fn each_mode_leaves_its_own_form() {
    let engine = engine();
    let salted = Mode::SaltedHash(Salt::new("s").unwrap());
    let rules = [
        ("a.redact", Mode::Redact),
        ("a.hash", Mode::Hash),
        ("a.salted", salted.clone()),
        ("a.encrypt", Mode::Encrypt),
        ("a.remove", Mode::Remove),
    ];
    let mut document = json!({ "a": { "redact": "x", "hash": "x", "salted": "x", "encrypt": "x", "remove": "x", "kept": "x" }, "b": 1 });
    let applied = engine.apply(&compiled(&rules), SHOP, &mut document);
    assert_eq!(applied, Applied { redacted: 1, hashed: 2, encrypted: 1, removed: 1 });
    let a = &document["a"];
    assert_eq!(a["redact"], REDACTED);
    assert!(is(&Mode::Hash, &a["hash"]) && is(&salted, &a["salted"]) && is(&Mode::Encrypt, &a["encrypt"]));
    assert_ne!(a["hash"], a["salted"]);
    assert_eq!(a.as_object().unwrap().len(), 5, "the removed field is gone");
    assert_eq!((&a["kept"], &document["b"]), (&json!("x"), &json!(1)));
}

#[test]
fn the_forms_are_those_that_another_program_computes() {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let engine = engine_with(|_| {});
    let (shop, place) = (golden["shop"].as_str().unwrap(), golden["place"].as_str().unwrap());
    for hash in golden["hashes"].as_array().unwrap() {
        let mode = match hash.get("salt") {
            None => Mode::Hash,
            Some(salt) => Mode::SaltedHash(Salt::new(salt.as_str().unwrap()).unwrap()),
        };
        assert_eq!(engine.mask(&mode, shop, place, &hash["value"]).unwrap(), hash["hash"], "{}", hash["value"]);
    }
    for sealed in golden["sealed"].as_array().unwrap() {
        let opened = engine.unseal(shop, place, sealed["text"].as_str().unwrap()).unwrap();
        assert_eq!(opened.as_ref(), Some(&sealed["value"]));
    }
}

#[test]
fn equal_values_of_one_shop_hash_alike_and_of_two_shops_differently() {
    let engine = engine();
    let hash = |shop: &str, value: Value| text(engine.mask(&Mode::Hash, shop, "p", &value));
    assert_eq!(hash(SHOP, json!("x")), hash(SHOP, json!("x")));
    assert_eq!(hash(SHOP, json!("x")), hash("SnowDevil.myshopify.com.", json!("x")), "one shop, two spellings");
    assert_eq!(hash(SHOP, json!("7")), hash(SHOP, json!(7)), "a number and its digits are one value");
    assert_eq!(hash(SHOP, json!({ "b": 1, "a": 2 })), hash(SHOP, json!({ "a": 2, "b": 1 })));
    assert_ne!(hash(SHOP, json!("x")), hash("other.example.com", json!("x")));
    assert_ne!(hash(SHOP, json!("x")), hash(SHOP, json!("y")));
    let other = Engine::new(Keyring::generate().into());
    assert_ne!(hash(SHOP, json!("x")), text(other.mask(&Mode::Hash, SHOP, "p", &json!("x"))));
}

#[test]
fn null_stays_null_unless_the_field_goes() {
    let engine = engine();
    for mode in [Mode::Redact, Mode::Hash, Mode::Encrypt] {
        assert_eq!(masked(&engine, &[("a", mode)], json!({ "a": null })), json!({ "a": null }));
    }
    assert_eq!(masked(&engine, &[("a", Mode::Remove)], json!({ "a": null })), json!({}));
    assert_eq!(engine.mask(&Mode::Hash, SHOP, "p", &Value::Null), Some(Value::Null));
    assert_eq!(engine.mask(&Mode::Remove, SHOP, "p", &json!("x")), None);
}

#[test]
fn a_wildcard_reaches_every_element_and_a_number_one() {
    let engine = engine();
    let list = json!({ "l": [ { "e": "x" }, { "f": 1 }, 7, null, { "e": "y" } ] });
    let redacted = json!({ "l": [ { "e": REDACTED }, { "f": 1 }, 7, null, { "e": REDACTED } ] });
    assert_eq!(masked(&engine, &[("l[*].e", Mode::Redact)], list.clone()), redacted);
    assert_eq!(masked(&engine, &[("l[4].e", Mode::Redact)], list.clone())["l"][0]["e"], "x");
    assert_eq!(masked(&engine, &[("l.e", Mode::Redact), ("l[9]", Mode::Redact)], list.clone()), list);
    assert_eq!(
        masked(&engine, &[("[*][0]", Mode::Redact)], json!([[1, 2], [3], []])),
        json!([[REDACTED, 2], [REDACTED], []])
    );
    assert_eq!(masked(&engine, &[("[*]", Mode::Redact)], json!({ "*": 1 })), json!({ "*": 1 }));
}

#[test]
fn the_later_of_two_rules_wins_where_their_ways_meet() {
    let engine = engine();
    let list = || json!({ "l": [ { "e": 1, "f": 2 }, { "e": 3, "f": 4 } ] });
    let rules = [("l[*].e", Mode::Redact), ("l[0].e", Mode::Remove), ("l[0].f", Mode::Redact)];
    assert_eq!(masked(&engine, &rules, list()), json!({ "l": [ { "f": REDACTED }, { "e": REDACTED, "f": 4 } ] }));
    let rules = [("l[0].e", Mode::Remove), ("l[*].e", Mode::Redact)];
    assert_eq!(masked(&engine, &rules, list())["l"][0]["e"], REDACTED);
}

#[test]
fn an_element_of_a_list_gives_way_to_null_so_that_the_others_keep_their_places() {
    let engine = engine();
    let rules = [("l[*]", Mode::Redact), ("l[1]", Mode::Remove)];
    let once = masked(&engine, &rules, json!({ "l": ["a", "b", "c"] }));
    assert_eq!(once, json!({ "l": [REDACTED, null, REDACTED] }));
    let mut twice = once.clone();
    assert_eq!(engine.apply(&compiled(&rules), SHOP, &mut twice), Applied::default());
    assert_eq!(twice, once);
}

#[test]
fn a_rule_for_a_whole_value_covers_what_is_in_it() {
    let engine = engine();
    let document = || json!({ "c": { "email": "x", "tags": [1, null] } });
    for rules in [[("c", Mode::Redact), ("c.email", Mode::Hash)], [("c.email", Mode::Hash), ("c", Mode::Redact)]] {
        assert_eq!(masked(&engine, &rules, document()), json!({ "c": REDACTED }));
    }
    let whole = masked(&engine, &[("c", Mode::Hash)], document());
    assert_eq!(masked(&engine, &[("c.email", Mode::Remove), ("c", Mode::Hash)], document()), whole);
}

#[test]
fn what_is_removed_inside_of_an_encrypted_value_does_not_come_back() {
    let engine = engine();
    let rules = [("c", Mode::Encrypt), ("c.email", Mode::Remove), ("c.phone", Mode::Encrypt)];
    let mut document = masked(&engine, &rules, json!({ "c": { "email": "x", "phone": 1.5, "n": 1 } }));
    assert!(is(&Mode::Encrypt, &document["c"]));
    let unsealed = engine.unseal_document(SHOP, "", &[], &mut document);
    assert_eq!(document, json!({ "c": { "phone": 1.5, "n": 1 } }));
    assert_eq!((unsealed.opened, unsealed.failed.len()), (2, 0));
}

#[test]
fn an_encrypted_value_opens_for_its_shop_and_place_only() {
    let engine = engine();
    let sealed = text(engine.mask(&Mode::Encrypt, SHOP, "Order.email", &json!("x")));
    assert_eq!(engine.unseal("SNOWDEVIL.myshopify.com", "Order.email", &sealed).unwrap(), Some(json!("x")));
    for (shop, place) in [("other.example.com", "Order.email"), (SHOP, "Order.phone"), (SHOP, "")] {
        let error = engine.unseal(shop, place, &sealed).unwrap_err();
        assert!(matches!(error, UnsealError::Seal(SealError::NotAuthentic)), "{error}");
    }
    let error = self::engine().unseal(SHOP, "Order.email", &sealed).unwrap_err();
    assert!(!error.to_string().contains('x'), "{error}");
    assert_eq!(engine.unseal(SHOP, "Order.email", "john@example.com").unwrap(), None);
}

#[test]
fn an_encrypted_value_opens_after_elements_before_it_are_gone() {
    let engine = engine();
    let mut document = masked(&engine, &[("l[1].e", Mode::Encrypt)], json!({ "l": [ { "e": 1 }, { "e": 2 } ] }));
    document["l"].as_array_mut().unwrap().remove(0);
    assert_eq!(engine.unseal_document(SHOP, "", &[], &mut document).opened, 1);
    assert_eq!(document, json!({ "l": [ { "e": 2 } ] }));
}

#[test]
fn columns_open_in_the_row_that_they_stand_in() {
    let engine = engine();
    let path = JsonPath::parse("customer.phone").unwrap();
    let mut payload = json!({ "customer": { "phone": "1" } });
    engine.apply(&Compiled::at("Order.payload", [(&path, &Mode::Encrypt)]), SHOP, &mut payload);
    let email = engine.mask(&Mode::Encrypt, SHOP, "Order.email", &json!("x"));
    let mut row = json!({ "email": email, "payload": payload });
    assert_eq!(engine.unseal_document(SHOP, "", &[], &mut row.clone()).failed.len(), 2);
    assert_eq!(engine.unseal_document(SHOP, "Order", &[], &mut row).opened, 2);
    assert_eq!(row, json!({ "email": "x", "payload": { "customer": { "phone": "1" } } }));
}

#[test]
fn unsealing_can_be_restricted_to_paths() {
    let engine = engine();
    let rules = [("a.b", Mode::Encrypt), ("a.c", Mode::Encrypt), ("l[*].e", Mode::Encrypt)];
    let document = masked(&engine, &rules, json!({ "a": { "b": 1, "c": 2 }, "l": [ { "e": 3 }, { "e": 4 } ] }));
    for (paths, opened) in [
        (vec!["a"], vec!["/a/b", "/a/c"]),
        (vec!["a.b", "l[1]"], vec!["/a/b", "/l/1/e"]),
        (vec!["l[*].e"], vec!["/l/0/e", "/l/1/e"]),
        (vec!["l", "l[0].e"], vec!["/l/0/e", "/l/1/e"]),
        (vec!["a.b.c", "x", "[*]"], vec![]),
    ] {
        let only: Vec<JsonPath> = paths.iter().map(|path| JsonPath::parse(path).unwrap()).collect();
        let mut document = document.clone();
        engine.unseal_document(SHOP, "", &only, &mut document);
        let found = ["/a/b", "/a/c", "/l/0/e", "/l/1/e"];
        let found: Vec<_> = found.into_iter().filter(|at| document.pointer(at).unwrap().is_number()).collect();
        assert_eq!(found, opened, "{paths:?}");
    }
}

#[test]
fn what_was_encrypted_before_a_rotation_still_opens_and_new_values_use_the_new_key() {
    let before = engine_with(|keys| keys["current"]["kek"] = json!("kek-1"));
    let after = engine_with(|_| {});
    let retired = engine_with(|keys| {
        keys["keys"]["kek"].as_array_mut().unwrap().remove(0);
    });
    let old = text(before.mask(&Mode::Encrypt, SHOP, "p", &json!(1)));
    assert_eq!(after.unseal(SHOP, "p", &old).unwrap(), Some(json!(1)));
    let new = text(after.mask(&Mode::Encrypt, SHOP, "p", &json!(1)));
    assert_eq!(retired.unseal(SHOP, "p", &new).unwrap(), Some(json!(1)));
    let mut document = json!({ "p": old, "q": [old], "john@example.com": old });
    let unsealed = retired.unseal_document(SHOP, "", &[], &mut document);
    assert_eq!(document["p"], old, "what does not open stays as it is");
    let failed: Vec<_> =
        unsealed.failed.iter().map(|failure| format!("{}: {}", failure.place, failure.error)).collect();
    let told =
        ["[\"(odd name)\"]", "p", "q[*]"].map(|place| format!("{place}: the key \"kek-1\" is not in the keyring"));
    assert_eq!(failed, told);
}

#[test]
fn keys_are_not_mixed_up_between_shops_that_take_turns() {
    let engine = engine();
    let shops = ["a.example.com", "b.example.com"];
    let hashes = |shop: &&str| text(engine.mask(&Mode::Hash, shop, "p", &json!("x")));
    let first: Vec<_> = shops.iter().map(hashes).collect();
    let again: Vec<_> = shops.iter().map(hashes).collect();
    assert_eq!(first, again);
    assert_ne!(first[0], first[1]);
}

#[test]
fn an_engine_prints_no_key() {
    let engine = engine_with(|_| {});
    engine.mask(&Mode::Hash, SHOP, "p", &json!("x"));
    assert!(format!("{engine:?}").starts_with("Engine { keyring: Keyring { kek: [\"kek-1\", \"kek-2\"]"));
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![
        Just(Mode::Redact),
        Just(Mode::Hash),
        Just(Mode::SaltedHash(Salt::new("s").unwrap())),
        Just(Mode::Encrypt),
        Just(Mode::Remove)
    ]
}

/// Any JSON; few keys, so that rules meet it.
fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no such number", |float| float.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[abc]", inner, 0..3).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn rules() -> impl Strategy<Value = Vec<(JsonPath, Mode)>> {
    let step = prop_oneof![3 => "\\.[abc]", 2 => Just("[*]".to_owned()), 1 => "\\[[012]\\]"];
    let path = prop::collection::vec(step, 1..4)
        .prop_map(|steps| JsonPath::parse(steps.concat().trim_start_matches('.')).unwrap());
    prop::collection::vec((path, mode()), 0..8)
}

fn of(rules: &[(JsonPath, Mode)]) -> Compiled {
    Compiled::new(rules.iter().map(|(path, mode)| (path, mode)))
}

/// Every value in a document, with the steps that lead to it, that `path` leads to.
fn found<'v>(path: &[Segment], value: &'v Value) -> Vec<&'v Value> {
    match (path.split_first(), value) {
        (None, _) => vec![value],
        (Some((Segment::Key(key), rest)), Value::Object(map)) => {
            map.get(key).map_or(Vec::new(), |value| found(rest, value))
        }
        (Some((Segment::Each, rest)), Value::Array(list)) => list.iter().flat_map(|value| found(rest, value)).collect(),
        (Some((Segment::Index(index), rest)), Value::Array(list)) => {
            list.get(*index).map_or(Vec::new(), |value| found(rest, value))
        }
        _ => Vec::new(),
    }
}

/// Gives every leaf a text of its own that occurs nowhere else.
fn mark(value: &mut Value, next: &mut u32) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|value| mark(value, next)),
        Value::Object(map) => map.values_mut().for_each(|value| mark(value, next)),
        leaf => {
            *next += 1;
            *leaf = Value::String(format!("secret-{next}-"));
        }
    }
}

fn leaves<'v>(value: &'v Value, into: &mut Vec<&'v str>) {
    match value {
        Value::Array(list) => list.iter().for_each(|value| leaves(value, into)),
        Value::Object(map) => map.values().for_each(|value| leaves(value, into)),
        Value::String(text) => into.push(text),
        _ => {}
    }
}

proptest! {
    #[test]
    fn applying_twice_changes_nothing_more(document in document(), rules in rules()) {
        let (engine, compiled) = (engine(), of(&rules));
        let mut once = document;
        engine.apply(&compiled, SHOP, &mut once);
        let mut twice = once.clone();
        prop_assert_eq!(engine.apply(&compiled, SHOP, &mut twice), Applied::default());
        prop_assert_eq!(twice, once);
    }

    #[test]
    fn a_value_masked_at_its_place_is_what_masking_the_document_leaves_there(document in document(), rules in rules()) {
        let seen: Vec<(JsonPath, Mode)> = rules
            .into_iter()
            .map(|(path, mode)| (path, if mode == Mode::Encrypt { Mode::Hash } else { mode }))
            .collect();
        let (engine, compiled, mut whole) = (engine(), of(&seen), document.clone());
        engine.apply(&compiled, SHOP, &mut whole);
        let hand = engine.hand(SHOP);
        for (a, part) in document.as_object().into_iter().flatten() {
            for (b, value) in part.as_object().into_iter().flatten() {
                let expected = whole.get(a).and_then(|part| part.get(b));
                let left = hand.mask_at(&compiled, &[a, b], value);
                let left = match &left {
                    Left::AsItWas => Some(value),
                    Left::As(left) => Some(left),
                    Left::Gone => None,
                };
                prop_assert_eq!(left, expected, "{}.{}", a, b);
            }
        }
    }

    #[test]
    fn no_masked_text_is_left_and_no_other_is_touched(document in document(), rules in rules()) {
        let mut document = document;
        mark(&mut document, &mut 0);
        let (mut all, mut reached) = (Vec::new(), Vec::new());
        leaves(&document, &mut all);
        for (path, _) in &rules {
            for value in found(path.segments(), &document) {
                leaves(value, &mut reached);
            }
        }
        let mut masked = document.clone();
        engine().apply(&of(&rules), SHOP, &mut masked);
        let printed = masked.to_string();
        for text in all {
            prop_assert_eq!(printed.contains(text), !reached.contains(&text), "{} in {}", text, printed);
        }
    }

    #[test]
    fn what_is_unsealed_is_what_was_encrypted(document in document(), paths in rules()) {
        let engine = engine();
        let rules: Vec<_> = paths.into_iter().map(|(path, _)| (path, Mode::Encrypt)).collect();
        let mut sealed = document.clone();
        let applied = engine.apply(&of(&rules), SHOP, &mut sealed);
        let unsealed = engine.unseal_document(SHOP, "", &[], &mut sealed);
        prop_assert_eq!((unsealed.opened, unsealed.failed.len()), (applied.encrypted, 0));
        prop_assert_eq!(sealed, document);
    }

    #[test]
    fn the_order_of_rules_for_different_places_does_not_matter(document in document(), rules in rules(), by: usize) {
        // One rule per first key: such paths never meet.
        let mut disjoint: Vec<(JsonPath, Mode)> = Vec::new();
        for (path, mode) in rules {
            let is_new = disjoint.iter().all(|(other, _)| other.segments()[0] != path.segments()[0]);
            // Two encryptions of one value differ.
            if is_new && matches!(path.segments()[0], Segment::Key(_)) && mode != Mode::Encrypt {
                disjoint.push((path, mode));
            }
        }
        let engine = engine();
        let (mut one, mut other) = (document.clone(), document);
        engine.apply(&of(&disjoint), SHOP, &mut one);
        let by = by % disjoint.len().max(1);
        disjoint.rotate_left(by);
        engine.apply(&of(&disjoint), SHOP, &mut other);
        prop_assert_eq!(one, other);
    }

    #[test]
    fn a_mask_is_known_by_its_form(value in document(), mode in mode()) {
        prop_assume!(!value.is_null());
        match engine().mask(&mode, SHOP, "p", &value) {
            None => prop_assert_eq!(mode, Mode::Remove),
            Some(masked) => prop_assert!(is(&mode, &masked), "{:?} left {}", mode, masked),
        }
    }
}
