//! What one rule asks of one table right now: columns, cutoffs, and what is held.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::finding::{Finding, Kind, period};
use super::holds::{Held, OfTable};
use super::policy::{Period, Policy, Rule, cutoff};
use crate::erasure::data_map::{Dates, MappedTable, ShopReference, StoreMap};
use crate::store::target::purge::{Cutoffs, Expiry, InstantForm};
use crate::store::target::{Catalog, ShopDays, instant_form};
use crate::store::{Store, StoreError};

/// One database of the map as a sweep sees it.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub map: &'a StoreMap,
    pub store: &'a Store,
    pub catalog: Catalog,
    /// All shops, or the one that is asked for.
    pub shops: Vec<ShopDays>,
    pub one_shop: bool,
}

/// What a pass has to do.
#[derive(Debug)]
pub(super) enum Work {
    /// The rule purges nothing, whatever the rows are.
    Nothing,
    /// A person must look first.
    Refused(Finding),
    Purge {
        expiry: Box<Expiry>,
        /// The cutoff, where it is one for all.
        cutoff: Option<DateTime<Utc>>,
        /// A hold keeps every row.
        all_held: bool,
    },
}

/// Lays out one rule of one table.
pub(super) async fn lay_out(
    place: &Place<'_>,
    table: &MappedTable,
    rule: &Rule,
    held: &Held,
    below: &BTreeSet<String>,
    now: DateTime<Utc>,
) -> Result<Work, StoreError> {
    let Some(column) = rule.policy.counts_from() else { return Ok(Work::Nothing) };
    let shop_column = (table.reach.shop.at == 0).then(|| table.reach.shop.name.clone());
    let one_for_all = match &rule.policy {
        Policy::Fixed { days, .. } | Policy::After { days, .. } => cutoff(rule.bounded(Period::Days(*days)), now),
        Policy::ByShop { .. } | Policy::ByClass { .. } | Policy::Never { .. } => None,
    };
    let of_shops = |period: &dyn Fn(&ShopDays) -> Option<Period>| -> Vec<(String, DateTime<Utc>)> {
        let due = place.shops.iter().filter_map(|shop| Some((key(table, shop)?, cutoff(period(shop)?, now)?)));
        due.collect()
    };
    let cutoffs = match (&rule.policy, &shop_column) {
        (Policy::ByShop { .. }, Some(column)) => {
            let bounded = |shop: &ShopDays| period(shop).map(|period| rule.bounded(period));
            Cutoffs::ByShop { column: column.clone(), cutoffs: of_shops(&bounded) }
        }
        (Policy::Fixed { days, .. } | Policy::After { days, .. }, Some(column)) if place.one_shop => {
            let bounded = |_: &ShopDays| Some(rule.bounded(Period::Days(*days)));
            Cutoffs::ByShop { column: column.clone(), cutoffs: of_shops(&bounded) }
        }
        (Policy::Fixed { .. } | Policy::After { .. }, _) if !place.one_shop => match one_for_all {
            Some(cutoff) => Cutoffs::All(cutoff),
            None => return Ok(Work::Nothing),
        },
        (Policy::ByClass { class, periods, .. }, column) if !place.one_shop || column.is_some() => {
            let due =
                periods.iter().filter_map(|(class, period)| Some((class.clone(), cutoff(rule.bounded(*period), now)?)));
            Cutoffs::ByClass { column: class.clone(), cutoffs: due.collect() }
        }
        // One shop of a table whose rows do not say themselves whose they are.
        _ => return Ok(Work::Nothing),
    };
    let form = match table.dates {
        Some(Dates::UnixMs) => InstantForm::UnixMillis,
        Some(Dates::UnixSeconds) => InstantForm::UnixSeconds,
        Some(Dates::Iso) => InstantForm::IsoText,
        Some(Dates::Native) | None => {
            match instant_form(place.store.db(), &place.catalog, &table.name, column).await? {
                Some(form) => form,
                None => {
                    return Ok(Work::Refused(Finding {
                        kind: Kind::MixedDates,
                        store: place.map.name.clone(),
                        table: table.name.as_str().to_owned(),
                        shop: None,
                        detail: format!(
                            "{} holds instants in a form that is not known, or in several",
                            column.as_str()
                        ),
                    }));
                }
            }
        }
    };
    let only = shop_column.clone().filter(|_| place.one_shop && matches!(cutoffs, Cutoffs::ByClass { .. }));
    let only = only.map(|column| (column, place.shops.iter().filter_map(|shop| key(table, shop)).collect()));
    let only_listed = only.is_some() || matches!(cutoffs, Cutoffs::ByShop { .. });
    let (held, all_held) = match held.of_table(table, below, &place.shops, only_listed) {
        OfTable::Everything => (None, true),
        OfTable::Shops(keys) => (shop_column.filter(|_| !keys.is_empty()).map(|column| (column, keys)), false),
    };
    let expiry = Expiry { table: table.name.clone(), column: column.clone(), form, cutoffs, held, only };
    Ok(Work::Purge { expiry: Box::new(expiry), cutoff: one_for_all, all_held })
}

/// How a table refers to a shop.
fn key(table: &MappedTable, shop: &ShopDays) -> Option<String> {
    match table.holds {
        ShopReference::ShopId => Some(shop.key.clone()),
        ShopReference::ShopDomain => Some(shop.domain.clone()),
        ShopReference::ShopNumber => shop.number.clone(),
    }
}
