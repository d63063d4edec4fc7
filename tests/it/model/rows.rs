//! What a case's tables hold: few people, orders and shops, so that rows of one shop look like those of another, in all
//! the spellings there are.

use serde_json::{Map, Value as Json, json};

use super::random::Random;
use super::schema::{By, Form, Holds, Kind, Value};
use super::words::{BALLAST, ORDERS, PEOPLE, SHOPS, customer_text, id, subject_text};

/// Whom a row is about: its ways agree on that more often than not.
#[derive(Clone, Copy)]
pub struct About {
    pub person: usize,
    pub order: usize,
}

impl About {
    pub fn somebody(random: &mut Random) -> Self {
        Self { person: random.below(PEOPLE.len()), order: random.below(ORDERS.len()) }
    }

    fn or_somebody(self, random: &mut Random) -> Self {
        if random.percent(85) { self } else { Self::somebody(random) }
    }
}

/// A value of a column that a way looks at.
pub fn of_way(random: &mut Random, kind: Kind, declared: &str, by: By, form: Form, about: About) -> Value {
    let one = |random: &mut Random| {
        let about = about.or_somebody(random);
        let order = ORDERS[about.order];
        let number = if by == By::Order { order } else { PEOPLE[about.person].id };
        let number = i64::try_from(number).unwrap();
        // Columns of four bytes hold no larger ones.
        let number = if declared == "integer" { number % 100_000 } else { number };
        (number, subject_text(random, by, form, about.person, order))
    };
    let some = |random: &mut Random| random.below(4);
    match kind {
        Kind::Int => Value::Int(one(random).0),
        Kind::Text => Value::Text(one(random).1),
        Kind::Ints => {
            let n = some(random);
            Value::Ints((0..n).map(|_| random.percent(85).then(|| one(random).0)).collect())
        }
        Kind::Texts => {
            let n = some(random);
            Value::Texts((0..n).map(|_| random.percent(85).then(|| one(random).1)).collect())
        }
        _ => unreachable!("ways look at numbers, texts, arrays and documents"),
    }
}

/// A document with everything that paths may ask for, and sometimes without it, or of another shape.
pub fn document(random: &mut Random, about: About) -> Json {
    let mut top = Map::new();
    let about = about.or_somebody(random);
    if random.percent(80) {
        let mut customer = Map::new();
        if random.percent(80) {
            customer.insert("id".to_owned(), id(random, PEOPLE[about.person].id, "Customer").json());
        }
        for (field, by) in [("email", By::Email), ("phone", By::Phone)] {
            if random.percent(75) {
                customer.insert(field.to_owned(), subject_text(random, by, Form::Plain, about.person, 0).into());
            }
        }
        top.insert("customer".to_owned(), customer.into());
    }
    if random.percent(60) {
        let orders: Vec<Json> = (0..random.below(3)).map(|_| order(random, about)).collect();
        top.insert("orders".to_owned(), orders.into());
    }
    if random.percent(30) {
        let ids: Vec<Json> = (0..random.below(3)).map(|_| order_id(random, about)).collect();
        top.insert("ids".to_owned(), ids.into());
    }
    if random.percent(30) {
        top.insert("order-id".to_owned(), order_id(random, about));
    }
    if random.percent(30) {
        let from = subject_text(random, By::Email, Form::Plain, about.person, 0);
        top.insert("Select".to_owned(), json!({ "from": from, "From": from }));
    }
    top.insert("note".to_owned(), random.pick(&BALLAST).into());
    top.insert("total".to_owned(), json!([19.99, true, null, {}]));
    if random.percent(15) {
        let (field, shape) = random.pick(&[
            ("customer", json!([{ "id": PEOPLE[about.person].id, "email": PEOPLE[about.person].email }])),
            ("customer", json!(PEOPLE[about.person].email)),
            ("customer", json!(null)),
            ("orders", json!({ "id": ORDERS[about.order], "x": { "id": ORDERS[about.order] } })),
            ("ids", json!(ORDERS[about.order])),
            ("ids", json!([[ORDERS[about.order]], {}, null, false, true, 1.0])),
            ("order-id", json!(true)),
            (
                "customer",
                json!(json!({ "id": PEOPLE[about.person].id, "email": PEOPLE[about.person].email }).to_string()),
            ),
            ("orders", json!([json!({ "id": ORDERS[about.order] }).to_string()])),
            ("order-id", json!([ORDERS[about.order]])),
            ("Select", json!([{ "from": PEOPLE[about.person].email }])),
        ]);
        top.insert(field.to_owned(), shape);
    }
    match random.below(30) {
        0 => json!([]),
        1 => json!(PEOPLE[about.person].email),
        2 => json!(null),
        _ => top.into(),
    }
}

fn order_id(random: &mut Random, about: About) -> Json {
    let about = about.or_somebody(random);
    id(random, ORDERS[about.order], "Order").json()
}

fn order(random: &mut Random, about: About) -> Json {
    let line = |random: &mut Random| {
        let about = about.or_somebody(random);
        let mut line = Map::new();
        if random.percent(50) {
            line.insert("to".to_owned(), subject_text(random, By::Email, Form::Plain, about.person, 0).into());
        }
        if random.percent(50) {
            line.insert("buyer".to_owned(), customer_text(random, PEOPLE[about.person].id).into());
        }
        Json::from(line)
    };
    let lines: Vec<Json> = (0..random.below(3)).map(|_| line(random)).collect();
    json!({ "id": order_id(random, about), "lines": lines })
}

/// What a column that says the shop holds for one.
pub fn of_shop(holds: Holds, kind: Kind, shop: usize) -> Value {
    let shop = &SHOPS[shop];
    match (holds, kind) {
        (Holds::Id, Kind::Int) => Value::Int(shop.keys.0),
        (Holds::Id, _) => Value::Text(shop.keys.1.to_owned()),
        (Holds::Domain, _) => Value::Text(shop.domain.to_owned()),
        (Holds::Number, Kind::Int) => Value::Int(i64::try_from(shop.number).unwrap()),
        (Holds::Number, _) => Value::Text(shop.number.to_string()),
    }
}

/// A shop column's value that is no shop.
pub fn of_no_shop(random: &mut Random, kind: Kind) -> Value {
    match kind {
        Kind::Int => Value::Int(-1),
        _ => {
            Value::Text(random.pick(&["", "0", "ADA.myshopify.com", "ada.myshopify.com ", "myshopify.com"]).to_owned())
        }
    }
}

/// A value that is nobody's business.
pub fn ballast(random: &mut Random, kind: Kind) -> Value {
    match kind {
        Kind::Int => Value::Int(random.pick(&[0, -1, 1001, i64::MAX, i64::MIN])),
        Kind::Bytes => Value::Bytes(random.pick(&[vec![], vec![0, 255, 39, 92], b"ann@example.com".to_vec()])),
        Kind::Bool => Value::Bool(random.percent(50)),
        Kind::Json => Value::Json(json!({ "b": 1, "a": [1.50, "x"] })),
        _ => {
            let about = About::somebody(random);
            let by = random.pick(&[By::Email, By::Phone, By::Order]);
            let told = subject_text(random, by, Form::Plain, about.person, ORDERS[about.order]);
            Value::Text(if random.percent(50) { told } else { random.pick(&BALLAST).to_owned() })
        }
    }
}
