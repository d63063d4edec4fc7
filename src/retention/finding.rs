//! What a sweep finds that a person should look at: it purges nothing on a guess.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::Settings;
use super::policy::{Period, Policy};
use super::work::Place;
use crate::erasure::data_map::{MappedTable, ShopReference};
use crate::store::target::{self, ShopDays};
use crate::store::{Store, StoreError, job_report};

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A shop's days are none of those allowed: nothing of the shop is purged by its own period.
    ShopDays,
    /// A shop was uninstalled long ago, and no `shop/redact` came.
    NotRedacted,
    /// A column's instants are written in more than one way: nothing of the table is purged by that rule.
    MixedDates,
    /// Rows of a table with periods by shop belong to no shop that has a row: no period of theirs is known.
    NoShop,
    /// Some rows hold something that is no instant where their time counts from: they are never due.
    UnreadDates,
    /// A table could not be looked at.
    Unreadable,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::ShopDays, Self::NotRedacted, Self::MixedDates, Self::NoShop, Self::UnreadDates, Self::Unreadable];

    /// The kind as screens write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ShopDays => "shop_days",
            Self::NotRedacted => "not_redacted",
            Self::MixedDates => "mixed_dates",
            Self::NoShop => "no_shop",
            Self::UnreadDates => "unread_dates",
            Self::Unreadable => "unreadable",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub kind: Kind,
    /// The store of the data map.
    pub store: String,
    /// The table, or that of shops.
    pub table: String,
    /// The shop's domain.
    pub shop: Option<String>,
    /// What is wrong, in a sentence.
    pub detail: String,
}

/// What a shop's row says of its period; none: nothing that may be acted on.
pub fn period(shop: &ShopDays) -> Option<Period> {
    Period::of_shop(shop.days.as_deref()?.trim().parse().ok()?)
}

/// Shops whose days are none of those allowed.
pub(super) fn of_days(store: &str, table: &str, shops: &[ShopDays]) -> Vec<Finding> {
    let wrong = shops.iter().filter(|shop| period(shop).is_none());
    wrong
        .map(|shop| Finding {
            kind: Kind::ShopDays,
            store: store.to_owned(),
            table: table.to_owned(),
            shop: Some(shop.domain.clone()),
            detail: "its days are none of 30, 60, 90, 180, 365 and 0; nothing is purged by its period".to_owned(),
        })
        .collect()
}

/// Shops that were uninstalled longer ago than is usual, and for which no `shop/redact` was ever received.
///
/// # Errors
/// When the database refuses or does not answer.
pub(super) async fn of_uninstalled(
    own: &Store,
    settings: &Settings,
    now: DateTime<Utc>,
    (store, table): (&str, &str),
    shops: &[ShopDays],
) -> Result<Vec<Finding>, StoreError> {
    let before = now - settings.uninstalled;
    let gone: Vec<(&ShopDays, DateTime<Utc>)> = shops
        .iter()
        .filter_map(|shop| Some((shop, shop.uninstalled_at?)))
        .filter(|(shop, at)| !shop.active && *at < before)
        .collect();
    let domains = gone.iter().map(|(shop, _)| shop.domain.to_lowercase()).collect();
    let asked: HashSet<String> = job_report::shops_asked_to_redact(own.db(), domains).await?;
    let not_asked = gone.into_iter().filter(|(shop, _)| !asked.contains(&shop.domain.to_lowercase()));
    Ok(not_asked
        .map(|(shop, at)| Finding {
            kind: Kind::NotRedacted,
            store: store.to_owned(),
            table: table.to_owned(),
            shop: Some(shop.domain.clone()),
            detail: format!("uninstalled on {}, and no shop/redact came", at.format("%Y-%m-%d")),
        })
        .collect())
}

/// Tables with periods by shop that hold rows of no shop that has a row. `only` is the one table that is asked for.
pub(super) async fn of_strays(place: &Place<'_>, only: Option<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if place.one_shop {
        return findings;
    }
    for table in place.map.tables.iter().filter(|table| only.is_none_or(|only| table.name.as_str() == only)) {
        let store = place.map.name.as_str();
        match strays(place, table).await {
            Ok(0) => {}
            Ok(rows) => findings.push(Finding {
                kind: Kind::NoShop,
                store: store.to_owned(),
                table: table.name.as_str().to_owned(),
                shop: None,
                detail: format!(
                    "{rows} rows belong to no shop that has a row; nothing is purged of them by its period"
                ),
            }),
            Err(error) => findings.push(unreadable(store, table.name.as_str(), &error)),
        }
    }
    findings
}

async fn strays(place: &Place<'_>, table: &MappedTable) -> Result<u64, StoreError> {
    let by_shop = table.retention.iter().any(|rule| matches!(rule.policy, Policy::ByShop { .. }));
    let Some(shop) = place.map.shop.as_ref().map(|shop| &shop.table).filter(|_| by_shop && table.reach.shop.at == 0)
    else {
        return Ok(0);
    };
    let key = match table.holds {
        ShopReference::ShopId => &shop.id,
        ShopReference::ShopDomain => &shop.domain,
        ShopReference::ShopNumber => match &shop.number {
            Some(number) => number,
            None => return Ok(0),
        },
    };
    target::strays(place.store.db(), (&table.name, &table.reach.shop.name), (shop, key)).await
}

/// Rows whose time cannot be read.
pub(super) fn of_unread(store: &str, table: &str, column: &str, rows: u64) -> Option<Finding> {
    (rows > 0).then(|| Finding {
        kind: Kind::UnreadDates,
        store: store.to_owned(),
        table: table.to_owned(),
        shop: None,
        detail: format!("{rows} rows hold no instant in {column}; they are never due"),
    })
}

/// What could not be looked at.
pub(super) fn unreadable(store: &str, table: &str, error: &StoreError) -> Finding {
    Finding {
        kind: Kind::Unreadable,
        store: store.to_owned(),
        table: table.to_owned(),
        shop: None,
        detail: error.to_string(),
    }
}
