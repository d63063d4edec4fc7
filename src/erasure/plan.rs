//! Turns targets into keys: which shops exist, and what to look for in which table.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use sea_orm::ConnectionTrait;

use super::data_map::{DataMap, MappedTable, ShopReference};
use super::subject::{GLOBAL_IDS, Order, Scope, Target};
use crate::store::StoreError;
use crate::store::target::{self, Ident, Keys, Match, ShopRow};

/// The keys of a batch of targets, by what a table's shop column holds. A target's place in the batch is its job
/// index in the keys.
#[derive(Debug, Default)]
pub struct Plan {
    /// The shops that exist, by domain.
    pub shops: HashMap<String, ShopRow>,
    orders: ByReference,
    /// The same orders as global ids.
    global_orders: ByReference,
    /// Tables and shops in which any order is stored as a global id.
    with_global_ids: HashSet<(Ident, String)>,
    whole_shops: ByReference,
}

#[derive(Debug, Default)]
struct ByReference {
    by_id: Keys,
    by_domain: Keys,
}

impl ByReference {
    fn push(&mut self, job: usize, domain: &str, shop: Option<&str>, value: &str) {
        self.by_domain.push(job, domain, value.to_owned());
        if let Some(shop) = shop {
            self.by_id.push(job, shop, value.to_owned());
        }
    }

    fn of(&self, reference: ShopReference) -> &Keys {
        match reference {
            ShopReference::ShopId => &self.by_id,
            ShopReference::ShopDomain => &self.by_domain,
        }
    }
}

impl Plan {
    /// Looks the shops of all targets up and lays out their keys. Shops that are to be erased whole are locked until
    /// the transaction ends. `known` holds shop keys that an earlier attempt found, for shops whose row has gone.
    ///
    /// # Errors
    /// When the database refuses or does not answer.
    pub async fn lay_out(
        conn: &impl ConnectionTrait,
        map: &DataMap,
        targets: &[(usize, &Target)],
        known: &HashMap<String, String>,
        lock_shops: bool,
    ) -> Result<Self, StoreError> {
        let domains = |whole: bool| -> Vec<String> {
            let mut domains: Vec<String> = targets
                .iter()
                .filter(|(_, target)| (target.scope == Scope::Shop) == whole)
                .map(|(_, target)| target.shop_domain.clone())
                .collect();
            domains.sort_unstable();
            domains.dedup();
            domains
        };
        let mut shops: HashMap<String, ShopRow> = HashMap::new();
        for row in target::shops(conn, &map.shop, domains(true), lock_shops).await? {
            shops.insert(row.domain.clone(), row);
        }
        for row in target::shops(conn, &map.shop, domains(false), false).await? {
            shops.entry(row.domain.clone()).or_insert(row);
        }
        let mut plan = Self { shops, ..Self::default() };
        plan.add_keys(targets, known);
        plan.find_global_ids(conn, map).await?;
        Ok(plan)
    }

    fn add_keys(&mut self, targets: &[(usize, &Target)], known: &HashMap<String, String>) {
        let mut orders: Vec<(&str, &Order, usize)> = Vec::new();
        for (job, target) in targets {
            let domain = target.shop_domain.as_str();
            match &target.scope {
                Scope::Orders(listed) => orders.extend(listed.iter().map(|order| (domain, order, *job))),
                Scope::Shop => {
                    let current = self.shops.get(domain).map(|row| row.key.as_str());
                    let known = known.get(domain).map(String::as_str);
                    self.whole_shops.push(*job, domain, current.or(known), "");
                    if let (Some(old), Some(new)) = (known, current)
                        && old != new
                    {
                        self.whole_shops.by_id.push(*job, old, String::new());
                    }
                }
            }
        }
        // Two batches that meet on the same rows take them in the same order, and so wait instead of deadlocking.
        orders.sort_unstable();
        for (domain, order, job) in orders {
            let shop = self.shops.get(domain).map(|row| row.key.as_str());
            self.orders.push(job, domain, shop, order.plain());
            if let Some(global) = order.global() {
                self.global_orders.push(job, domain, shop, &global);
            }
        }
    }

    /// Looks up which shops store orders as global ids, table by table: most apps use one form everywhere, and looking
    /// every order up in both would double the work.
    async fn find_global_ids(&mut self, conn: &impl ConnectionTrait, map: &DataMap) -> Result<(), StoreError> {
        for reference in [ShopReference::ShopId, ShopReference::ShopDomain] {
            let mut shops = self.global_orders.of(reference).shops.clone();
            shops.sort_unstable();
            shops.dedup();
            let ways: Vec<Match<'_>> = map
                .tables
                .iter()
                .filter(|table| table.holds == reference)
                .filter_map(MappedTable::subject_match)
                .collect();
            let found = target::shops_with_values_between(conn, &ways, shops, GLOBAL_IDS).await?;
            self.with_global_ids.extend(found.into_iter().map(|(place, shop)| (ways[place].table.clone(), shop)));
        }
        Ok(())
    }

    /// What to look for on behalf of customers in one table.
    pub fn orders(&self, table: &MappedTable) -> Cow<'_, Keys> {
        let plain = self.orders.of(table.holds);
        let stores_global = |shop: &str| self.with_global_ids.contains(&(table.name.clone(), shop.to_owned()));
        let global = self.global_orders.of(table.holds);
        if self.with_global_ids.is_empty() || !global.shops.iter().any(|shop| stores_global(shop)) {
            return Cow::Borrowed(plain);
        }
        let mut keys = plain.clone();
        for (place, shop) in global.shops.iter().enumerate() {
            if stores_global(shop) {
                keys.jobs.push(global.jobs[place]);
                keys.shops.push(shop.clone());
                keys.values.push(global.values[place].clone());
            }
        }
        Cow::Owned(keys)
    }

    /// The shops to be erased whole, as tables whose shop column holds `reference` know them.
    pub fn whole_shops(&self, reference: ShopReference) -> &Keys {
        self.whole_shops.of(reference)
    }
}
