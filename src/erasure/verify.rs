//! Looks the subject up again, in a fresh snapshot, in every mapped table.
//!
//! Only this file can make a [`Verified`], and nothing completes without one.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::data_map::{DataMap, MappedTable, ShopReference};
use super::plan::Plan;
use super::subject::{Scope, Target};
use crate::clock::Clock;
use crate::store::target::{self, Keys, Match};
use crate::store::{Store, StoreError};

/// Says that a target's rows were looked for after the deletes had committed, and that none was found.
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
    /// Nothing.
    Clean(Verified),
    /// Rows are left: table and number of rows.
    Residue(Vec<(String, u64)>),
}

/// Looks for the rows of targets whose deletes have committed: all tables in one snapshot.
///
/// `shops` holds the keys of shops whose own row has been deleted by now.
///
/// # Errors
/// When the database refuses or does not answer: then nothing is known, and nothing may complete.
pub async fn verify(
    store: &Store,
    clock: &Clock,
    map: &DataMap,
    targets: &[(Target, Option<String>)],
) -> Result<Vec<Verdict>, StoreError> {
    let verified = Verified { at: clock.now() };
    let placed: Vec<(usize, &Target)> = targets.iter().map(|(target, _)| target).enumerate().collect();
    let known: HashMap<String, String> =
        targets.iter().filter_map(|(target, shop)| Some((target.shop_domain.clone(), shop.clone()?))).collect();
    let snapshot = store.begin_snapshot().await?;
    let plan = Plan::lay_out(&snapshot, map, &placed, &known, false).await?;
    let mut residue: Vec<Vec<(String, u64)>> = vec![Vec::new(); targets.len()];
    let mut found = |table: &str, job: usize, rows: u64| {
        if let Some(of_job) = residue.get_mut(job) {
            of_job.push((table.to_owned(), rows));
        }
    };
    let (tables, ways): (Vec<&MappedTable>, Vec<Match<'_>>) = map.customer_tables().unzip();
    let keys: Vec<_> = tables.iter().map(|table| plan.orders(table)).collect();
    let probes: Vec<(Match<'_>, &Keys)> = ways.into_iter().zip(keys.iter().map(|keys| &**keys)).collect();
    for (place, count) in target::residue(&snapshot, &probes).await? {
        found(tables[place].name.as_str(), count.job, count.rows);
    }
    for reference in [ShopReference::ShopId, ShopReference::ShopDomain] {
        let tables: Vec<_> =
            map.shop_tables().filter(|table| table.holds == reference).map(|t| (&t.name, &t.shop)).collect();
        for (place, count) in target::shop_rows(&snapshot, &tables, plan.whole_shops(reference), 1_000).await? {
            found(tables[place].0.as_str(), count.job, count.rows);
        }
    }
    for (job, target) in placed {
        if target.scope == Scope::Shop && plan.shops.contains_key(&target.shop_domain) {
            found(map.shop.table.as_str(), job, 1);
        }
    }
    snapshot.commit().await?;
    Ok(residue
        .into_iter()
        .map(|of_job| if of_job.is_empty() { Verdict::Clean(verified) } else { Verdict::Residue(of_job) })
        .collect())
}
