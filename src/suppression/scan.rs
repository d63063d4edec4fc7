//! Compares what stands in the match columns of a shop with what tombstones remember only as digests.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use entity::suppression::Model;

use super::tombstone::{Digest, ShopKey, digests};
use super::{Suppression, SuppressionError};
use crate::erasure::data_map::{Action, By, Form, ShopReference, StoreMap, SubjectWay};
use crate::erasure::subject::Subject;
use crate::erasure::traces;
use crate::store::target::{self, Reach};
use crate::store::{Store, StoreError};

/// A tombstone to look for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub row: &'a Model,
    /// Whether its orders and customer are known in the clear, so that only the rest must be compared.
    pub ids_known: bool,
}

/// What was found of one tombstone's person: by kind and form, how it was matched. Held in memory only.
#[derive(Clone, Default)]
pub struct Found(BTreeMap<(String, String), (By, Form)>);

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Found({} identifiers)", self.0.len())
    }
}

impl Found {
    /// Adds what was found to the subject of a child.
    pub fn add_to(&self, subject: &mut Subject) {
        for ((_, value), (by, form)) in &self.0 {
            match (traces::hashed(form), by) {
                (Some(spelling), _) => subject.add_stored(*by, spelling, value.clone()),
                (None, By::OrderId | By::CustomerId) => subject.add_id(*by, value),
                (None, By::Email) => subject.add_personal(Some(value), None),
                (None, By::Phone) => subject.add_personal(None, Some(value)),
            }
        }
    }
}

/// What a scan came to.
#[derive(Debug, Default)]
pub struct Scanned {
    /// One per tombstone, in their order.
    pub found: Vec<Found>,
    /// Distinct values that were compared.
    pub values: u64,
}

/// The tombstones of one shop, by digest.
struct Index {
    keys: Vec<ShopKey>,
    wanted: HashMap<Digest, usize>,
}

impl Index {
    fn find(&self, kind: &str, value: &str) -> Option<usize> {
        self.keys.iter().find_map(|key| self.wanted.get(&key.digest(kind, value)).copied())
    }
}

impl Suppression {
    /// Reads the distinct values of every match column that the tombstones' shops have, brings each to its form, and compares
    /// digests.
    ///
    /// # Errors
    /// When a store does not answer, or a tombstone's key is not in the keys file.
    pub async fn scan(&self, wanted: &[Wanted<'_>]) -> Result<Scanned, SuppressionError> {
        let mut scanned = Scanned { found: vec![Found::default(); wanted.len()], values: 0 };
        let mut by_shop: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (place, wanted) in wanted.iter().enumerate() {
            by_shop.entry(&wanted.row.shop_domain).or_default().push(place);
        }
        for (shop, places) in by_shop {
            let all = places.iter().any(|place| !wanted[*place].ids_known);
            let index = self.index(shop, &places, wanted)?;
            let number = places.iter().find_map(|place| wanted[*place].row.shop_id.as_deref());
            for (map, store) in self.stores.all().await? {
                let read = compare(map, store, (shop, number), all, &index, &mut scanned).await;
                read.map_err(|error| error.of_store(&map.name))?;
            }
        }
        Ok(scanned)
    }

    fn index(&self, shop: &str, places: &[usize], wanted: &[Wanted<'_>]) -> Result<Index, SuppressionError> {
        let ids: BTreeSet<&str> = places.iter().map(|place| wanted[*place].row.key_id.as_str()).collect();
        let key =
            |id: &str| ShopKey::of(&self.keyring, id, shop).ok_or_else(|| SuppressionError::UnknownKey(id.to_owned()));
        let keys = ids.into_iter().map(key).collect::<Result<_, _>>()?;
        let mut index = Index { keys, wanted: HashMap::new() };
        for place in places {
            for digest in digests(wanted[*place].row) {
                // A person who was erased twice is found once.
                index.wanted.entry(digest).or_insert(*place);
            }
        }
        Ok(index)
    }
}

/// The ways of a store that must be read, each with its table's reach and what the table's shop column holds.
fn ways(map: &StoreMap, all: bool) -> Vec<(&Reach, ShopReference, &SubjectWay)> {
    let searched = map.tables.iter().filter(|table| table.action(false) != Action::Keep);
    searched
        .flat_map(|table| table.ways.iter().map(move |way| (&table.reach, table.holds, way)))
        .filter(|(_, _, way)| all || way.by.is_personal())
        .collect()
}

async fn compare(
    map: &StoreMap,
    store: &Store,
    (domain, number): (&str, Option<&str>),
    all: bool,
    index: &Index,
    scanned: &mut Scanned,
) -> Result<(), StoreError> {
    let ways = ways(map, all);
    if ways.is_empty() {
        return Ok(());
    }
    let snapshot = store.begin_snapshot().await?;
    let row = match &map.shop {
        Some(shop) => target::shops(&snapshot, &shop.table, vec![domain.to_owned()], false).await?.pop(),
        None => None,
    };
    for (reach, holds, way) in ways {
        let shop = match holds {
            ShopReference::ShopDomain => Some(domain),
            ShopReference::ShopId => row.as_ref().map(|row| row.key.as_str()),
            ShopReference::ShopNumber => number.or_else(|| row.as_ref().and_then(|row| row.number.as_deref())),
        };
        // No row names the shop, so none of its rows can be told from others'.
        let Some(shop) = shop else { continue };
        let kind = traces::kind(way.by, &way.form);
        let found = &mut scanned.found;
        let read = target::each_value(&snapshot, reach, &way.way, shop, |value| {
            let Some(form) = traces::of_column(way, &value) else { return };
            if let Some(place) = index.find(&kind, &form) {
                found[place].0.insert((kind.clone(), form), (way.by, way.form.clone()));
            }
        });
        scanned.values += read.await?;
    }
    snapshot.commit().await?;
    Ok(())
}
