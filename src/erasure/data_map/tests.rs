use std::collections::BTreeSet;

use sea_orm::DbBackend;

use super::*;
use crate::store::target::{Catalog, CatalogColumn, ForeignKey};

fn column(table: &str, column: &str, data_type: &str) -> CatalogColumn {
    CatalogColumn {
        table: table.into(),
        column: column.into(),
        data_type: data_type.into(),
        nullable: false,
        key_place: 0,
    }
}

fn catalog(columns: &[(&str, &str, &str)]) -> Catalog {
    Catalog {
        backend: DbBackend::Postgres,
        columns: columns.iter().map(|(t, c, d)| column(t, c, d)).collect(),
        foreign_keys: Vec::new(),
        without_row_id: BTreeSet::new(),
    }
}

fn problems_of(map: &str) -> String {
    DataMap::parse(map).unwrap_err().to_string()
}

#[test]
fn the_compiled_in_map_parses_and_names_the_contracts_result_keys() {
    let map = DataMap::reference();
    let store = map.default_store();
    let keys: Vec<&str> = store.touched(false).map(|table| table.result_key.as_str()).collect();
    assert_eq!(
        keys,
        ["deletedConversionLogs", "deletedConversionJobs", "deletedPixelReceipts", "deletedSurveyResponses"]
    );
    assert_eq!(store.touched(true).count(), 5);
    assert_eq!(store.shop.as_ref().unwrap().result_key, "deletedShops");
    assert!(!map.needs_personal_identifiers());
}

#[test]
fn all_problems_of_a_map_are_told_at_once() {
    let map = r#"
        version = 1
        [shop]
        table = "Shop"
        id = "i d"
        domain = "shopDomain"
        result_key = "deletedShops"
        [[table]]
        name = "gdprjob"
        shop = { column = "shopId", holds = "shop_id" }
        customers_redact = "keep"
        shop_redact = "delete"
        result_key = "deletedJobs"
        [[table]]
        name = "Orders"
        customers_redact = "delete"
        shop_redact = "delete"
        result_key = "deletedShops"
        [[table]]
        name = "Customer"
        store = "crm"
        via = [ { column = "orderId", to = "Orders", key = "id" } ]
        shop = { column = "shopId", holds = "shop_domain", at = "Elsewhere" }
        match = [ { column = "mail", by = "email", as = "hmac_sha256" }, { column = "doc", json = "a..b", by = "phone" } ]
        customers_redact = "mask"
        shop_redact = "keep"
        result_key = "deletedCustomers"
    "#;
    let problems = problems_of(map);
    for expected in [
        "shop.id",
        "\"gdprjob\" is one of Efface's own tables",
        "table \"Orders\": lacks `shop`",
        "table \"Orders\": deletes for customers/redact, but has no `match`",
        "table \"Customer\": its store \"crm\" is not declared",
        "table \"Customer\".shop.at: is none of the tables of `via`",
        "hmac_sha256 needs the name of its key",
        "\"a..b\" is not a path",
        "table \"Customer\": masks, but `mask` names no column",
    ] {
        assert!(problems.contains(expected), "{expected} is missing in:\n{problems}");
    }
}

#[test]
fn a_key_that_the_map_does_not_know_is_named() {
    let map = "version = 1\n[[table]]\nname = \"A\"\nmatch = { column = \"x\", by = \"email\", at_all = 1 }\n";
    assert!(problems_of(map).contains("at_all"), "{}", problems_of(map));
}

#[test]
fn a_match_key_that_nobody_gave_is_a_problem() {
    let toml = r#"
        version = 1
        [[table]]
        name = "A"
        shop = { column = "domain", holds = "shop_domain" }
        match = { column = "mac", by = "email", as = "hmac_sha256", key = "crm" }
        customers_redact = "delete"
        shop_redact = "delete"
        result_key = "deletedAs"
    "#;
    let problems = Draft::read(toml).unwrap().with_match_keys(BTreeMap::new()).whole().unwrap_err().to_string();
    assert!(problems.contains("data_map.match_keys.crm"), "{problems}");
    let keys = BTreeMap::from([("crm".to_owned(), Pii::new(b"secret".to_vec()))]);
    let map = Draft::read(toml).unwrap().with_match_keys(keys).whole().unwrap();
    assert_eq!(map.default_store().match_key("crm"), b"secret");
}

#[test]
fn a_map_is_held_against_the_live_schema() {
    let live =
        catalog(&[("Shop", "id", "text"), ("ConversionLog", "shopId", "text"), ("ConversionJob", "shopId", "bool")]);
    let problems = DataMap::reference().default_store().bind(&live).unwrap_err().to_string();
    for expected in [
        "table \"Shop\": the database has no column \"shopDomain\"",
        "table \"ConversionLog\": the database has no column \"orderId\"",
        "table \"SurveyResponse\": the database has no such table",
        "table \"ConversionJob\": \"shopId\" is bool; a shop cannot be found by it",
    ] {
        assert!(problems.contains(expected), "{expected} is missing in:\n{problems}");
    }
}

const FAMILY: &str = r#"
    version = 1
    [[table]]
    name = "Parent"
    shop = { column = "domain", holds = "shop_domain" }
    customers_redact = "keep"
    shop_redact = "delete"
    result_key = "deletedParents"
    [[table]]
    name = "Child"
    shop = { column = "domain", holds = "shop_domain" }
    customers_redact = "keep"
    shop_redact = "delete"
    result_key = "deletedChildren"
"#;

#[test]
fn children_are_worked_before_their_parents_and_circles_are_refused() {
    let mut live = catalog(&[("Parent", "domain", "text"), ("Child", "domain", "text"), ("Child", "parent", "int8")]);
    let refers = |table: &str, to: &str| ForeignKey { table: table.into(), column: "x".into(), to: to.into() };
    live.foreign_keys.push(refers("Child", "Parent"));
    let map = DataMap::parse(FAMILY).unwrap();
    let bound = map.default_store().bind(&live).unwrap();
    let names: Vec<&str> = bound.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["Child", "Parent"]);

    live.foreign_keys.push(refers("Parent", "Child"));
    let problems = map.default_store().bind(&live).unwrap_err().to_string();
    assert!(problems.contains("refer to each other in a circle"), "{problems}");
}
