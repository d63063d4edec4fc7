//! Deletes and masks application rows: the only room that does.
//!
//! A batch of small targets is one pass of set-based statements, one per table and way. A large shop is taken in bounded
//! steps, each in the caller's own transaction. The caller has checked its claims in that transaction before.

pub mod expired;
pub mod retention_days;
pub mod uninstall;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait;

use super::data_map::{Action, DEFAULT_STORE, MappedShop, MappedTable, StoreMap};
use super::mask::Masker;
use super::plan::{self, Plan};
use super::progress::Progress;
use super::reinstall::{self, Back, Guard, Policy};
use super::subject::Target;
use crate::store::StoreError;
use crate::store::target::{self, Column, Count, Keys, Locked, Masked, Reach, Rows, Way};

/// Rows that are masked by one statement.
const MASKED_AT_ONCE: u64 = 5_000;

/// Such statements for one table in one transaction. More than these million rows are not of one batch: they come back.
const MASKINGS_MAX: usize = 200;

/// What became of one target of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its rows are deleted or masked in this transaction.
    Deleted,
    /// It is a shop with more rows than one transaction may take; nothing was touched.
    TooLarge,
    /// It is a shop that was installed again, and a person must decide; nothing was touched.
    Reinstalled(Back),
}

/// The hands in one store: a connection, the store's part of the map, and what makes masked values.
#[derive(Debug)]
pub struct Hands<'a, C> {
    pub conn: &'a C,
    pub map: &'a StoreMap,
    pub masker: &'a Masker,
    /// Rows that one transaction may take.
    pub rows_max: u64,
    /// What becomes of a `shop/redact` whose shop was installed again.
    pub reinstalled: Policy,
    /// Set when a trigger of the app was in the way of deleting from several tables at once: from then on each has its own
    /// statement.
    pub one_by_one: &'a AtomicBool,
}

