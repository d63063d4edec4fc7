//! Real receipts have the form that the published JSON schema says.
//!
//! The keywords that the schema uses are read here by hand; a keyword that is not known fails the test. Somebody else's
//! validator reads the same schema in the tests of `pypi`.

use std::cell::RefCell;
use std::collections::HashMap;

use efface::evidence::receipt::Ending;
use efface::evidence::statement::Policy;
use efface::webhook::Topic;
use entity::gdpr_job::{JobType, Outcome};
use entity::source::Source;
use regex::Regex;
use serde_json::Value;

use super::{duty, payload};
use crate::docs::text;
use crate::house::{House, signer};

pub const SCHEMA: &str = "docs/schemas/receipt-v1.json";

struct Validator {
    root: Value,
    patterns: RefCell<HashMap<String, Regex>>,
}

impl Validator {
    fn read() -> Self {
        Self { root: serde_json::from_str(&text::read(SCHEMA)).unwrap(), patterns: RefCell::default() }
    }

    fn is_match(&self, pattern: &str, text: &str) -> bool {
        let mut patterns = self.patterns.borrow_mut();
        patterns.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).unwrap()).is_match(text)
    }

    fn fits(&self, value: &Value) -> bool {
        self.problem(&self.root, value, "").is_none()
    }

    /// Where a value does not fit, and the keyword that says so.
    fn problem(&self, schema: &Value, value: &Value, path: &str) -> Option<String> {
        let Value::Object(keywords) = schema else {
            return (schema == &Value::Bool(false)).then(|| format!("{path}: nothing may be here"));
        };
        keywords.iter().find_map(|(keyword, rule)| {
            let fits = match keyword.as_str() {
                "$schema" | "$id" | "$defs" | "title" | "description" => true,
                "$ref" => {
                    let name = rule.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                    return self.problem(&self.root["$defs"][name], value, path);
                }
                "type" => match rule.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "integer" => value.is_u64() || value.is_i64(),
                    other => panic!("type {other}"),
                },
                "const" => value == rule,
                "enum" => rule.as_array().unwrap().contains(value),
                "pattern" => value.as_str().is_none_or(|text| self.is_match(rule.as_str().unwrap(), text)),
                "minimum" => value.as_i64().is_none_or(|number| number >= rule.as_i64().unwrap()),
                "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= rule.as_u64().unwrap()),
                "maxItems" => value.as_array().is_none_or(|items| items.len() as u64 <= rule.as_u64().unwrap()),
                "required" => value.as_object().is_none_or(|object| {
                    rule.as_array().unwrap().iter().all(|name| object.contains_key(name.as_str().unwrap()))
                }),
                "additionalProperties" => value.as_object().is_none_or(|object| {
                    assert_eq!(rule, &Value::Bool(false));
                    object.keys().all(|name| keywords["properties"].get(name).is_some())
                }),
                "properties" => {
                    let rules = rule.as_object().unwrap().iter();
                    let problem = rules.filter_map(|(name, rule)| Some((name, rule, value.get(name)?)));
                    return problem
                        .map(|(name, rule, inner)| self.problem(rule, inner, &format!("{path}/{name}")))
                        .find_map(|problem| problem);
                }
                "items" => {
                    let items = value.as_array().into_iter().flatten().enumerate();
                    return items
                        .map(|(i, item)| self.problem(rule, item, &format!("{path}/{i}")))
                        .find_map(|problem| problem);
                }
                "oneOf" => {
                    let choices = rule.as_array().unwrap().iter();
                    choices.filter(|choice| self.problem(choice, value, path).is_none()).count() == 1
                }
                other => panic!("the schema uses {other}, which this test does not know"),
            };
            (!fits).then(|| format!("{path}: {keyword}"))
        })
    }
}

/// Every object in a value, by its JSON pointer.
fn objects(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.push(path.to_owned());
            fields.iter().for_each(|(name, inner)| objects(inner, &format!("{path}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, inner)| objects(inner, &format!("{path}/{i}"), found));
        }
        _ => {}
    }
}

both_databases! {
    async fn receipts_of_every_kind_fit_the_schema_and_what_is_changed_does_not(house: House) {
        let validator = Validator::read();
        // Fields that may be left out.
        let optional = ["shopId", "eventId", "customer", "orders", "ground", "id", "dataMap", "plan", "manifest", "uncountedStores",
            "madeUpTo"];
        let (mut added, mut removed) = (0, 0);
        for envelope in house.one_receipt_of_each_ending().await {
            let receipt: Value = serde_json::from_slice(&payload(&envelope)).unwrap();
            assert_eq!(validator.problem(&validator.root, &receipt, ""), None, "{receipt:#}");
            let mut paths = Vec::new();
            objects(&receipt, "", &mut paths);
            for path in paths {
                let mut more = receipt.clone();
                more.pointer_mut(&path).unwrap()["email"] = "jane@example.com".into();
                assert!(!validator.fits(&more), "one more field in {path}");
                added += 1;
                let names: Vec<String> = receipt.pointer(&path).unwrap().as_object().unwrap().keys().cloned().collect();
                for name in names.iter().filter(|name| !optional.contains(&name.as_str())) {
                    let mut less = receipt.clone();
                    less.pointer_mut(&path).unwrap().as_object_mut().unwrap().remove(name);
                    assert!(!validator.fits(&less), "{path} without {name}");
                    let mut other = receipt.clone();
                    other.pointer_mut(&path).unwrap()[name] = Value::Null;
                    assert!(!validator.fits(&other), "{path} with another kind of {name}");
                    removed += 1;
                }
            }
        }
        assert!(added > 50 && removed > 200, "{added} {removed}");
    }
}

/// The texts that the schema allows there.
fn allowed(validator: &Validator, path: &str) -> Vec<String> {
    serde_json::from_value(validator.root.pointer(path).unwrap_or_else(|| panic!("no {path}")).clone()).unwrap()
}

#[test]
fn the_schema_and_the_page_know_every_source_that_a_receipt_may_name() {
    let (validator, signer) = (Validator::read(), signer());
    let at = efface::clock::Clock::system().now();
    for source in Source::ALL {
        let duty = duty(*source, "ada.example", at);
        let receipt = signer.sign(&duty, Ending::NotExecuted, Policy::default(), Vec::new(), at).unwrap();
        let receipt: Value = serde_json::from_slice(&payload(&receipt.envelope)).unwrap();
        assert_eq!(validator.problem(&validator.root, &receipt, ""), None, "{source}");
    }
    let page = text::read("docs/receipt-format.md");
    let line = page.lines().find(|line| line.starts_with("| `request.provider`, `source`")).unwrap();
    for source in Source::ALL {
        assert!(line.contains(&format!("`{source}`")), "{source}");
    }
}

#[test]
fn the_schema_lists_what_the_enums_list() {
    let validator = Validator::read();
    let texts = |all: &[&'static str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let request = "/$defs/request/properties";
    let sources: Vec<_> = Source::ALL.iter().map(|source| source.as_str()).collect();
    assert_eq!(allowed(&validator, &format!("{request}/source/enum")), texts(&sources));
    let types: Vec<_> = JobType::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(allowed(&validator, &format!("{request}/jobType/enum")), texts(&types));
    let duties: Vec<_> = Topic::ALL.iter().filter(|topic| topic.is_duty()).map(|topic| topic.as_str()).collect();
    assert_eq!(allowed(&validator, &format!("{request}/topic/enum")), texts(&duties));
    let outcomes: Vec<_> = Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
    assert_eq!(allowed(&validator, "/properties/predicate/properties/outcome/enum"), texts(&outcomes));
}
