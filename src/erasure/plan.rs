//! Turns targets into keys: which shops exist, and what to look for in which table.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;

use super::data_map::{DataMap, ShopReference};
use super::subject::{Scope, Target};
use crate::store::StoreError;
use crate::store::target::{self, Keys, ShopRow};

/// The keys of a batch of targets, by what a table's shop column holds. A target's place in the batch is its job
/// index in the keys.
#[derive(Debug, Default)]
pub struct Plan {
    /// The shops that exist, by domain.
    pub shops: HashMap<String, ShopRow>,
    orders: ByReference,
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
        Ok(plan)
    }

    fn add_keys(&mut self, targets: &[(usize, &Target)], known: &HashMap<String, String>) {
        let mut orders: Vec<(&str, &str, usize)> = Vec::new();
        for (job, target) in targets {
            let domain = target.shop_domain.as_str();
            match &target.scope {
                Scope::Orders(forms) => orders.extend(forms.iter().map(|form| (domain, form.as_str(), *job))),
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
        for (domain, form, job) in orders {
            let shop = self.shops.get(domain).map(|row| row.key.as_str());
            self.orders.push(job, domain, shop, form);
        }
    }

    /// What to look for on behalf of customers in tables whose shop column holds `reference`.
    pub fn orders(&self, reference: ShopReference) -> &Keys {
        self.orders.of(reference)
    }

    /// The shops to be erased whole, as tables whose shop column holds `reference` know them.
    pub fn whole_shops(&self, reference: ShopReference) -> &Keys {
        self.whole_shops.of(reference)
    }
}
