//! What one table holds, and how its rows are found.

use super::way;
use super::words::{self, Confidence, Lead, Personal, Written, lead};
use super::{HopGuess, MatchGuess, Remark, ShopGuess, ShopWay, TableGuess, Why, dates, is_structural};
use crate::store::catalog::sample::{Form, Samples};
use crate::store::catalog::{Catalog, Column, Family, Table};

/// Everything that can be guessed about a table. Without `shop` in it, the table cannot be mapped as it is.
pub(super) fn guess(catalog: &Catalog, samples: &Samples, shop: Option<&ShopGuess>, table: &Table) -> TableGuess {
    let own_shop = way::own(catalog, samples, shop, table);
    let own_matches = matches(catalog, samples, table, own_shop.as_ref());
    let wanted = (own_shop.is_none(), own_matches.is_empty());
    let route = route(catalog, samples, shop, table, wanted);
    let mut guess = TableGuess {
        name: table.name.clone(),
        rows: table.rows,
        via: Vec::new(),
        shop: own_shop,
        matches: own_matches,
        result_key: format!("deleted{}", words::pascal_plural(&table.name)),
        export: Vec::new(),
        personal: Vec::new(),
        exclude: Vec::new(),
        decide: Vec::new(),
        dates: dates::find(catalog.dialect, table, samples),
    };
    if let Some(route) = route {
        follow(&mut guess, route);
    }
    keyed_hashes(&mut guess, table);
    remarks(&mut guess, catalog, samples, table);
    if !guess.matches.is_empty() {
        guess.export = export(&guess, table);
    }
    guess
}

/// Hops, and what is found at their ends.
struct Route {
    via: Vec<HopGuess>,
    shop: Option<ShopWay>,
    matches: Vec<MatchGuess>,
}

/// The shortest chain of hops to a table that leads to customers, or at least to the shop when that is wanted.
///
/// All hops of a map are joined for every row: one that has no parent would not be found at all. So a table that has
/// both columns itself gets hops only where every row must have a parent.
fn route(
    catalog: &Catalog,
    samples: &Samples,
    shop: Option<&ShopGuess>,
    table: &Table,
    (shop_wanted, match_wanted): (bool, bool),
) -> Option<Route> {
    let (mut best, mut second_best): (Option<Route>, Option<Route>) = (None, None);
    for via in way::chains(catalog, table, shop.map(|shop| shop.table.as_str())) {
        let safe = |hops: &[HopGuess]| hops.iter().all(|hop| !hop.nullable && !hop.by_name);
        let extends = best.as_ref().map(|best| via.starts_with(&best.via) && safe(&via[best.via.len()..]));
        let wanted = shop_wanted || match_wanted;
        if !extends.unwrap_or(wanted || safe(&via)) {
            continue;
        }
        let (mut shop_way, mut found) = (None, Vec::new());
        for hop in &via {
            let Some(parent) = catalog.table(&hop.to) else { continue };
            let at = Some(parent.name.clone());
            let parents = way::own(catalog, samples, shop, parent);
            let of_parent = matches(catalog, samples, parent, parents.as_ref()).into_iter();
            found.extend(of_parent.map(|found| MatchGuess { at: at.clone(), ..found }));
            if shop_way.is_none() {
                shop_way = parents.map(|way| ShopWay { at, ..way });
            }
        }
        if shop_wanted && shop_way.is_none() {
            continue;
        }
        let route = Route { via, shop: shop_way.filter(|_| shop_wanted), matches: found };
        if route.matches.len() > best.as_ref().map_or(0, |best| best.matches.len()) {
            best = Some(route);
        } else if shop_wanted && second_best.is_none() {
            second_best = Some(route);
        }
    }
    best.or(second_best)
}

fn follow(guess: &mut TableGuess, route: Route) {
    for hop in &route.via {
        let because = if hop.by_name {
            format!(
                "has no foreign key: taken for {}.{} by its name; if it holds the platform's own id, match it instead",
                hop.to, hop.key
            )
        } else if hop.nullable {
            format!("may be null: such rows have no row in {} to be found through, and no topic reaches them", hop.to)
        } else {
            continue;
        };
        guess.decide.push(Remark { column: hop.column.clone(), remark: because });
    }
    guess.via = route.via;
    if guess.shop.is_none() {
        guess.shop = route.shop;
    }
    guess.matches.extend(route.matches);
}

