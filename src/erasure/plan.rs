//! Turns targets into keys: which shops exist in a store, and what to look for in which table.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend};

use super::data_map::{By, Form, MappedTable, ShopReference, StoreMap, SubjectWay};
use super::subject::{Scope, Spelling, Target, global_ids};
use crate::store::StoreError;
use crate::store::target::{self, Comparison, Keys, Kind, Place, Probe, Rows, ShopRow};

/// The keys of a batch of targets in one store. A target's place in the batch is its job index in the keys.
#[derive(Debug)]
pub struct Plan<'m> {
    map: &'m StoreMap,
    /// The shops that exist, by domain.
    pub shops: HashMap<String, ShopRow>,
    keys: HashMap<(ShopReference, By, Spelling), Keys>,
    /// Tables, ways and shops in which any id is stored as a global id.
    with_global_ids: HashSet<(usize, usize, String)>,
    whole_shops: HashMap<ShopReference, Keys>,
    /// The targets' places in the batch, of whole shops.
    places: HashMap<String, usize>,
}

/// The spelling that a way's column is searched in. Global ids in plain text columns are looked up only where there are
/// any: [`Plan::keys`] adds them.
fn spelling(way: &SubjectWay) -> Spelling {
    let column = &way.way.column;
    match &way.form {
        Form::Sha256 => Spelling::Sha256,
        Form::Hmac(key) => Spelling::Hmac(key.clone()),
        Form::Plain if way.by.is_personal() => Spelling::Plain,
        Form::Plain if may_probe_global_ids(way) => Spelling::Plain,
        Form::Plain if matches!(way.way.place, Place::Json(_)) => Spelling::Both,
        Form::Plain => match column.kind {
            Kind::Text | Kind::Json => Spelling::Both,
            kind => Spelling::Of(kind),
        },
    }
}

/// Whether one look at an index tells if a shop has any global id in this column.
fn may_probe_global_ids(way: &SubjectWay) -> bool {
    way.form == Form::Plain
        && !way.by.is_personal()
        && way.way.column.at == 0
        && way.way.place == Place::Whole
        && way.way.comparison == Comparison::Exact
        && way.way.column.kind == Kind::Text
}

impl<'m> Plan<'m> {
    /// Looks the shops of all targets up and lays out their keys. Shops that are to be erased whole are locked until
    /// the transaction ends. `known` holds shop keys that an earlier attempt found, for shops whose row has gone.
    ///
    /// # Errors
    /// When the database refuses or does not answer, or a table is keyed by a number of the shop that nobody knows.
    pub async fn lay_out(
        conn: &impl ConnectionTrait,
        map: &'m StoreMap,
        targets: &[(usize, &Target)],
        known: &HashMap<String, String>,
        lock_shops: bool,
    ) -> Result<Self, StoreError> {
        let domains = |whole: bool| -> Vec<String> {
            let of_kind = targets.iter().filter(|(_, target)| target.is_whole_shop() == whole);
            let domains: BTreeSet<String> = of_kind.map(|(_, target)| target.shop_domain.clone()).collect();
            domains.into_iter().collect()
        };
        let mut shops: HashMap<String, ShopRow> = HashMap::new();
        if let Some(shop) = &map.shop {
            for row in target::shops(conn, &shop.table, domains(true), lock_shops).await? {
                shops.insert(row.domain.clone(), row);
            }
            for row in target::shops(conn, &shop.table, domains(false), false).await? {
                shops.entry(row.domain.clone()).or_insert(row);
            }
        }
        let (keys, with_global_ids, whole_shops) = Default::default();
        let whole = targets.iter().filter(|(_, target)| target.is_whole_shop());
        let places = whole.map(|(place, target)| (target.shop_domain.clone(), *place)).collect();
        let mut plan = Self { map, shops, keys, with_global_ids, whole_shops, places };
        plan.add_keys(targets, known)?;
        plan.find_global_ids(conn).await?;
        Ok(plan)
    }

