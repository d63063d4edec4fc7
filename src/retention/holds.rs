//! What legal holds keep from being purged.
//!
//! A hold on a shop, or on any person in it, keeps all of the shop's rows: which of them are the person's cannot be told
//! without looking for the person. A hold on a table keeps the table, and every table whose rows take its rows along.

use std::collections::{BTreeMap, BTreeSet};

use entity::legal_hold::HoldScope;
use sea_orm::ConnectionTrait;

use crate::erasure::data_map::{MappedTable, ShopReference};
use crate::store::StoreError;
use crate::store::legal_hold::{self, InForce};
use crate::store::target::{Catalog, ShopDays};

/// What a batch's error says when holds have changed since its pass began.
pub(super) const CHANGED: &str = "legal holds have changed";

/// The holds in force when a pass began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Shops of which nothing goes.
    shops: BTreeSet<String>,
    /// Tables of which nothing goes; with a shop: nothing of that shop.
    tables: BTreeSet<(String, Option<String>)>,
}

/// What is held of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OfTable {
    Everything,
    /// Of these shops, as the table's shop column names them.
    Shops(Vec<String>),
}

impl Held {
    pub(super) async fn read(conn: &impl ConnectionTrait) -> Result<Self, StoreError> {
        Ok(Self::of(&legal_hold::all_in_force(conn).await?))
    }

    fn of(holds: &[InForce]) -> Self {
        let mut held = Self::default();
        for hold in holds {
            match (hold.scope, &hold.shop_domain, &hold.table_name) {
                (HoldScope::Table, shop, Some(table)) => {
                    held.tables.insert((table.clone(), shop.clone()));
                }
                (_, Some(shop), _) => {
                    held.shops.insert(shop.clone());
                }
                // A hold that names nothing is none that this build can read: nothing at all goes.
                (_, None, _) => {
                    held.tables.insert(("*".to_owned(), None));
                }
            }
        }
        held
    }

    /// Makes sure, in a batch's transaction, that the holds are those that the pass was made with.
    ///
    /// # Errors
    /// When they have changed: the batch must roll back, and the pass begin again.
    pub(super) async fn still(&self, conn: &impl ConnectionTrait) -> Result<(), StoreError> {
        if Self::read(conn).await? == *self { Ok(()) } else { Err(StoreError::Refused(CHANGED.to_owned())) }
    }

    /// What is held of a table. `below` are the tables whose rows go with its rows; with `only_listed`, nothing goes of a
    /// shop that is not in `shops` anyway.
    pub(super) fn of_table(
        &self,
        table: &MappedTable,
        below: &BTreeSet<String>,
        shops: &[ShopDays],
        only_listed: bool,
    ) -> OfTable {
        let name = table.name.as_str();
        let mut domains = self.shops.clone();
        for (held, shop) in &self.tables {
            if held != name && held != "*" && !below.contains(held) {
                continue;
            }
            match shop {
                None => return OfTable::Everything,
                Some(shop) => drop(domains.insert(shop.clone())),
            }
        }
        if domains.is_empty() {
            return OfTable::Shops(Vec::new());
        }
        if table.reach.shop.at != 0 {
            // The shop stands in another table: which rows are the shop's is not told here.
            return OfTable::Everything;
        }
        let by_domain: BTreeMap<String, &ShopDays> =
            shops.iter().map(|shop| (shop.domain.to_lowercase(), shop)).collect();
        let mut keys = Vec::new();
        for domain in domains {
            let row = by_domain.get(&domain.to_lowercase());
            match (table.holds, row) {
                (ShopReference::ShopDomain, row) => {
                    keys.push(row.map_or(domain, |row| row.domain.clone()));
                }
                (ShopReference::ShopId, Some(row)) => keys.push(row.key.clone()),
                (ShopReference::ShopNumber, Some(row)) if row.number.is_some() => keys.extend(row.number.clone()),
                _ if only_listed => {}
                // Nobody knows by which key the shop's rows are found.
                _ => return OfTable::Everything,
            }
        }
        OfTable::Shops(keys)
    }
}

/// The tables whose rows a table's rows take along when they go.
pub(super) fn below(catalog: &Catalog, table: &str) -> BTreeSet<String> {
    let mut below = BTreeSet::new();
    let mut open = vec![table.to_owned()];
    while let Some(parent) = open.pop() {
        for key in catalog.foreign_keys.iter().filter(|key| key.to == parent && key.table != table) {
            if below.insert(key.table.clone()) {
                open.push(key.table.clone());
            }
        }
    }
    below
}