/// The table's own columns that lead to a customer.
fn matches(catalog: &Catalog, samples: &Samples, table: &Table, shop: Option<&ShopWay>) -> Vec<MatchGuess> {
    if is_staff(table) || words::is_settings(&table.name) {
        return Vec::new();
    }
    let references = way::references(catalog, table);
    let mut found = Vec::new();
    for column in &table.columns {
        let is_reference = references.iter().any(|hop| hop.column == column.name);
        let is_shop = shop.is_some_and(|shop| shop.column == column.name);
        if is_reference || is_shop || crate::store::target::Ident::parse(&column.name).is_none() {
            continue;
        }
        if words::addressee(&table.name, column) {
            let reason = "named after whom a message went to, at an address or a number";
            for key in [words::Key::Email, words::Key::Phone] {
                let lead =
                    Lead { key, written: Written::Plain, confidence: Confidence::Guess, reason: reason.to_owned() };
                found.push(matched(column, None, lead));
            }
            continue;
        }
        if column.family != Family::Json
            && let Some(lead) = sampled_lead(samples, table, column)
            && lead.written != Written::HmacSha256
        {
            found.push(matched(column, None, lead));
        }
        for path in samples.of(&table.name, &column.name).map_or(&[][..], |sample| &sample.json_paths) {
            let array_of = || lead(&table.name, column).filter(|_| path == "[*]");
            if let Some(lead) = path_lead(path).or_else(array_of) {
                found.push(matched(column, Some(path.clone()), lead));
            }
        }
    }
    found
}

fn matched(column: &Column, json: Option<String>, lead: Lead) -> MatchGuess {
    MatchGuess {
        column: column.name.clone(),
        by: lead.key,
        written: lead.written,
        json,
        array: column.is_array(),
        at: None,
        why: Why::new(lead.confidence, lead.reason),
    }
}

/// What a name says, corrected by what the values look like.
fn sampled_lead(samples: &Samples, table: &Table, column: &Column) -> Option<Lead> {
    let is = |form| samples.is_mostly(&table.name, &column.name, form);
    let by_form = |key, reason: &str| {
        Some(Lead { key, written: Written::Plain, confidence: Confidence::Sure, reason: reason.to_owned() })
    };
    if is(Form::OrderGid) {
        return by_form(words::Key::OrderId, "its values begin with gid://shopify/Order/");
    }
    if is(Form::CustomerGid) {
        return by_form(words::Key::CustomerId, "its values begin with gid://shopify/Customer/");
    }
    let named = lead(&table.name, column);
    // A document with an address in it has the form of both.
    let looks_like_email = is(Form::Email) && !is(Form::Json);
    match named {
        Some(mut lead) if lead.key == words::Key::Email && lead.written == Written::Plain && is(Form::Sha256) => {
            lead.written = Written::Sha256;
            lead.reason.push_str("; its values are 64 hexadecimal digits");
            Some(lead)
        }
        Some(mut lead) if lead.written == Written::Sha256 && is(Form::Sha256) => {
            lead.confidence = Confidence::Likely;
            lead.reason.push_str("; its values are 64 hexadecimal digits");
            Some(lead)
        }
        Some(mut lead) if lead.key == words::Key::Email && looks_like_email => {
            lead.confidence = Confidence::Sure;
            lead.reason.push_str("; its values look like addresses");
            Some(lead)
        }
        Some(lead) => Some(lead),
        // Addresses in a column whose name does not say so; not where the name says that they are the merchant's.
        None if looks_like_email && words::harmless(&table.name, column).is_none() => {
            let merchants = words::words(&column.name).iter().any(|word| word.contains("mail"));
            let lead = Lead {
                key: words::Key::Email,
                written: Written::Plain,
                confidence: Confidence::Likely,
                reason: "its values look like e-mail addresses".to_owned(),
            };
            (!merchants).then_some(lead)
        }
        None => None,
    }
}

/// What the keys of a path within a document say: `customer.id`, `orders[*].id`, `user_data.em`.
fn path_lead(path: &str) -> Option<Lead> {
    let keys: Vec<&str> =
        path.split('.').map(|key| key.trim_end_matches("[*]")).filter(|key| !key.is_empty()).collect();
    let (last, parents) = keys.split_last()?;
    if matches!(*last, "orders_requested" | "orders_to_redact") {
        let reason = "documents have this key, with which the privacy webhooks list orders".to_owned();
        return Some(Lead {
            key: words::Key::OrderId,
            written: Written::Plain,
            confidence: Confidence::Likely,
            reason,
        });
    }
    let name = match parents.last() {
        Some(parent) if !matches!(*last, "em" | "ph") => format!("{parent}_{last}"),
        _ => (*last).to_owned(),
    };
    let pseudo = Column {
        name,
        declared: String::new(),
        udt: String::new(),
        family: Family::Text,
        element: None,
        length: None,
        nullable: true,
        generated: false,
        identity: false,
    };
    let mut lead = lead("", &pseudo)?;
    lead.confidence = Confidence::Guess;
    lead.reason = format!("documents have this key, {}", lead.reason);
    Some(lead)
}

