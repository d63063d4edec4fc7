use serde_json::{Value, json};

use super::*;
use crate::redaction::Engine;
use crate::seal::Keyring;

const LAYERED: &str = r#"
version = 1

[[rule]]
path = "customer.email"
mode = "hash"

[[rule]]
path = "note"
mode = "redact"

[[event."orders/create".rule]]
path = "customer.email"
mode = "redact"

[[event."orders/create".rule]]
path = "line_items[*].email"
mode = "remove"

[[shop."Snowdevil.MyShopify.com.".rule]]
path = "customer.email"
mode = "remove"

[[shop."snowdevil.myshopify.com".event."orders/create".rule]]
path = "customer.email"
mode = "encrypt"
"#;

fn problems(toml: &str) -> Vec<String> {
    Policy::parse(toml).unwrap_err().0.iter().map(ToString::to_string).collect()
}

/// What becomes of `customer.email`.
fn email(policy: &Policy, event: &str, shop: Option<&str>) -> String {
    let mut document = json!({ "customer": { "email": "john@example.com" } });
    let engine = Engine::new(Keyring::generate().into());
    engine.apply(&policy.for_event(event, shop), shop.unwrap_or("a.example.com"), &mut document);
    match &document["customer"]["email"] {
        Value::String(text) => text.split(':').next().unwrap().to_owned(),
        _ => "gone".to_owned(),
    }
}

#[test]
fn the_more_specific_rule_wins_over_the_more_general_one() {
    // The two spellings of the shop would be a doubled table; here it is one.
    let policy = LAYERED.replace("Snowdevil.MyShopify.com.", "snowdevil.myshopify.com");
    let policy = Policy::parse(&policy).unwrap();
    assert!(policy.names_shops() && policy.warnings().is_empty());
    assert_eq!(email(&policy, "carts/update", None), "hash");
    assert_eq!(email(&policy, "orders/create", None), "***REDACTED***");
    assert_eq!(email(&policy, "orders/create", Some("other.example.com")), "***REDACTED***");
    assert_eq!(email(&policy, "carts/update", Some("snowdevil.myshopify.com")), "gone");
    assert_eq!(email(&policy, "orders/create", Some("SNOWDEVIL.myshopify.com.")), "enc");
}

#[test]
fn a_shop_in_two_spellings_is_refused() {
    assert_eq!(problems(LAYERED), [r#"shop."snowdevil.myshopify.com": is there twice, in two spellings (line 24)"#]);
}

#[test]
fn of_two_rules_in_one_place_the_later_wins() {
    for (first, second, wins) in [("redact", "hash", "hash"), ("hash", "redact", "***REDACTED***")] {
        let policy = format!(
            r#"
            version = 1
            rule = [{{ path = "customer.email", mode = "{first}" }}, {{ path = "customer[\"email\"]", mode = "{second}" }}]
            "#
        );
        assert_eq!(email(&Policy::parse(&policy).unwrap(), "x", None), wins);
    }
}

#[test]
fn all_problems_of_a_policy_are_told_at_once_and_in_their_places() {
    let found = problems(
        r#"version = 2
rules = []
[[rule]]
path = "a..b"
mode = "blur"
[[rule]]
mode = "redact"
salt = "s3cret-salt"
[[rule]]
path = "a"
mode = "hash"
salt = ""
pepper = 1
[[event."".rule]]
path = 7
mode = "encrypt"
[event.x]
ruel = 1
[[shop.snowdevil.rule]]
path = "b"
[shop."a.example.com"]
event = 3
mode = "redact"
"#,
    );
    assert_eq!(
        found,
        [
            "version: expected 1, the version that this program reads (line 1)",
            "rules: unknown key; expected version, rule, event or shop (line 2)",
            "rule[0].path: not a path at character 3: expected a name; a key that is no plain name is written [\"…\"] (line 4)",
            "rule[0].mode: expected one of redact, hash, encrypt, remove (line 5)",
            "rule[1]: lacks `path` (line 6)",
            "rule[1].salt: goes with the mode hash only (line 8)",
            "rule[2].salt: expected a text that is not empty (line 12)",
            "rule[2].pepper: unknown key; expected path, mode or salt (line 13)",
            "event.\"\": an event type is not empty (line 14)",
            "event.\"\".rule[0].path: expected a path in quotes, such as \"line_items[*].email\" (line 15)",
            "event.\"x\".ruel: unknown key; expected rule (line 18)",
            "shop.\"snowdevil\": expected a shop's domain in quotes: [[shop.\"name.example.com\".rule]] (line 19)",
            "shop.\"snowdevil\".rule[0]: lacks `mode` (line 19)",
            "shop.\"a.example.com\".event: expected a table (line 22)",
            "shop.\"a.example.com\".mode: unknown key; expected rule or event (line 23)",
        ]
    );
    assert!(!found.concat().contains("s3cret"), "a value was quoted");
}

#[test]
fn what_is_no_toml_or_masks_nothing_is_refused() {
    for (toml, problem) in [
        ("version = 1", "there is no rule: nothing would be masked (line 1)"),
        ("version = 1\nrule = []\n[event.x]", "there is no rule: nothing would be masked (line 1)"),
        ("version = 1\nrule = 3", "rule: expected a list of rules, each under a heading in double brackets (line 2)"),
        ("version = 1\nrule = [3]", "rule[0]: expected a table (line 2)"),
        (
            "[[rule]]\npath = \"a\"\nmode = \"hash\"",
            "version: expected 1, the version that this program reads (line 1)",
        ),
    ] {
        assert_eq!(problems(toml), [problem], "{toml}");
    }
    let found = problems("version = 1\n[[rule]]\npath = \"a\"\nsalt = \"hunter2\nmode = = \"hash\"\n").concat();
    assert!(found.contains("not valid TOML") && found.contains("(line 4)"), "{found}");
    assert!(!found.contains("hunter2"), "{found}");
}

#[test]
fn a_salt_is_allowed_and_warned_about() {
    let policy = "version = 1\n[[rule]]\npath = \"email\"\nmode = \"hash\"\nsalt = \"hunter2\"";
    let policy = Policy::parse(policy).unwrap();
    let [warning] = policy.warnings() else { panic!("{:?}", policy.warnings()) };
    let told = warning.to_string();
    assert!(told.starts_with("rule[0].salt: a salted hash can be undone") && told.ends_with("(line 5)"), "{told}");
    assert!(!format!("{told}{policy:?}").contains("hunter2"));
    assert!(!policy.for_event("x", None).is_keyed());
}

#[test]
fn an_event_type_without_rules_is_told_from_one_with() {
    let policy = "version = 1\n[[event.a.rule]]\npath = \"x\"\nmode = \"hash\"";
    let policy = Policy::parse(policy).unwrap();
    assert!(policy.for_event("b", None).is_empty());
    let rules = policy.for_event("a", None);
    assert!(!rules.is_empty() && rules.is_keyed());
}
