//! What a job must come to: the data map's documentation once more, over plain rows, without a line of the code under
//! test.
//!
//! A row is a customer's when it is the shop's and *any* way of its table matches. Rows are judged as they stand when
//! the job begins; what is masked already is not masked again. A row whose way to its shop is broken (a null, a key
//! that no row has) is nobody's.

use std::collections::{BTreeMap, BTreeSet};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value as Json;
use sha2::Sha256;

use super::schema::{
    Action, By, Case, EACH, Form, Holds, Id, Job, Kind, Mapped, Mask, Path, Row, Shops, Topic, Value, Way, With,
};
use super::words::{SHOPS, in_form};

/// `data_map.match_keys.crm`.
pub const MATCH_KEY: &str = "5f2c7d0a9b1e4c3f8a6d5e4f3c2b1a09";
pub const REDACTED: &str = "***REDACTED***";

/// A row: places of its table, and its number.
pub type RowName = (usize, i64);

/// What a job must come to.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    pub deleted: BTreeSet<RowName>,
    /// The columns that are masked, with what they hold afterwards.
    pub masked: BTreeMap<RowName, BTreeMap<usize, Value>>,
    /// The result's figures; those that are absent are zero.
    pub figures: BTreeMap<String, u64>,
}

/// Spaces around it are cut off, ASCII letters become small.
pub fn normal_email(text: &str) -> Option<String> {
    let normal: String = text.trim_matches(' ').chars().map(|c| c.to_ascii_lowercase()).collect();
    if normal.is_empty() { None } else { Some(normal) }
}

/// Digits alone, without the `00` of an international call.
pub fn normal_phone(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let normal = digits.strip_prefix("00").unwrap_or(&digits).to_owned();
    if normal.is_empty() { None } else { Some(normal) }
}

pub fn hmac_sha256(normal: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(MATCH_KEY.as_bytes()).unwrap();
    mac.update(normal.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// An id without what is wrapped around it: a number, or some other text.
fn bare(id: &Id, kind: &str) -> Id {
    let Id::Text(text) = id else { return id.clone() };
    let plain = text.strip_prefix(&format!("gid://shopify/{kind}/")).unwrap_or(text);
    let digits = !plain.is_empty() && plain.bytes().all(|b| b.is_ascii_digit()) && !plain.starts_with('0');
    match plain.parse() {
        Ok(number) if digits => Id::Number(number),
        _ => id.clone(),
    }
}

fn is_id(value: &Value, id: &Id, kind: &str) -> bool {
    match (value, bare(id, kind)) {
        (Value::Int(stored), Id::Number(number)) => u64::try_from(*stored) == Ok(number),
        (Value::Text(stored), Id::Number(number)) => {
            *stored == number.to_string() || *stored == format!("gid://shopify/{kind}/{number}")
        }
        (Value::Text(stored), Id::Text(text)) => *stored == text,
        _ => false,
    }
}

fn is_contact(value: &Value, given: Option<&String>, form: Form, normal: fn(&str) -> Option<String>) -> bool {
    let (Value::Text(stored), Some(given)) = (value, given.and_then(|given| normal(given))) else { return false };
    match form {
        Form::Plain => normal(stored).as_ref() == Some(&given),
        hashed => *stored == in_form(hashed, &given),
    }
}

fn is_subject(value: &Value, way: &Way, job: &Job) -> bool {
    match way.by {
        By::Order => job.orders.iter().any(|order| is_id(value, order, "Order")),
        By::Customer => job.customer.iter().any(|customer| is_id(value, customer, "Customer")),
        By::Email => is_contact(value, job.email.as_ref(), way.form, normal_email),
        By::Phone => is_contact(value, job.phone.as_ref(), way.form, normal_phone),
    }
}

/// Everything that stands at a path of a document.
fn at_path<'a>(document: &'a Json, path: &[&str]) -> Vec<&'a Json> {
    match path {
        [] => vec![document],
        [EACH, rest @ ..] => document.as_array().into_iter().flatten().flat_map(|item| at_path(item, rest)).collect(),
        [field, rest @ ..] => document.as_object().and_then(|o| o.get(*field)).map_or(vec![], |v| at_path(v, rest)),
    }
}

fn scalar(json: &Json) -> Value {
    match json {
        Json::Number(number) => number.as_i64().map_or(Value::Null, Value::Int),
        Json::String(text) => Value::Text(text.clone()),
        _ => Value::Null,
    }
}