/// A keyed hash cannot be matched without its key: the line is given, and left to a person.
fn keyed_hashes(guess: &mut TableGuess, table: &Table) {
    if is_staff(table) {
        return;
    }
    for column in &table.columns {
        if let Some(lead) = lead(&table.name, column).filter(|lead| lead.written == Written::HmacSha256) {
            let line = format!(
                "a keyed hash by its name: add {{ column = \"{}\", by = \"{}\", as = \"hmac_sha256\", key = \"…\" }} to match",
                column.name,
                lead.key.as_str()
            );
            guess.decide.push(Remark { column: column.name.clone(), remark: line });
        }
    }
}

/// Whether the people in a table are the merchant's: it has their credentials.
pub(in crate::erasure) fn is_staff(table: &Table) -> bool {
    let signs_in = ["accesstoken", "password", "passworddigest", "encryptedpassword", "remembertoken", "passwordhash"];
    let noun = words::holds(&table.name).unwrap_or_default();
    matches!(noun.as_str(), "session" | "staff" | "admin" | "employee" | "collaborator")
        || table.columns.iter().any(|column| signs_in.contains(&words::words(&column.name).concat().as_str()))
}

/// Says of each column what it seems to hold, and where rows stay, why it may.
fn remarks(guess: &mut TableGuess, catalog: &Catalog, samples: &Samples, table: &Table) {
    let references = way::references(catalog, table);
    let stays = guess.matches.is_empty();
    for column in &table.columns {
        let name = &column.name;
        let kind = words::personal(&table.name, column);
        let structural = guess.shop.as_ref().is_some_and(|shop| shop.at.is_none() && shop.column == *name)
            || references.iter().any(|hop| hop.column == *name);
        let structural = is_structural(table, column, structural);
        let matched =
            guess.matches.iter().any(|found| found.at.is_none() && found.column == *name && found.json.is_none());
        if matched || structural {
            continue;
        }
        if let Some(kind) = kind.filter(|kind| !stays && *kind != Personal::Credential) {
            guess.personal.push(Remark { column: name.clone(), remark: kind.noun().to_owned() });
        }
        if stays && (column.may_hold_text() || kind.is_some()) {
            stay(guess, samples, table, column, kind);
        }
    }
}

/// In a table whose rows stay for `customers/redact`, each column is excluded with a reason, or waits for a decision.
fn stay(guess: &mut TableGuess, samples: &Samples, table: &Table, column: &Column, kind: Option<Personal>) {
    let name = column.name.clone();
    if is_staff(table) && column.family != Family::Json {
        let remark = if kind == Some(Personal::Credential) {
            "the shop's own credential: it goes with the shop"
        } else {
            "of the merchant or its staff, who are no customers"
        };
        return guess.exclude.push(Remark { column: name, remark: remark.to_owned() });
    }
    if kind == Some(Personal::Credential) {
        let remark = "the shop's own credential, by its name: it goes with the shop".to_owned();
        return guess.exclude.push(Remark { column: name, remark });
    }
    if let Some(remark) = words::harmless(&table.name, column) {
        return guess.exclude.push(Remark { column: name, remark });
    }
    let keys = samples.of(&table.name, &name).map_or(&[][..], |sample| &sample.json_paths);
    let remark = match kind {
        _ if !keys.is_empty() => format!("documents with the keys {}", some_of(keys)),
        Some(kind) => format!("looks like {}, and nothing in this table leads to a customer", kind.noun()),
        None => "its name does not tell what it holds".to_owned(),
    };
    guess.decide.push(Remark { column: name, remark });
}

/// The first few of many.
fn some_of(keys: &[String]) -> String {
    let shown: Vec<&str> = keys.iter().take(8).map(String::as_str).collect();
    let more = if keys.len() > shown.len() { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// What a customer is told on request: every column but credentials, hashes, bytes, and references within the app.
fn export(guess: &TableGuess, table: &Table) -> Vec<String> {
    let told = |column: &&Column| {
        let hashed = lead(&table.name, column).is_some_and(|lead| lead.written != Written::Plain);
        let shop = guess.shop.as_ref().is_some_and(|shop| shop.at.is_none() && shop.column == column.name);
        let secret = words::personal(&table.name, column) == Some(Personal::Credential);
        let plain = crate::store::target::Ident::parse(&column.name).is_some();
        let reference = table.reference(&column.name).is_some();
        plain && !hashed && !shop && !secret && !reference && column.family != Family::Bytes
    };
    table.columns.iter().filter(told).map(|column| column.name.clone()).collect()
}
