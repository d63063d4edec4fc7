//! Finds the ways from a table to its shop and to other tables: foreign keys first, names where there are none.

use std::collections::{BTreeSet, VecDeque};

use super::words::{self, Confidence};
use super::{Holds, HopGuess, ShopGuess, ShopWay, Why};
use crate::store::catalog::sample::{Form, Samples};
use crate::store::catalog::{Catalog, Column, Family, Table};

/// Longest chain of hops that is looked for.
const HOPS_MAX: usize = 5;

/// The column of the table itself that tells the shop.
pub(super) fn own(catalog: &Catalog, samples: &Samples, shop: Option<&ShopGuess>, table: &Table) -> Option<ShopWay> {
    let by_key = shop.and_then(|shop| by_foreign_key(shop, table));
    let by_id = || shop.and_then(|shop| by_id_name(catalog, samples, shop, table));
    by_key.or_else(|| by_domain(samples, table, true)).or_else(by_id).or_else(|| by_domain(samples, table, false))
}

fn way(column: &str, holds: Holds, confidence: Confidence, reason: impl Into<String>) -> ShopWay {
    ShopWay { column: column.to_owned(), holds, at: None, why: Why::new(confidence, reason) }
}

fn by_foreign_key(shop: &ShopGuess, table: &Table) -> Option<ShopWay> {
    table.foreign_keys.iter().filter(|key| key.table == shop.table).find_map(|key| {
        let ([column], [to]) = (key.columns.as_slice(), key.to.as_slice()) else { return None };
        let holds = if *to == shop.id {
            Holds::ShopId
        } else if *to == shop.domain {
            Holds::ShopDomain
        } else if Some(to) == shop.number.as_ref() {
            Holds::ShopNumber
        } else {
            return None;
        };
        Some(way(column, holds, Confidence::Sure, format!("a foreign key to {}.{to}", shop.table)))
    })
}

fn by_id_name(catalog: &Catalog, samples: &Samples, shop: &ShopGuess, table: &Table) -> Option<ShopWay> {
    let column = table.columns.iter().find(|column| words::shop_id(&column.name, Some(&shop.table)))?;
    if samples.is_mostly(&table.name, &column.name, Form::ShopDomain) {
        // An "id" that holds the domain: what rows say weighs more than a name.
        return None;
    }
    let shops = catalog.table(&shop.table)?;
    let family = |name: &str| shops.column(name).map(|column| column.family);
    if family(&shop.id) == Some(column.family) {
        let reason = format!("named after {}.{}, though there is no foreign key", shop.table, shop.id);
        return Some(way(&column.name, Holds::ShopId, Confidence::Likely, reason));
    }
    let number = shop.number.as_ref().filter(|number| family(number) == Some(column.family))?;
    let reason = format!("of the type of {}.{number}, not of {}.{}", shop.table, shop.table, shop.id);
    Some(way(&column.name, Holds::ShopNumber, Confidence::Guess, reason))
}

/// A column with the shop's domain; `plain` ones have a name that leaves no doubt.
fn by_domain(samples: &Samples, table: &Table, plain: bool) -> Option<ShopWay> {
    let mut texts = table.columns.iter().filter(|column| column.family == Family::Text && !column.is_array());
    texts.find_map(|column| domain_way(samples, table, column, plain))
}

fn domain_way(samples: &Samples, table: &Table, column: &Column, plain: bool) -> Option<ShopWay> {
    let confirmed = samples.is_mostly(&table.name, &column.name, Form::ShopDomain);
    let seen = samples.of(&table.name, &column.name).is_some_and(|sample| sample.seen > 0);
    match (words::shop_domain(&column.name), plain) {
        (Some(false), true) => {
            let confidence = if confirmed { Confidence::Sure } else { Confidence::Likely };
            Some(way(&column.name, Holds::ShopDomain, confidence, "named as a shop's domain is"))
        }
        (Some(true), false) if confirmed => {
            let reason = "named after the shop, and its values end in .myshopify.com";
            Some(way(&column.name, Holds::ShopDomain, Confidence::Sure, reason))
        }
        // Shopify's own session storages call it `shop`; other names need a row that confirms them.
        (Some(true), false) if !seen && matches!(column.name.as_str(), "shop" | "shopify_shop" | "shop_url") => {
            let reason = "Shopify's libraries keep the domain in a column of this name; no row was there to confirm it";
            Some(way(&column.name, Holds::ShopDomain, Confidence::Likely, reason))
        }
        (None, false) if confirmed && words::shop_id(&column.name, None) => {
            let reason = "named after the shop's id, but its values end in .myshopify.com";
            Some(way(&column.name, Holds::ShopDomain, Confidence::Sure, reason))
        }
        (None, false) if confirmed => {
            Some(way(&column.name, Holds::ShopDomain, Confidence::Guess, "its values end in .myshopify.com"))
        }
        _ => None,
    }
}