/// What a way looks at in a cell: the cell itself, its elements, or what its document holds at the path.
fn looked_at(cell: &Value, path: Option<Path>) -> Vec<Value> {
    match (cell, path) {
        (Value::Json(document), Some(path)) => at_path(document, path).into_iter().map(scalar).collect(),
        (_, Some(_)) => Vec::new(),
        (Value::Ints(list), None) => list.iter().map(|item| item.map_or(Value::Null, Value::Int)).collect(),
        (Value::Texts(list), None) => list.iter().map(|item| item.clone().map_or(Value::Null, Value::Text)).collect(),
        (cell, None) => vec![cell.clone()],
    }
}

/// The shop of a job, as one store knows it.
struct ShopKeys {
    row: Option<i64>,
    id: Option<Value>,
    domain: &'static str,
    number: Option<u64>,
}

fn shop_keys(case: &Case, shops: Option<&Shops>, job: &Job) -> ShopKeys {
    let shop = &SHOPS[job.shop];
    let domain = Value::Text(shop.domain.to_owned());
    let row = shops.and_then(|shops| {
        let row = case.tables[shops.table].rows.iter().find(|row| row.cells[shops.domain] == domain)?;
        Some((shops, row))
    });
    let in_row = row.and_then(|(shops, row)| match (&row.cells[shops.number?], shops.number) {
        (Value::Int(number), _) => u64::try_from(*number).ok(),
        (Value::Text(number), _) => number.parse().ok(),
        _ => None,
    });
    ShopKeys {
        row: row.map(|(_, row)| row.no),
        id: row.map(|(shops, row)| row.cells[shops.id].clone()),
        domain: shop.domain,
        number: if job.numbered { Some(shop.number) } else { in_row },
    }
}

fn is_shops(case: &Case, place: usize, map: &Mapped, row: &Row, keys: &ShopKeys) -> bool {
    let Some(row) = case.row_at(place, row, map.shop.at) else { return false };
    let stored = &row.cells[map.shop.column];
    match map.shop.holds {
        Holds::Id => *stored != Value::Null && keys.id.as_ref() == Some(stored),
        Holds::Domain => *stored == Value::Text(keys.domain.to_owned()),
        Holds::Number => keys.number.is_some_and(|number| match stored {
            Value::Int(stored) => u64::try_from(*stored) == Ok(number),
            Value::Text(stored) => *stored == number.to_string(),
            _ => false,
        }),
    }
}

fn matches(case: &Case, place: usize, map: &Mapped, row: &Row, job: &Job) -> bool {
    map.ways.iter().any(|way| {
        case.row_at(place, row, way.at).is_some_and(|row| {
            looked_at(&row.cells[way.column], way.path).iter().any(|value| is_subject(value, way, job))
        })
    })
}

fn masked_text(text: &str, with: With) -> Option<Value> {
    if text.is_empty() || (with == With::Redact && text == REDACTED) {
        return None;
    }
    Some(if with == With::Redact { Value::Text(REDACTED.to_owned()) } else { Value::Masked(with) })
}

/// Hashed and encrypted fields of a document start with this; the rest of them is not for the model to know.
pub fn mark(with: With) -> &'static str {
    match with {
        With::Redact => REDACTED,
        With::Hash => "hash:",
        With::Encrypt => "enc:",
        With::Remove => "",
    }
}

/// Whether anything in the document changed.
fn mask_document(document: &mut Json, path: &[&str], with: With) -> bool {
    match path {
        [] => false,
        [EACH, rest @ ..] => {
            let items = document.as_array_mut().into_iter().flatten();
            // Every item, also after the first that changed.
            items.filter_map(|item| mask_document(item, rest, with).then_some(())).count() > 0
        }
        [field] => {
            let Some(object) = document.as_object_mut() else { return false };
            match (object.get(*field), with) {
                (None | Some(Json::Null), _) => false,
                (Some(_), With::Remove) => object.remove(*field).is_some(),
                (Some(Json::String(text)), with) => {
                    let mark = mark(with);
                    let changes = !text.is_empty() && !text.starts_with(mark);
                    if changes {
                        object.insert((*field).to_owned(), mark.into());
                    }
                    changes
                }
                _ => false,
            }
        }
        [field, rest @ ..] => {
            document.as_object_mut().and_then(|o| o.get_mut(*field)).is_some_and(|v| mask_document(v, rest, with))
        }
    }
}

/// The columns that masks change in a row, with what they hold afterwards.
fn mask(row: &Row, masks: &[Mask]) -> BTreeMap<usize, Value> {
    let mut changed: BTreeMap<usize, Value> = BTreeMap::new();
    for mask in masks {
        let cell = changed.get(&mask.column).unwrap_or(&row.cells[mask.column]).clone();
        let after = match (cell, mask.path, mask.with) {
            (Value::Json(mut document), Some(path), with) => {
                mask_document(&mut document, path, with).then_some(Value::Json(document))
            }
            (Value::Null, ..) | (_, Some(_), _) => None,
            (_, None, With::Remove) => Some(Value::Null),
            (Value::Text(text), None, with) => masked_text(&text, with),
            _ => None,
        };
        if let Some(after) = after {
            changed.insert(mask.column, after);
        }
    }
    changed
}

