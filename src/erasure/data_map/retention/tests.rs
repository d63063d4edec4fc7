use std::collections::BTreeMap;

use super::super::{DataMap, Draft, Problems};
use super::*;

fn map(rules: &str) -> Result<DataMap, Problems> {
    draft(rules)?.whole()
}

fn draft(rules: &str) -> Result<Draft, Problems> {
    Draft::read(&format!(
        r#"version = 1
        [shop]
        table = "Shop"
        id = "id"
        domain = "domain"
        retention_days = "days"
        result_key = "deletedShops"
        [[table]]
        name = "QuoteLine"
        shop = {{ column = "shopId", holds = "shop_id" }}
        customers_redact = "keep"
        shop_redact = "delete"
        result_key = "deletedQuotes"
        {rules}"#
    ))
}

fn rule(rules: &str) -> Rule {
    map(rules).unwrap().default_store().tables[0].retention[0].clone()
}

fn problems(rules: &str) -> String {
    map(rules).unwrap_err().to_string()
}

const BY_CLASS: &str = r#"retention = { policy = "by_class", since = "createdAt", class = "visibility",
    classes = { network = "never", org = 730, private = 365 }, days_min = 90 }"#;

#[test]
fn a_shop_chooses_among_five_periods_and_never() {
    for days in SHOP_DAYS {
        assert_eq!(Period::of_shop(days.into()), Some(Period::Days(days)));
    }
    assert_eq!(Period::of_shop(0), Some(Period::Never));
    for days in [-1, 1, 29, 31, 45, 89, 91, 364, 366, 730, i64::MAX, i64::MIN] {
        assert_eq!(Period::of_shop(days), None, "{days}");
    }
}

#[test]
fn floors_and_ceilings_hold() {
    let days = Period::Days;
    assert_eq!(days(30).within(Some(60), None), days(60));
    assert_eq!(days(365).within(None, Some(90)), days(90));
    assert_eq!(days(90).within(Some(90), Some(90)), days(90));
    assert_eq!(Period::Never.within(Some(60), None), Period::Never);
    assert_eq!(Period::Never.within(None, Some(365)), days(365));
}

#[test]
fn each_policy_reads() {
    let since = Ident::parse("createdAt").unwrap();
    let read = rule(r#"retention = { policy = "by_shop", since = "createdAt" }"#);
    assert_eq!((read.name.as_str(), &read.policy), ("quote_line", &Policy::ByShop { since: since.clone() }));
    let read = rule(r#"retention = { policy = "fixed", since = "createdAt", days = 30, name = "quotes" }"#);
    assert_eq!((read.name.as_str(), &read.policy), ("quotes", &Policy::Fixed { since, days: 30 }));
    let read = rule(r#"retention = { policy = "after", event = "completedAt", days = 30 }"#);
    assert_eq!(read.sentence(), "30 days after completedAt");
    let read = rule(BY_CLASS);
    let Policy::ByClass { periods, .. } = &read.policy else { panic!("{read:?}") };
    assert_eq!(periods["network"], Period::Never);
    assert_eq!(periods["org"], Period::Days(730));
    let read = rule(r#"retention = { policy = "never", because = "invoices" }"#);
    assert_eq!(read.sentence(), "never: invoices");
}

#[test]
fn rules_that_make_no_sense_cannot_be_built() {
    for (rules, expected) in [
        (r#"retention = { policy = "fixed", since = "a", days = 0 }"#, "1 to 36500"),
        (r#"retention = { policy = "fixed", since = "a" }"#, "lacks `days`"),
        (r#"retention = { policy = "fixed", since = "a;", days = 3 }"#, "not a plain name"),
        (r#"retention = { policy = "by_shop" }"#, "lacks `since`"),
        (r#"retention = { policy = "by_shop", since = "a", days = 3 }"#, "`days` does not go with"),
        (r#"retention = { policy = "never", because = " " }"#, "says nothing"),
        (r#"retention = { policy = "never" }"#, "lacks `because`"),
        (r#"retention = { policy = "never", because = "x", days_max = 9 }"#, "outside its own"),
        (r#"retention = { policy = "after", event = "a", days = 3, days_min = 5 }"#, "outside its own"),
        (r#"retention = { policy = "after", event = "a", days = 3, days_min = 5, days_max = 4 }"#, "above days_max"),
        (r#"retention = { policy = "by_class", since = "a", class = "b" }"#, "lacks `classes`"),
        (r#"retention = { policy = "by_class", since = "a", class = "b", classes = { x = "forever" } }"#, "never"),
        (r#"retention = { policy = "by_class", since = "a", class = "b", classes = { x = -1 } }"#, "days"),
        (r#"retention = { policy = "fixed", since = "a", days = 3, name = "Q" }"#, "small letters"),
        (
            r#"retention = [{ policy = "fixed", since = "a", days = 3 }, { policy = "fixed", since = "b", days = 3 }]"#,
            "another rule is named quote_line",
        ),
        (
            r#"retention = [{ policy = "fixed", since = "a", days = 3 }, { policy = "never", because = "b", name = "n" }]"#,
            "another rule that purges",
        ),
    ] {
        let found = problems(rules);
        assert!(found.contains(expected), "{rules}: {expected} is missing in {found}");
    }
}

#[test]
fn the_configuration_changes_periods_and_cannot_shorten_what_a_floor_protects() {
    let with = |key: &str, period| {
        draft(BY_CLASS).unwrap().with_retention(&BTreeMap::from([(key.to_owned(), period)])).whole()
    };
    let changed = with("quote_line.ORG", Period::Days(100)).unwrap();
    let Policy::ByClass { periods, .. } = &changed.default_store().tables[0].retention[0].policy else { panic!() };
    assert_eq!(periods["org"], Period::Days(100));
    for (key, period, expected) in [
        ("quote_line.org", Period::Days(89), "outside"),
        ("quote_line.team", Period::Days(100), "no class team"),
        ("quote_line", Period::Days(100), "name of a class"),
        ("quotes", Period::Days(100), "no retention rule"),
    ] {
        let found = with(key, period).unwrap_err().to_string();
        assert!(found.contains(expected), "{key}: {found}");
    }
}

#[test]
fn the_reference_map_keeps_what_the_contract_says() {
    let map = DataMap::reference();
    let rules: Vec<(String, String)> = map
        .tables()
        .flat_map(|table| table.retention.iter().map(|rule| (rule.name.clone(), rule.sentence())))
        .collect();
    let by_shop = "as its shop chose, from createdAt";
    let expected = [
        ("conversion_log", by_shop),
        ("conversion_job", "30 days after completedAt"),
        ("conversion_job_by_shop", by_shop),
        ("pixel_event_receipt", by_shop),
        ("survey_response", by_shop),
        ("reconciliation_report", by_shop),
    ];
    assert_eq!(rules, expected.map(|(name, told)| (name.to_owned(), told.to_owned())));
}
