//! Finds the table of shops.

use super::words::{self, Confidence, words as split};
use super::{ShopGuess, Why};
use crate::store::catalog::sample::{Form, Samples};
use crate::store::catalog::{Catalog, Column, Family, Table};

/// Fewer points than this, and a table is not taken for the table of shops.
const POINTS_MIN: u32 = 5;

/// A table that could be it.
struct Candidate<'a> {
    table: &'a Table,
    domain: &'a Column,
    points: u32,
    reasons: Vec<String>,
}

/// The table that most speaks for.
pub(super) fn find(catalog: &Catalog, samples: &Samples) -> Option<ShopGuess> {
    let mut candidates: Vec<Candidate<'_>> =
        catalog.app_tables().filter_map(|table| candidate(catalog, samples, table)).collect();
    candidates.retain(|candidate| candidate.points >= POINTS_MIN);
    // Of equal ones, the first by name.
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.points));
    candidates.first().and_then(guess)
}

fn candidate<'a>(catalog: &Catalog, samples: &Samples, table: &'a Table) -> Option<Candidate<'a>> {
    let [_id] = table.primary_key.as_slice() else { return None };
    let (mut points, mut reasons) = (0_u32, Vec::new());
    let noun = words::holds(&table.name)?;
    match noun.as_str() {
        "shop" | "store" => points += 4,
        "tenant" | "merchant" | "installation" => points += 3,
        "session" | "user" | "account" => points += 1,
        _ => {}
    }
    let of_shops = points > 1;
    if of_shops {
        reasons.push(format!("named after {noun}s"));
    }
    let laravel = laravel_domain(table);
    let (domain, sure) = domain_column(table, samples).or(laravel.map(|column| (column, true)))?;
    points += if sure { 4 } else { 2 };
    if laravel.is_some() {
        points += 3;
        reasons.push("laravel-shopify keeps shops in this table, and the domain in this column".to_owned());
    } else {
        reasons.push(format!("\"{}\" is named as a shop's domain is", domain.name));
    }
    if samples.is_mostly(&table.name, &domain.name, Form::ShopDomain) {
        points += 3;
        reasons.push("its values end in .myshopify.com".to_owned());
    }
    let references = catalog.references_to(&table.name).count();
    if table.is_unique(&domain.name) || unique_index(table, &domain.name) {
        points += 3;
        reasons.push("it is unique".to_owned());
        // One row a shop, and yet not what others refer to: settings, schedules.
        if references == 0 && laravel.is_none() && !words::may_be_tenant(&noun) {
            return None;
        }
    } else if laravel.is_none() {
        // Several rows a shop, as of sessions or orders: what refers to one of them does not refer to the shop.
        if !of_shops {
            return None;
        }
        points = points.saturating_sub(3);
    }
    if references > 0 {
        points += 2;
        reasons.push(format!("{references} foreign key(s) refer to it"));
    }
    Some(Candidate { table, domain, points, reasons })
}

fn unique_index(table: &Table, column: &str) -> bool {
    let alone = |keys: &[_]| matches!(keys, [only] if crate::store::catalog::IndexKey::is_column(only, column));
    table.indexes.iter().any(|index| index.unique && index.predicate.is_none() && alone(&index.keys))
}

/// The column with the domain, and whether its name leaves no doubt.
fn domain_column<'a>(table: &'a Table, samples: &Samples) -> Option<(&'a Column, bool)> {
    let texts = || table.columns.iter().filter(|column| column.family == Family::Text && !column.is_array());
    let named = |sure: bool| texts().find(|column| words::shop_domain(&column.name) == Some(!sure));
    if let Some(column) = named(true) {
        return Some((column, true));
    }
    if let Some(column) = texts().find(|column| samples.is_mostly(&table.name, &column.name, Form::ShopDomain)) {
        return Some((column, words::shop_domain(&column.name).is_some()));
    }
    named(false).map(|column| (column, false))
}

/// laravel-shopify keeps shops in `users`, with columns of its own, and the domain in `name`.
fn laravel_domain(table: &Table) -> Option<&Column> {
    let own = ["shopify_freemium", "shopify_grandfathered", "shopify_namespace", "shopify_offline_access_token"];
    let is_users = words::holds(&table.name).is_some_and(|noun| noun == "user" || noun == "shop");
    let of_it = is_users && own.iter().any(|name| table.column(name).is_some());
    let plain = of_it && table.columns.iter().all(|column| words::shop_domain(&column.name) != Some(false));
    plain.then(|| table.column("name")).flatten()
}

fn guess(candidate: &Candidate<'_>) -> Option<ShopGuess> {
    let table = candidate.table;
    let id = table.primary_key.first()?.clone();
    let column = |names: &[&str], families: &[Family]| {
        let fits = |column: &&Column| {
            families.contains(&column.family) && names.contains(&split(&column.name).concat().as_str())
        };
        table.columns.iter().find(fits).map(|column| column.name.clone())
    };
    let instants = [Family::Instant, Family::Integer, Family::Text];
    let number = column(
        &["shopifyid", "shopifyshopid", "shopid", "shopifygid", "platformid", "externalid", "shopnumber"],
        &[Family::Integer, Family::Text, Family::Numeric],
    );
    let confidence = if candidate.points >= 10 {
        Confidence::Sure
    } else if candidate.points >= 7 {
        Confidence::Likely
    } else {
        Confidence::Guess
    };
    Some(ShopGuess {
        table: table.name.clone(),
        domain: candidate.domain.name.clone(),
        number: number.filter(|number| *number != id),
        active: column(&["isactive", "active", "installed", "isinstalled"], &[Family::Boolean, Family::Integer]),
        installed_at: column(&["installedat", "installdate"], &instants),
        uninstalled_at: column(&["uninstalledat", "uninstalldate"], &instants),
        result_key: format!("deleted{}", words::pascal_plural(&table.name)),
        why: Why::new(confidence, candidate.reasons.join("; ")),
        id,
    })
}