/// The references that a table's rows make to other tables.
pub(super) fn references(catalog: &Catalog, table: &Table) -> Vec<HopGuess> {
    let mut found: Vec<HopGuess> = table
        .foreign_keys
        .iter()
        .filter(|key| key.table != table.name)
        .filter_map(|key| {
            let ([column], [to]) = (key.columns.as_slice(), key.to.as_slice()) else { return None };
            let nullable = table.column(column)?.nullable;
            let (column, to_table, key) = (column.clone(), key.table.clone(), to.clone());
            Some(HopGuess { column, to: to_table, key, nullable, by_name: false })
        })
        .collect();
    for column in &table.columns {
        if table.foreign_keys.iter().any(|key| key.columns.contains(&column.name)) {
            continue;
        }
        let Some(parent) = named_parent(catalog, table, column) else { continue };
        let [key] = parent.primary_key.as_slice() else { continue };
        found.push(HopGuess {
            column: column.name.clone(),
            to: parent.name.clone(),
            key: key.clone(),
            nullable: column.nullable,
            by_name: true,
        });
    }
    // Rows that must have a parent are found for sure.
    found.sort_by_key(|hop| (hop.by_name, hop.nullable));
    found
}

/// The table that a column such as `order_id` is named after, when its key is of the same type. Texts are not taken for
/// references: where ids are texts, apps declare their foreign keys, and an `orderId` without one is the platform's.
fn named_parent<'a>(catalog: &'a Catalog, table: &Table, column: &Column) -> Option<&'a Table> {
    let mut words = words::words(&column.name);
    if words.pop()? != "id" || words.is_empty() || !matches!(column.family, Family::Integer | Family::Uuid) {
        return None;
    }
    let noun = words.concat();
    catalog.app_tables().find(|parent| {
        let mut of_parent = words::words(&parent.name);
        if let Some(last) = of_parent.last_mut() {
            *last = words::singular(last);
        }
        let [key] = parent.primary_key.as_slice() else { return false };
        let same_type = parent.column(key).is_some_and(|key| key.family == column.family);
        parent.name != table.name && of_parent.concat() == noun && same_type
    })
}

/// Chains of hops from a table, the shortest first, each by what its last hop leads to; none goes through `avoid`.
pub(super) fn chains(catalog: &Catalog, table: &Table, avoid: Option<&str>) -> Vec<Vec<HopGuess>> {
    let mut seen: BTreeSet<String> =
        [Some(table.name.as_str()), avoid].into_iter().flatten().map(str::to_owned).collect();
    let mut queue: VecDeque<(String, Vec<HopGuess>)> = VecDeque::from([(table.name.clone(), Vec::new())]);
    let mut chains = Vec::new();
    while let Some((at, chain)) = queue.pop_front() {
        let Some(at) = catalog.table(&at).filter(|_| chain.len() < HOPS_MAX) else { continue };
        for hop in references(catalog, at) {
            let parent = catalog.table(&hop.to).filter(|parent| parent.holds_rows() && !parent.own);
            if parent.is_none() || !seen.insert(hop.to.clone()) {
                continue;
            }
            let mut longer = chain.clone();
            longer.push(hop);
            chains.push(longer.clone());
            if let Some(hop) = longer.last() {
                queue.push_back((hop.to.clone(), longer));
            }
        }
    }
    chains
}