impl<C: ConnectionTrait> Hands<'_, C> {
    /// Erases the rows of many targets, and adds what was done to each target's progress.
    ///
    /// Shops with more than `rows_max` rows and shops that were installed again are left alone and say so.
    ///
    /// # Errors
    /// When the database refuses or does not answer; the caller rolls back.
    pub async fn batch(&self, targets: &[Target], progress: &mut [Progress]) -> Result<Vec<Fate>, StoreError> {
        let placed: Vec<(usize, &Target)> = targets.iter().enumerate().collect();
        let known = known_shops(&self.map.name, targets, progress);
        let plan = Plan::lay_out(self.conn, self.map, &placed, &known, true).await?;
        let mut fates = vec![Fate::Deleted; targets.len()];
        for (place, target) in &placed {
            if target.is_whole_shop()
                && let Some(back) = self.back(&plan, target, &mut progress[*place], true).await?
            {
                fates[*place] = Fate::Reinstalled(back);
            }
        }
        // Tables whose rows go by the same statement. A target alone gets one for each, so that an error names the table.
        let one_by_one = targets.len() == 1 || self.one_by_one.load(Ordering::Relaxed);
        let mut together: Vec<(&MappedTable, &Way, Cow<'_, Keys>)> = Vec::new();
        for (place, table) in self.map.tables.iter().enumerate() {
            let action = table.action(false);
            if action == Action::Keep {
                continue;
            }
            for (of_table, way) in table.ways.iter().enumerate() {
                let keys = plan.keys(place, of_table);
                if keys.is_empty() {
                    continue;
                }
                let is_named = together.iter().any(|(other, ..)| other.name == table.name);
                if is_named || action == Action::Mask || one_by_one {
                    self.delete_together(&mut together, progress).await?;
                }
                if action == Action::Delete {
                    together.push((table, &way.way, keys));
                } else {
                    let counts = self.mask(table, Rows::Matching(&way.way), &keys, targets).await;
                    add(progress, table.counter(action), &counts.map_err(|error| error.of_table(&table.name))?);
                }
            }
        }
        self.delete_together(&mut together, progress).await?;
        if targets.iter().any(Target::is_whole_shop) {
            self.whole_shops(&plan, targets, &mut fates, progress).await?;
            for (place, target) in placed {
                if let Some(row) = plan.shops.get(&target.shop_domain).filter(|_| target.is_whole_shop()) {
                    progress[place].shops.insert(self.map.name.clone(), row.key.clone());
                }
            }
        }
        Ok(fates)
    }

    /// Deletes what `together` holds, and empties it.
    async fn delete_together(
        &self,
        together: &mut Vec<(&MappedTable, &Way, Cow<'_, Keys>)>,
        progress: &mut [Progress],
    ) -> Result<(), StoreError> {
        let tables: Vec<_> = together.iter().map(|(table, way, keys)| (&table.reach, *way, &**keys)).collect();
        let counts = target::delete_matching(self.conn, &tables).await.map_err(|error| {
            if let [(table, ..)] = together[..] {
                return error.of_table(&table.name);
            }
            if error.is_entangled() {
                self.one_by_one.store(true, Ordering::Relaxed);
            }
            error
        })?;
        for (place, count) in counts {
            add(progress, together[place].0.counter(Action::Delete), &[count]);
        }
        together.clear();
        Ok(())
    }

    /// Why a shop must not be erased, when it was installed again and nobody can tell what is to go. Otherwise sets up to
    /// when its rows go, if not all do. With `look`, rows are looked for that do not say when they were made.
    async fn back(
        &self,
        plan: &Plan<'_>,
        target: &Target,
        progress: &mut Progress,
        look: bool,
    ) -> Result<Option<Back>, StoreError> {
        let guard = if self.map.name == DEFAULT_STORE {
            let row = plan.shops.get(&target.shop_domain);
            reinstall::guard(self.conn, self.map, row, self.reinstalled, progress).await?
        } else {
            // Elsewhere the default store's word counts.
            progress.made_up_to.map_or(Guard::Erase, Guard::EraseUpTo)
        };
        let cutoff = match guard {
            Guard::Hold(back) => return Ok(Some(back)),
            Guard::Erase => None,
            Guard::EraseUpTo(cutoff) => Some(cutoff),
        };
        if cutoff.is_some() && (look || progress.made_up_to.is_none()) {
            let shops = |table: &MappedTable| plan.whole_shops_of(table.holds, target);
            if let Some(table) = reinstall::undated(self.conn, self.map, shops).await? {
                return Ok(Some(Back::Undated(table)));
            }
        }
        progress.made_up_to = cutoff;
        Ok(None)
    }

    async fn mask(
        &self,
        table: &MappedTable,
        which: Rows<'_>,
        keys: &Keys,
        targets: &[Target],
    ) -> Result<Vec<Count>, StoreError> {
        let mut per_job: HashMap<usize, u64> = HashMap::new();
        for _ in 0..MASKINGS_MAX {
            let Locked { rows, more } =
                target::lock_unmasked(self.conn, &table.reach, which, keys, &table.masks, MASKED_AT_ONCE).await?;
            let shop = |job: usize| targets.get(job).map_or("", |target| target.shop_domain.as_str());
            for row in &rows {
                *per_job.entry(row.job).or_default() += 1;
            }
            let masked = self.write(table, &rows, shop).await?;
            // Rows that were found and could not be changed would be found for ever.
            if !more || !masked {
                return Ok(per_job.into_iter().map(|(job, rows)| Count { job, rows }).collect());
            }
        }
        Err(StoreError::ComeBack(String::new()))
    }

    async fn write<'t>(
        &self,
        table: &MappedTable,
        rows: &[Masked],
        shop: impl Fn(usize) -> &'t str,
    ) -> Result<bool, StoreError> {
        let new: Vec<_> = rows
            .iter()
            .filter_map(|row| self.masker.replacing(shop(row.job), &table.name, &table.masks, row))
            .collect();
        let all = new.len() == rows.len();
        target::replace(self.conn, &table.name, &table.masks, new).await?;
        Ok(all)
    }

    async fn whole_shops(
        &self,
        plan: &Plan<'_>,
        targets: &[Target],
        fates: &mut [Fate],
        progress: &mut [Progress],
    ) -> Result<(), StoreError> {
        let backend = self.conn.get_database_backend();
        let cutoffs: Vec<_> = progress.iter().map(|progress| progress.made_up_to).collect();
        let cutoff = |job: usize| cutoffs.get(job).copied().flatten();
        for (job, rows) in self.sizes(plan, cutoff, self.rows_max + 1).await? {
            if rows > self.rows_max && fates[job] == Fate::Deleted {
                fates[job] = Fate::TooLarge;
            }
        }
        let small: HashSet<usize> = (0..fates.len()).filter(|job| fates[*job] == Fate::Deleted).collect();
        let only_small = |keys: &Keys| {
            let mut kept = Keys::default();
            kept.extend_with(keys, |at| usize::try_from(keys.jobs[at]).is_ok_and(|job| small.contains(&job)));
            kept
        };
        // Children first, so that each is counted: a cascade would take them unseen.
        for table in self.map.touched(true) {
            let action = table.action(true);
            for (which, keys) in plan::by_cutoff(backend, &only_small(&plan.whole_shops(table.holds)), cutoff) {
                let counts = if action == Action::Delete {
                    target::delete_shops(self.conn, &table.reach, which, &keys).await
                } else {
                    self.mask(table, which, &keys, targets).await
                };
                let counts = counts.map_err(|error| error.of_table(&table.name))?;
                add(progress, table.counter(action), &counts);
            }
        }
        if let Some(shop) = self.map.deletes_shop_row() {
            let keys = only_small(&plan.whole_shops(super::data_map::ShopReference::ShopId));
            // The row of a shop that came back stays.
            let whole = plan::by_cutoff(backend, &keys, cutoff);
            for (which, keys) in whole.iter().filter(|(which, _)| matches!(which, Rows::WholeShop)) {
                let counts = target::delete_shops(self.conn, &own_row(shop), *which, keys).await?;
                add(progress, &shop.result_key, &counts);
            }
        }
        Ok(())
    }

    /// How many rows of each whole shop are to be deleted or masked, each table's count cut off at `limit`.
    async fn sizes(
        &self,
        plan: &Plan<'_>,
        cutoff: impl Fn(usize) -> Option<DateTime<Utc>>,
        limit: u64,
    ) -> Result<HashMap<usize, u64>, StoreError> {
        let mut sizes: HashMap<usize, u64> = HashMap::new();
        for (reference, tables) in by_reference(self.map) {
            let keys = plan.whole_shops(reference);
            for (which, keys) in plan::by_cutoff(self.conn.get_database_backend(), &keys, &cutoff) {
                for (_, count) in target::shop_rows(self.conn, which, &reaches(&tables), &keys, limit).await? {
                    *sizes.entry(count.job).or_default() += count.rows;
                }
            }
        }
        Ok(sizes)
    }

    /// How many rows of one shop are still to be deleted or masked.
    ///
    /// # Errors
    /// When the database refuses or does not answer.
    pub async fn left_of_shop(&self, target: &Target, progress: &Progress) -> Result<u64, StoreError> {
        let known = known_shops(&self.map.name, std::slice::from_ref(target), std::slice::from_ref(progress));
        let plan = Plan::lay_out(self.conn, self.map, &[(0, target)], &known, true).await?;
        let all = i64::MAX.unsigned_abs();
        Ok(self.sizes(&plan, |_| progress.made_up_to, all).await?.into_values().sum())
    }

    /// Erases up to `rows_max` rows of one shop, children first, and the shop's own row once no child is left.
    ///
    /// # Errors
    /// When the database refuses or does not answer; the caller rolls back.
    pub async fn shop_step(&self, target: &Target, progress: &mut Progress) -> Result<Step, StoreError> {
        let known = known_shops(&self.map.name, std::slice::from_ref(target), std::slice::from_ref(progress));
        let plan = Plan::lay_out(self.conn, self.map, &[(0, target)], &known, true).await?;
        if let Some(back) = self.back(&plan, target, progress, false).await? {
            return Ok(Step::Reinstalled(back));
        }
        let backend = self.conn.get_database_backend();
        let made_up_to = progress.made_up_to.map(|cutoff| target::micros_of(backend, cutoff));
        if let Some(row) = plan.shops.get(&target.shop_domain) {
            progress.shops.insert(self.map.name.clone(), row.key.clone());
        }
        let mut left = self.rows_max;
        for table in self.map.touched(true) {
            let action = table.action(true);
            for key in &plan.whole_shops(table.holds).shops {
                let of_table = |error: StoreError| error.of_table(&table.name);
                let rows = if action == Action::Delete {
                    target::delete_shop_rows(self.conn, &table.reach, key, made_up_to, left).await.map_err(of_table)?
                } else {
                    let mut keys = Keys::default();
                    keys.push(0, key, made_up_to.map_or_else(String::new, |micros| micros.to_string()));
                    let which = if made_up_to.is_some() { Rows::MadeUpTo } else { Rows::WholeShop };
                    let locked = target::lock_unmasked(self.conn, &table.reach, which, &keys, &table.masks, left);
                    let rows = locked.await?.rows;
                    self.write(table, &rows, |_| target.shop_domain.as_str()).await?;
                    rows.len() as u64
                };
                progress.add(table.counter(action), rows);
                left -= rows.min(left);
                if left == 0 {
                    return Ok(Step::More);
                }
            }
        }
        if let Some(shop) = self.map.deletes_shop_row().filter(|_| made_up_to.is_none()) {
            for key in &plan.whole_shops(super::data_map::ShopReference::ShopId).shops {
                let rows = target::delete_shop_rows(self.conn, &own_row(shop), key, None, 1).await?;
                progress.add(&shop.result_key, rows);
            }
        }
        Ok(Step::Done)
    }
}

