//! The oracle itself, held against cases that a person worked out, and the generator against what it promises.

use std::collections::BTreeSet;

use serde_json::json;

use super::generator;
use super::map_file::{dotted, toml};
use super::oracle::{self, REDACTED, expect, normal_email, normal_phone};
use super::schema::{
    Action, By, Case, Column, Dialect, Form, Holds, Hop, Id, Job, Kind, Mapped, Mask, Row, ShopWay, Shops, StoreSpec,
    Table, Topic, Value, Way, With,
};

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn table(columns: &[(&str, Kind)], rows: Vec<Vec<Value>>, map: Option<Mapped>) -> Table {
    let column = |(name, kind): &(&str, Kind)| Column {
        name: (*name).to_owned(),
        kind: *kind,
        declared: "TEXT",
        not_null: false,
        gone: false,
    };
    let row = |(no, cells): (usize, Vec<Value>)| Row { no: i64::try_from(no).unwrap(), cells };
    Table {
        store: 0,
        name: "T".to_owned(),
        columns: columns.iter().map(column).collect(),
        key: vec![],
        unique: Some(0),
        foreign: vec![],
        partitioned: false,
        rows: rows.into_iter().enumerate().map(row).collect(),
        map,
        gone: false,
    }
}

fn map(via: Vec<Hop>, shop: ShopWay, ways: Vec<Way>, customers: Action) -> Mapped {
    let (masks, export, excluded) = (vec![], vec![], vec![]);
    Mapped {
        via,
        shop,
        ways,
        customers,
        whole: Action::Delete,
        masks,
        order: None,
        export,
        excluded,
        key: "Rows".to_owned(),
    }
}

fn way(column: usize, by: By) -> Way {
    Way { column, at: 0, by, form: Form::Plain, path: None }
}

/// Two shops, and one table of orders with the columns id, shop, order, email, document.
fn orders(customers: Action, ways: Vec<Way>, rows: Vec<Vec<Value>>) -> Case {
    let shops = table(
        &[("id", Kind::Int), ("domain", Kind::Text)],
        vec![vec![Value::Int(1), text("ada.myshopify.com")], vec![Value::Int(11), text("bea.myshopify.com")]],
        None,
    );
    let columns = [
        ("id", Kind::Int),
        ("shop", Kind::Int),
        ("order", Kind::Text),
        ("email", Kind::Text),
        ("document", Kind::Json),
    ];
    let shop = ShopWay { column: 1, holds: Holds::Id, at: 0 };
    let orders = table(&columns, rows, Some(map(vec![], shop, ways, customers)));
    Case {
        seed: 0,
        stores: vec![StoreSpec {
            name: "default",
            dialect: Dialect::Sqlite,
            shops: Some(Shops { table: 0, id: 0, domain: 1, number: None, life: None, keep_row: false }),
        }],
        tables: vec![shops, orders],
        file_order: vec![1],
        jobs: vec![],
        together: false,
        small_steps: false,
    }
}

fn order_row(shop: i64, order: &str, email: &str) -> Vec<Value> {
    vec![Value::Int(0), Value::Int(shop), text(order), text(email), Value::Null]
}

fn job(topic: Topic) -> Job {
    Job { topic, shop: 0, numbered: true, customer: None, email: None, phone: None, orders: vec![] }
}

fn deleted(case: &Case, job: &Job) -> Vec<i64> {
    expect(case, job).deleted.iter().filter(|(table, _)| *table == 1).map(|(_, no)| *no).collect()
}

#[test]
fn orders_are_found_in_both_forms_and_in_their_own_shop_only() {
    let rows = ["1001", "gid://shopify/Order/1001", "gid://shopify/Customer/1001", "01001", "10010", "#1001"];
    let mut rows: Vec<_> = rows.iter().map(|order| order_row(1, order, "")).collect();
    rows.push(order_row(11, "1001", ""));
    let case = orders(Action::Delete, vec![way(2, By::Order)], rows);
    for given in [Id::Number(1001), Id::Text("1001".into()), Id::Text("gid://shopify/Order/1001".into())] {
        assert_eq!(deleted(&case, &Job { orders: vec![given], ..job(Topic::CustomersRedact) }), [0, 1]);
    }
    assert_eq!(deleted(&case, &Job { orders: vec![Id::Text("#1001".into())], ..job(Topic::CustomersRedact) }), [5]);
    assert_eq!(
        deleted(&case, &Job { orders: vec![Id::Number(1001)], shop: 3, ..job(Topic::CustomersRedact) }),
        [0_i64; 0]
    );
    assert_eq!(deleted(&case, &job(Topic::ShopRedact)), [0, 1, 2, 3, 4, 5]);
    assert_eq!(expect(&case, &job(Topic::ShopRedact)).figures["deletedShops"], 1);
}

#[test]
fn a_row_matches_when_any_way_does() {
    let rows = vec![order_row(1, "7", "x@example.com"), order_row(1, "8", " Ann@Example.COM "), order_row(1, "9", "")];
    let case = orders(Action::Delete, vec![way(2, By::Order), way(3, By::Email)], rows);
    let asked =
        Job { orders: vec![Id::Number(7)], email: Some("ANN@example.com".into()), ..job(Topic::CustomersRedact) };
    assert_eq!(deleted(&case, &asked), [0, 1]);
    assert_eq!(expect(&case, &asked).figures["deletedRows"], 2);
}

