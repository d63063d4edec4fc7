//! Looks the subject up again, in a fresh snapshot per store, in every mapped table.
//!
//! Only this file can make a [`Verified`], and nothing completes without one.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};

use super::data_map::{Action, MappedTable, ShopReference, StoreMap};
use super::execute::{by_reference, reaches};
use super::plan::{self, Plan};
use super::progress::Progress;
use super::reinstall;
use super::subject::Target;
use crate::clock::Clock;
use crate::store::target::{self, Ident, Probe, Rows};
use crate::store::{Store, StoreError};

/// Rows of whole shops are counted up to this number: residue is residue.
const COUNTED_MAX: u64 = 1_000;

/// Says that a target's rows were looked for in every store after the changes had committed, and that none was found.
#[derive(Clone, Copy, Debug)]
pub struct Verified {
    at: DateTime<Utc>,
}

impl Verified {
    /// When the lookup began.
    pub fn at(&self) -> DateTime<Utc> {
        self.at
    }
}

/// What the verifier found of one target.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Nothing but what is kept on a legal ground, by the map's counters.
    Clean { verified: Verified, kept: BTreeMap<String, u64> },
    /// Rows are left: table and number of rows.
    Residue(Vec<(String, u64)>),
}

#[derive(Clone, Debug, Default)]
struct Found {
    residue: Vec<(String, u64)>,
    kept: BTreeMap<String, u64>,
}

/// Looks for the rows of targets whose changes have committed: per store, all tables in one snapshot.
///
/// # Errors
/// When a database refuses or does not answer: then nothing is known, and nothing may complete.
pub async fn verify(
    stores: &[(&StoreMap, &Store)],
    clock: &Clock,
    targets: &[(&Target, &Progress)],
) -> Result<Vec<Verdict>, StoreError> {
    let verified = Verified { at: clock.now() };
    let mut found = vec![Found::default(); targets.len()];
    for (map, store) in stores {
        look(map, store, targets, &mut found).await.map_err(|error| error.of_store(&map.name))?;
    }
    Ok(found
        .into_iter()
        .map(
            |Found { residue, kept }| {
                if residue.is_empty() { Verdict::Clean { verified, kept } } else { Verdict::Residue(residue) }
            },
        )
        .collect())
}

async fn look(
    map: &StoreMap,
    store: &Store,
    targets: &[(&Target, &Progress)],
    found: &mut [Found],
) -> Result<(), StoreError> {
    let placed: Vec<(usize, &Target)> = targets.iter().map(|(target, _)| *target).enumerate().collect();
    let known: HashMap<String, String> = targets
        .iter()
        .filter_map(|(target, progress)| Some((target.shop_domain.clone(), progress.shops.get(&map.name)?.clone())))
        .collect();
    let cutoff = |job: usize| targets.get(job).and_then(|(_, progress)| progress.made_up_to);
    let snapshot = store.begin_snapshot().await?;
    let plan = Plan::lay_out(&snapshot, map, &placed, &known, false).await?;
    // Where a table stands in another database, its name alone does not say which.
    let name = |table: &Ident| map.told(table);

    let keys: Vec<_> = (0..map.tables.len()).map(|place| plan.keys_of(place)).collect();
    let asked: Vec<usize> = (0..map.tables.len())
        .filter(|place| map.tables[*place].action(false) != Action::Keep || map.tables[*place].keeps_on_ground(false))
        .collect();
    let probes: Vec<Probe<'_>> = asked
        .iter()
        .map(|place| {
            let table = &map.tables[*place];
            let masks = (table.action(false) == Action::Mask).then_some(table.masks.as_slice());
            Probe { unmasked: masks, ..plan::probe(table, &keys[*place]) }
        })
        .collect();
    for (place, count) in target::count_found(&snapshot, &probes).await? {
        let table = &map.tables[asked[place]];
        let Some(of_job) = found.get_mut(count.job) else { continue };
        if table.action(false) == Action::Keep {
            *of_job.kept.entry(table.keep_key.clone()).or_default() += count.rows;
        } else {
            of_job.residue.push((name(&table.name), count.rows));
        }
    }

    if targets.iter().any(|(target, _)| target.is_whole_shop()) {
        for (reference, tables) in by_reference(map) {
            for (which, keys) in plan::by_cutoff(store.backend(), &plan.whole_shops(reference), cutoff) {
                let reaches = reaches(&tables);
                for (place, count) in target::shop_rows(&snapshot, which, &reaches, &keys, COUNTED_MAX).await? {
                    if let Some(of_job) = found.get_mut(count.job) {
                        of_job.residue.push((name(&tables[place].name), count.rows));
                    }
                }
            }
        }
        // A row that does not say when it was made may be one of those that were to go.
        for (job, target) in placed.iter().filter(|(job, target)| target.is_whole_shop() && cutoff(*job).is_some()) {
            let shops = |table: &MappedTable| plan.whole_shops_of(table.holds, target);
            if let Some(table) = reinstall::undated(&snapshot, map, shops).await? {
                found[*job].residue.push((table, 1));
            }
        }
        let whole = [ShopReference::ShopId, ShopReference::ShopDomain, ShopReference::ShopNumber]
            .map(|reference| (reference, plan.whole_shops(reference)));
        let kept: Vec<_> = map.tables.iter().filter(|table| table.keeps_on_ground(true)).collect();
        let probes: Vec<Probe<'_>> = kept
            .iter()
            .map(|table| {
                let ways = whole.iter().filter(|(reference, _)| *reference == table.holds);
                let ways = ways.map(|(_, keys)| (Rows::WholeShop, &**keys)).collect();
                Probe { reach: &table.reach, ways, unmasked: None }
            })
            .collect();
        for (place, count) in target::count_found(&snapshot, &probes).await? {
            if let Some(of_job) = found.get_mut(count.job) {
                *of_job.kept.entry(kept[place].keep_key.clone()).or_default() += count.rows;
            }
        }
        if let Some(shop) = map.deletes_shop_row() {
            for (job, target) in placed.iter().filter(|(job, t)| t.is_whole_shop() && cutoff(*job).is_none()) {
                if plan.shops.contains_key(&target.shop_domain) {
                    found[*job].residue.push((name(&shop.table.table), 1));
                }
            }
        }
    }
    snapshot.commit().await?;
    Ok(())
}