/// What one step of a large shop came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The step's rows are erased; more are left.
    More,
    /// All rows are erased, the shop's own last.
    Done,
    /// The shop was installed again, and a person must decide; nothing was touched.
    Reinstalled(Back),
}

/// The shop's own row, reached by its key.
fn own_row(shop: &MappedShop) -> Reach {
    let key = Column { at: 0, name: shop.table.id.clone(), kind: shop.id_kind };
    Reach { table: shop.table.table.clone(), hops: Vec::new(), shop: key, made: None }
}

fn known_shops(store: &str, targets: &[Target], progress: &[Progress]) -> HashMap<String, String> {
    let known = targets.iter().zip(progress);
    known.filter_map(|(target, done)| Some((target.shop_domain.clone(), done.shops.get(store)?.clone()))).collect()
}

/// The tables that a whole shop's erasure touches, by what their shop column holds.
pub(super) fn by_reference(map: &StoreMap) -> Vec<(super::data_map::ShopReference, Vec<&MappedTable>)> {
    use super::data_map::ShopReference::{ShopDomain, ShopId, ShopNumber};
    [ShopId, ShopDomain, ShopNumber]
        .into_iter()
        .map(|reference| (reference, map.touched(true).filter(|table| table.holds == reference).collect()))
        .collect()
}

/// The tables with what is still to be done in them: all rows to delete, or those not masked yet.
pub(super) fn reaches<'a>(tables: &[&'a MappedTable]) -> Vec<(&'a Reach, Option<&'a [target::MaskedColumn]>)> {
    tables
        .iter()
        .map(|table| (&table.reach, (table.action(true) == Action::Mask).then_some(table.masks.as_slice())))
        .collect()
}

fn add(progress: &mut [Progress], key: &str, counts: &[Count]) {
    for count in counts {
        if let Some(progress) = progress.get_mut(count.job) {
            progress.add(key, count.rows);
        }
    }
}