#[test]
fn documents_are_walked_and_what_has_another_shape_is_passed_over() {
    let path: super::schema::Path = &["orders", "[*]", "id"];
    let documents = [
        json!({"orders": [{"id": 5}, {"id": "gid://shopify/Order/1001"}]}),
        json!({"orders": {"id": 1001}}),
        json!({"orders": [[{"id": 1001}]]}),
        json!([1001]),
    ];
    let row = |document: &serde_json::Value| {
        vec![Value::Int(0), Value::Int(1), Value::Null, Value::Null, Value::Json(document.clone())]
    };
    let case = orders(
        Action::Delete,
        vec![Way { path: Some(path), ..way(4, By::Order) }],
        documents.iter().map(row).collect(),
    );
    assert_eq!(deleted(&case, &Job { orders: vec![Id::Number(1001)], ..job(Topic::CustomersRedact) }), [0]);
    assert_eq!(dotted(path), "orders[*].id");
}

#[test]
fn hashes_are_those_of_the_normal_form() {
    // From `printf 'ann@example.com' | sha256sum` and `openssl dgst -sha256 -hmac`.
    assert_eq!(
        super::words::in_form(Form::Sha256, "ann@example.com"),
        "71d4f55f72fa128dfb468a1a3901507c804b74316488744d769d7f4b16696476"
    );
    assert_eq!(
        super::words::in_form(Form::HmacSha256, "ann@example.com"),
        "8136530878705770efd15bf39db3ed38b047070d2b555969f090633196a3d2a1"
    );
    assert_eq!(normal_email(" ÄnN@Example.com  ").as_deref(), Some("Änn@example.com"));
    assert_eq!(normal_phone("00 49 (30) 12").as_deref(), Some("493012"));
    assert_eq!((normal_email("  "), normal_phone("+")), (None, None));
}

#[test]
fn a_row_whose_way_to_the_shop_is_broken_is_nobodys() {
    let mut case = orders(Action::Delete, vec![way(2, By::Order)], vec![order_row(1, "7", "")]);
    case.tables[1].rows[0].cells[0] = Value::Int(70);
    let hop = Hop { column: 0, to: 1, key: 0 };
    let shop = ShopWay { column: 1, holds: Holds::Id, at: 1 };
    let items = map(vec![hop], shop, vec![Way { at: 1, ..way(2, By::Order) }], Action::Delete);
    let rows = vec![vec![Value::Int(70)], vec![Value::Null], vec![Value::Int(71)]];
    case.tables.push(table(&[("orderId", Kind::Int)], rows, Some(items)));
    let expected = expect(&case, &Job { orders: vec![Id::Number(7)], ..job(Topic::CustomersRedact) });
    assert_eq!(expected.deleted, BTreeSet::from([(1, 0), (2, 0)]));
    assert_eq!(expect(&case, &job(Topic::ShopRedact)).deleted, BTreeSet::from([(0, 0), (1, 0), (2, 0)]));
}

#[test]
fn masks_change_their_columns_once() {
    let mut case = orders(
        Action::Mask,
        vec![way(2, By::Order)],
        vec![order_row(1, "7", "ann@example.com"), order_row(1, "7", "")],
    );
    case.tables[1].rows[0].cells[4] = Value::Json(json!({"note": "call Ann", "total": 3}));
    case.tables[1].map.as_mut().unwrap().masks = vec![
        Mask { column: 3, path: None, with: With::Redact },
        Mask { column: 4, path: Some(&["note"]), with: With::Remove },
    ];
    let asked = Job { orders: vec![Id::Number(7)], ..job(Topic::CustomersRedact) };
    let expected = expect(&case, &asked);
    assert_eq!(expected.masked.len(), 1, "an empty text holds nothing to mask");
    let columns = &expected.masked[&(1, 0)];
    assert_eq!((&columns[&3], &columns[&4]), (&text(REDACTED), &Value::Json(json!({"total": 3}))));
    assert_eq!((expected.figures["maskedRows"], expected.figures.get("deletedRows")), (1, None));
    oracle::apply(&mut case, &expected);
    assert_eq!(expect(&case, &asked).masked.len(), 0, "what is masked is not masked again");
}

#[test]
fn a_seed_is_always_the_same_case_and_cases_cover_what_they_must() {
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let cases: Vec<Case> = (0..300).map(|seed| generator::case(seed, dialect)).collect();
        assert_eq!(format!("{:?}", cases[299]), format!("{:?}", generator::case(299, dialect)));
        let files: String = cases.iter().map(|case| toml(case, 1)).collect();
        for said in [
            "via = [ { column",
            "}, { column",
            "holds = \"shop_id\"",
            "holds = \"shop_domain\"",
            "holds = \"shop_number\"",
            "at = \"",
            "by = \"order_id\"",
            "by = \"customer_id\"",
            "by = \"email\"",
            "by = \"phone\"",
            "as = \"sha256\"",
            "as = \"hmac_sha256\"",
            "json = \"orders[*].id\"",
            "customers_redact = \"delete\"",
            "customers_redact = \"mask\"",
            "customers_redact = \"keep\"",
            "shop_redact = \"delete\"",
            "shop_redact = \"mask\"",
            "shop_redact = \"keep\"",
            "with = \"redact\"",
            "with = \"hash\"",
            "with = \"encrypt\"",
            "with = \"remove\"",
            "store = \"second\"",
            "[stores.second.shop]",
            "keep_row = true",
            "order = 90",
            "ground = ",
            "export = ",
            "exclude = ",
        ] {
            assert!(files.contains(said), "{dialect:?}: no case says {said}");
        }
        assert_eq!(files.contains("array = true"), dialect == Dialect::Postgres);
        let busy =
            cases.iter().filter(|case| case.jobs.iter().any(|job| !expect(case, job).figures.is_empty())).count();
        assert!(busy > 200, "only {busy} of 300 cases have anything to do");
    }
}