    fn add_keys(&mut self, targets: &[(usize, &Target)], known: &HashMap<String, String>) -> Result<(), StoreError> {
        let references: BTreeSet<u8> = self.map.tables.iter().map(|table| table.holds as u8).collect();
        for reference in [ShopReference::ShopId, ShopReference::ShopDomain, ShopReference::ShopNumber] {
            let of_shop_row = reference == ShopReference::ShopId && self.map.shop.is_some();
            if !of_shop_row && !references.contains(&(reference as u8)) {
                continue;
            }
            let mut subjects = Vec::new();
            for (job, target) in targets {
                let current = self.shop_key(target, reference)?;
                match &target.scope {
                    Scope::Subject(subject) => subjects.extend(current.map(|shop| (shop, *job, subject))),
                    Scope::Shop => {
                        let keys = self.whole_shops.entry(reference).or_default();
                        let known = known.get(&target.shop_domain).filter(|_| reference == ShopReference::ShopId);
                        let both: BTreeSet<&String> = current.iter().chain(known).collect();
                        for shop in both {
                            keys.push(*job, shop, String::new());
                        }
                    }
                }
            }
            let ways = self.map.tables.iter().filter(|table| table.holds == reference).flat_map(|table| &table.ways);
            let mut wanted: HashSet<(By, Spelling)> = ways.clone().map(|way| (way.by, spelling(way))).collect();
            wanted.extend(ways.filter(|way| may_probe_global_ids(way)).map(|way| (way.by, Spelling::Global)));
            for (by, spelling) in wanted {
                let hmac_key = if let Spelling::Hmac(name) = &spelling { self.map.match_key(name) } else { &[] };
                let mut entries: Vec<(&str, String, usize)> = Vec::new();
                for (shop, job, subject) in &subjects {
                    let values = subject.values(by, &spelling, hmac_key).into_iter();
                    entries.extend(values.map(|value| (shop.as_str(), value, *job)));
                }
                // Two batches that meet on the same rows take them in the same order, and so wait instead of deadlocking.
                entries.sort_unstable();
                let mut keys = Keys::default();
                for (shop, value, job) in entries {
                    keys.push(job, shop, value);
                }
                self.keys.insert((reference, by, spelling), keys);
            }
        }
        Ok(())
    }

    fn shop_key(&self, target: &Target, reference: ShopReference) -> Result<Option<String>, StoreError> {
        let row = self.shops.get(&target.shop_domain);
        Ok(match reference {
            ShopReference::ShopDomain => Some(target.shop_domain.clone()),
            ShopReference::ShopId => row.map(|row| row.key.clone()),
            ShopReference::ShopNumber => {
                let number = target.shop_number.clone().or_else(|| row.and_then(|row| row.number.clone()));
                let unknown =
                    || StoreError::Refused("a table is keyed by the shop's number, which is not known".into());
                Some(number.ok_or_else(unknown)?)
            }
        })
    }

    /// Looks up which shops store ids as global ids, table by table: most apps use one form everywhere, and looking
    /// every order up in both would double the work.
    async fn find_global_ids(&mut self, conn: &impl ConnectionTrait) -> Result<(), StoreError> {
        for reference in [ShopReference::ShopId, ShopReference::ShopDomain, ShopReference::ShopNumber] {
            for by in [By::OrderId, By::CustomerId] {
                let Some(global) = self.keys.get(&(reference, by, Spelling::Global)) else { continue };
                let shops: BTreeSet<String> = global.shops.iter().cloned().collect();
                let mut places = Vec::new();
                let mut ways = Vec::new();
                for (place, table) in self.map.tables.iter().enumerate().filter(|(_, table)| table.holds == reference) {
                    let searched = table.ways.iter().enumerate();
                    for (of_table, way) in searched.filter(|(_, way)| way.by == by && may_probe_global_ids(way)) {
                        places.push((place, of_table));
                        ways.push((&table.reach, &way.way));
                    }
                }
                let shops = shops.into_iter().collect();
                let found = target::shops_with_values_between(conn, &ways, shops, global_ids(by)).await?;
                self.with_global_ids.extend(found.into_iter().map(|(i, shop)| (places[i].0, places[i].1, shop)));
            }
        }
        Ok(())
    }