/// What a job must come to, over the rows as they stand.
pub fn expect(case: &Case, job: &Job) -> Expected {
    let mut expected = Expected::default();
    for (place, table, map) in case.mapped() {
        let keys = shop_keys(case, case.stores[table.store].shops.as_ref(), job);
        let whole = job.topic == Topic::ShopRedact;
        let rows = table.rows.iter().filter(|row| is_shops(case, place, map, row, &keys));
        let rows: Vec<&Row> = rows.filter(|row| whole || matches(case, place, map, row, job)).collect();
        let mut count = |what: &str, n: usize| {
            if n > 0 {
                expected.figures.insert(format!("{what}{}", map.key), u64::try_from(n).unwrap());
            }
        };
        match (job.topic, if whole { map.whole } else { map.customers }) {
            (Topic::DataRequest, _) => {
                if !map.export.is_empty() {
                    count("exported", rows.len());
                }
            }
            (_, Action::Delete) => {
                count("deleted", rows.len());
                expected.deleted.extend(rows.iter().map(|row| (place, row.no)));
            }
            // Counted below.
            (_, Action::Keep) => {}
            (_, Action::Mask) => {
                let changed = rows.iter().map(|row| ((place, row.no), mask(row, &map.masks)));
                let changed: BTreeMap<_, _> = changed.filter(|(_, columns)| !columns.is_empty()).collect();
                count("masked", changed.len());
                expected.masked.extend(changed);
            }
        }
    }
    if job.topic != Topic::DataRequest {
        count_kept(case, job, &mut expected);
    }
    if job.topic == Topic::ShopRedact {
        for (place, store) in case.stores.iter().enumerate() {
            let Some(shops) = &store.shops else { continue };
            if let (Some(no), false) = (shop_keys(case, Some(shops), job).row, shops.keep_row) {
                expected.deleted.insert((shops.table, no));
                expected.figures.insert(shops_key(place), 1);
            }
        }
    }
    expected
}

/// Rows that are kept on a ground are those that are found after everything else is done: a row that could only be reached
/// over one that is gone by then is not among them.
fn count_kept(case: &Case, job: &Job, expected: &mut Expected) {
    let whole = job.topic == Topic::ShopRedact;
    let mut after = case.clone();
    apply(&mut after, expected);
    for (place, table, map) in case.mapped() {
        if map.ways.is_empty() || Action::Keep != if whole { map.whole } else { map.customers } {
            continue;
        }
        let keys = shop_keys(case, case.stores[table.store].shops.as_ref(), job);
        let rows = after.tables[place].rows.iter().filter(|row| is_shops(&after, place, map, row, &keys));
        let kept = rows.filter(|row| whole || matches(&after, place, map, row, job)).count();
        if kept > 0 {
            expected.figures.insert(format!("kept{}", map.key), u64::try_from(kept).unwrap());
        }
    }
}

/// The result key of a store's own shop rows.
pub fn shops_key(store: usize) -> String {
    format!("deletedShops{}", if store == 0 { String::new() } else { store.to_string() })
}

/// Does to the model's rows what a job must do.
pub fn apply(case: &mut Case, expected: &Expected) {
    for (place, table) in case.tables.iter_mut().enumerate() {
        table.rows.retain(|row| !expected.deleted.contains(&(place, row.no)));
        for row in &mut table.rows {
            for (column, value) in expected.masked.get(&(place, row.no)).into_iter().flatten() {
                row.cells[*column] = value.clone();
            }
        }
    }
}

/// Whether the case can be done at all: no job leaves a row whose foreign key points to one that the job deletes.
pub fn is_sound(case: &Case) -> bool {
    let mut case = case.clone();
    let holds = |case: &Case| {
        case.tables.iter().filter(|table| !table.gone).all(|table| {
            table.foreign.iter().all(|foreign| {
                let parents: Vec<&Value> =
                    case.tables[foreign.to].rows.iter().map(|row| &row.cells[foreign.key]).collect();
                let mut links = table.rows.iter().map(|row| &row.cells[foreign.column]);
                links.all(|link| *link == Value::Null || parents.contains(&link))
            })
        })
    };
    if !holds(&case) {
        return false;
    }
    for job in case.jobs.clone() {
        let expected = expect(&case, &job);
        apply(&mut case, &expected);
        if !holds(&case) {
            return false;
        }
    }
    true
}

/// Whether masks can be applied to what the column holds.
pub fn can_mask(kind: Kind, not_null: bool, with: With) -> bool {
    match with {
        With::Remove => !not_null,
        _ => kind == Kind::Text,
    }
}
