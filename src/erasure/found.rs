//! Counts what an erasure is about to take, before it does: where a transaction is not the job's own, that is how one can
//! tell later what was already gone.

use std::collections::{BTreeMap, HashMap};

use super::data_map::{Action, StoreMap};
use super::execute::{by_reference, reaches};
use super::plan::{self, Plan};
use super::progress::Progress;
use super::subject::Target;
use crate::store::target::{self, Probe};
use crate::store::{Store, StoreError};

/// Rows of each target that are there to be deleted or masked, by the map's counters, in one snapshot.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn found(
    map: &StoreMap,
    store: &Store,
    targets: &[(&Target, &Progress)],
) -> Result<Vec<BTreeMap<String, u64>>, StoreError> {
    let mut found: Vec<BTreeMap<String, u64>> = vec![BTreeMap::new(); targets.len()];
    let mut add = |job: usize, key: &str, rows: u64| {
        if let Some(of_job) = found.get_mut(job) {
            *of_job.entry(key.to_owned()).or_default() += rows;
        }
    };
    let placed: Vec<(usize, &Target)> = targets.iter().map(|(target, _)| *target).enumerate().collect();
    let known: HashMap<String, String> = targets
        .iter()
        .filter_map(|(target, progress)| Some((target.shop_domain.clone(), progress.shops.get(&map.name)?.clone())))
        .collect();
    let cutoff = |job: usize| targets.get(job).and_then(|(_, progress)| progress.made_up_to);
    let snapshot = store.begin_snapshot().await?;
    let plan = Plan::lay_out(&snapshot, map, &placed, &known, false).await?;
    let keys: Vec<_> = (0..map.tables.len()).map(|place| plan.keys_of(place)).collect();
    let tables: Vec<_> =
        map.tables.iter().zip(&keys).filter(|(table, _)| table.action(false) != Action::Keep).collect();
    let probes: Vec<Probe<'_>> = tables
        .iter()
        .map(|(table, keys)| {
            let masks = (table.action(false) == Action::Mask).then_some(table.masks.as_slice());
            Probe { unmasked: masks, ..plan::probe(table, keys) }
        })
        .collect();
    for (place, count) in target::count_found(&snapshot, &probes).await? {
        add(count.job, tables[place].0.counter(tables[place].0.action(false)), count.rows);
    }
    for (reference, tables) in by_reference(map) {
        for (which, keys) in plan::by_cutoff(store.backend(), &plan.whole_shops(reference), cutoff) {
            for (place, count) in target::shop_rows(&snapshot, which, &reaches(&tables), &keys, ALL).await? {
                add(count.job, tables[place].counter(tables[place].action(true)), count.rows);
            }
        }
    }
    if let Some(shop) = map.deletes_shop_row() {
        for (job, target) in placed.iter().filter(|(job, t)| t.is_whole_shop() && cutoff(*job).is_none()) {
            add(*job, &shop.result_key, u64::from(plan.shops.contains_key(&target.shop_domain)));
        }
    }
    snapshot.commit().await?;
    Ok(found)
}

/// No count is cut off.
const ALL: u64 = i64::MAX.unsigned_abs();