    /// What to look for on behalf of customers: by the table's place in the map and the way's in the table.
    pub fn keys(&self, table: usize, way: usize) -> Cow<'_, Keys> {
        let (mapped, subject) = (&self.map.tables[table], &self.map.tables[table].ways[way]);
        let Some(plain) = self.keys.get(&(mapped.holds, subject.by, spelling(subject))) else {
            return Cow::Owned(Keys::default());
        };
        let global = self.keys.get(&(mapped.holds, subject.by, Spelling::Global));
        let Some(global) = global.filter(|_| may_probe_global_ids(subject) && !self.with_global_ids.is_empty()) else {
            return Cow::Borrowed(plain);
        };
        let stored_here = |at: usize| self.with_global_ids.contains(&(table, way, global.shops[at].clone()));
        if !(0..global.shops.len()).any(stored_here) {
            return Cow::Borrowed(plain);
        }
        let mut keys = plain.clone();
        keys.extend_with(global, stored_here);
        Cow::Owned(keys)
    }

    /// The keys of all ways of a table, for customers.
    pub fn keys_of(&self, table: usize) -> Vec<Cow<'_, Keys>> {
        (0..self.map.tables[table].ways.len()).map(|way| self.keys(table, way)).collect()
    }

    /// The shops to be erased whole, as tables whose shop column holds `reference` know them.
    pub fn whole_shops(&self, reference: ShopReference) -> Cow<'_, Keys> {
        self.whole_shops.get(&reference).map_or_else(Cow::default, Cow::Borrowed)
    }

    /// The keys of one shop to be erased whole, as tables whose shop column holds `reference` know it.
    pub fn whole_shops_of(&self, reference: ShopReference, target: &Target) -> Vec<String> {
        let current = self.shop_key(target, reference).ok().flatten();
        let keys = self.whole_shops(reference);
        let own = keys.jobs.iter().zip(&keys.shops).filter(|(job, _)| {
            self.places.get(&target.shop_domain).is_some_and(|place| i64::try_from(*place).ok() == Some(**job))
        });
        let own: BTreeSet<String> = own.map(|(_, shop)| shop.clone()).chain(current).collect();
        own.into_iter().collect()
    }
}

/// Keys of whole shops, those of all of a shop's rows apart from those of rows up to an instant. Empty ones are left out.
pub fn by_cutoff(
    backend: DbBackend,
    keys: &Keys,
    cutoff: impl Fn(usize) -> Option<DateTime<Utc>>,
) -> Vec<(Rows<'static>, Keys)> {
    let (mut whole, mut dated) = (Keys::default(), Keys::default());
    for (job, shop) in keys.jobs.iter().zip(&keys.shops) {
        let job = usize::try_from(*job).unwrap_or(usize::MAX);
        match cutoff(job) {
            None => whole.push(job, shop, String::new()),
            Some(cutoff) => dated.push(job, shop, target::micros_of(backend, cutoff).to_string()),
        }
    }
    let both = [(Rows::WholeShop, whole), (Rows::MadeUpTo, dated)];
    both.into_iter().filter(|(_, keys)| !keys.is_empty()).collect()
}

/// The rows of one table that belong to customers.
pub fn probe<'a>(table: &'a MappedTable, keys: &'a [Cow<'_, Keys>]) -> Probe<'a> {
    let ways = table.ways.iter().zip(keys).map(|(way, keys)| (Rows::Matching(&way.way), &**keys)).collect();
    Probe { reach: &table.reach, ways, unmasked: None }
}
