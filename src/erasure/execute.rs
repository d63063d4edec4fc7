//! Deletes application rows: the only room that does.
//!
//! A batch of small targets is one pass of set-based statements, one per table. A large shop is taken in bounded
//! steps, each in the caller's own transaction. The caller has checked its claims in that transaction before.

pub mod uninstall;

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::data_map::{DataMap, ShopReference};
use super::plan::Plan;
use super::reinstall::{self, Policy};
use super::subject::{Scope, Target};
use crate::clock::rfc3339;
use crate::store::StoreError;
use crate::store::target::{self, Count, Keys};

/// Rows deleted so far for one job, by result key, and the shop's key, which outlives the shop's row here.
///
/// Stored in `"GDPRJob"."progress"` in the transaction of the deletes, so that a crash loses no count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rows deleted, by result key. Never decreases.
    pub deleted: BTreeMap<String, u64>,
    /// The shop's key, once it was found.
    pub shop: Option<String>,
    /// When an operator released the job although its shop had been installed again.
    pub reinstall_released_at: Option<DateTime<Utc>>,
}

impl Progress {
    /// Reads what an earlier attempt stored; nothing stored is no progress.
    pub fn from_json(stored: Option<&Value>) -> Self {
        let deleted = stored.and_then(|stored| stored.get("deleted")).and_then(Value::as_object);
        Self {
            deleted: deleted
                .map(|map| map.iter().map(|(key, n)| (key.clone(), n.as_u64().unwrap_or_default())).collect())
                .unwrap_or_default(),
            shop: stored.and_then(|stored| stored.get("shop")).and_then(Value::as_str).map(str::to_owned),
            reinstall_released_at: stored
                .and_then(|stored| stored.get("reinstallReleasedAt"))
                .and_then(|at| at.as_str()?.parse().ok()),
        }
    }

    /// What is stored.
    pub fn to_json(&self) -> Value {
        let mut stored = json!({ "deleted": self.deleted, "shop": self.shop });
        if let Some(at) = self.reinstall_released_at {
            stored["reinstallReleasedAt"] = rfc3339(at).into();
        }
        stored
    }

    /// Rows deleted, all tables together.
    pub fn total(&self) -> u64 {
        self.deleted.values().sum()
    }

    fn add(&mut self, key: &str, rows: u64) {
        if rows > 0 {
            *self.deleted.entry(key.to_owned()).or_default() += rows;
        }
    }
}

/// What bounds an erasure. A bare number is the limit of rows, with the default policy.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Rows of a shop that one transaction may take.
    pub rows_max: u64,
    /// What becomes of a `shop/redact` whose shop was installed again.
    pub reinstalled: Policy,
}

impl From<u64> for Rules {
    fn from(rows_max: u64) -> Self {
        Self { rows_max, reinstalled: Policy::default() }
    }
}

/// What became of one target of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its rows are deleted in this transaction.
    Deleted,
    /// It is a shop with more rows than one transaction may take; nothing was touched.
    TooLarge,
    /// It is a shop that was installed again; nothing was touched.
    Reinstalled,
}

/// Deletes the rows of many targets, and adds what was deleted to each target's progress.
///
/// Shops with more than `rows_max` rows and shops that were installed again are left alone and say so.
///
/// # Errors
/// When the database refuses or does not answer; the caller rolls back.
pub async fn batch(
    conn: &impl ConnectionTrait,
    map: &DataMap,
    targets: &[Target],
    progress: &mut [Progress],
    rules: impl Into<Rules>,
) -> Result<Vec<Fate>, StoreError> {
    let Rules { rows_max, reinstalled } = rules.into();
    let placed: Vec<(usize, &Target)> = targets.iter().enumerate().collect();
    let known: HashMap<String, String> = targets
        .iter()
        .zip(progress.iter())
        .filter_map(|(target, progress)| Some((target.shop_domain.clone(), progress.shop.clone()?)))
        .collect();
    let plan = Plan::lay_out(conn, map, &placed, &known, true).await?;
    let mut fates = vec![Fate::Deleted; targets.len()];
    for (place, target) in &placed {
        if target.scope == Scope::Shop
            && let Some(row) = plan.shops.get(&target.shop_domain)
            && !reinstall::guard(conn, &map.shop, row, reinstalled, progress[*place].reinstall_released_at)
                .await?
                .erases()
        {
            fates[*place] = Fate::Reinstalled;
        }
    }
    for (table, way) in map.customer_tables() {
        let keys = plan.orders(table);
        if !keys.is_empty() {
            let counts = target::delete_matching(conn, way, &keys).await?;
            add(progress, &table.result_key, &counts);
        }
    }
    if targets.iter().any(|target| target.scope == Scope::Shop) {
        whole_shops(conn, map, &plan, &mut fates, progress, rows_max).await?;
        for (place, target) in placed {
            if target.scope == Scope::Shop
                && let Some(row) = plan.shops.get(&target.shop_domain)
            {
                progress[place].shop = Some(row.key.clone());
            }
        }
    }
    Ok(fates)
}

fn add(progress: &mut [Progress], key: &str, counts: &[Count]) {
    for count in counts {
        if let Some(progress) = progress.get_mut(count.job) {
            progress.add(key, count.rows);
        }
    }
}

async fn whole_shops(
    conn: &impl ConnectionTrait,
    map: &DataMap,
    plan: &Plan,
    fates: &mut [Fate],
    progress: &mut [Progress],
    rows_max: u64,
) -> Result<(), StoreError> {
    let mut sizes: HashMap<usize, u64> = HashMap::new();
    for reference in [ShopReference::ShopId, ShopReference::ShopDomain] {
        let tables: Vec<_> =
            map.shop_tables().filter(|table| table.holds == reference).map(|t| (&t.name, &t.shop)).collect();
        for (_, count) in target::shop_rows(conn, &tables, plan.whole_shops(reference), rows_max + 1).await? {
            *sizes.entry(count.job).or_default() += count.rows;
        }
    }
    for (job, rows) in sizes {
        if rows > rows_max && fates[job] == Fate::Deleted {
            fates[job] = Fate::TooLarge;
        }
    }
    let small: HashSet<usize> = (0..fates.len()).filter(|job| fates[*job] == Fate::Deleted).collect();
    let only_small = |keys: &Keys| {
        let mut kept = Keys::default();
        for (i, job) in keys.jobs.iter().enumerate() {
            let job = usize::try_from(*job).unwrap_or(usize::MAX);
            if small.contains(&job) {
                kept.push(job, &keys.shops[i], String::new());
            }
        }
        kept
    };
    let by_id = only_small(plan.whole_shops(ShopReference::ShopId));
    let by_domain = only_small(plan.whole_shops(ShopReference::ShopDomain));
    // Children first, so that each is counted: a cascade would take them unseen.
    for table in map.shop_tables() {
        let keys = if table.holds == ShopReference::ShopId { &by_id } else { &by_domain };
        if !keys.is_empty() {
            let counts = target::delete_shops(conn, &table.name, &table.shop, keys).await?;
            add(progress, &table.result_key, &counts);
        }
    }
    if !by_id.is_empty() {
        let counts = target::delete_shops(conn, &map.shop.table, &map.shop.id, &by_id).await?;
        add(progress, &map.shop_result_key, &counts);
    }
    Ok(())
}

/// What one step of a large shop came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The step's rows are deleted; more are left.
    More,
    /// All rows are deleted, the shop's own last.
    Done,
    /// The shop was installed again; nothing was touched.
    Reinstalled,
}

/// Deletes up to `rows_max` rows of one shop, children first, and the shop's own row once no child is left.
///
/// # Errors
/// When the database refuses or does not answer; the caller rolls back.
pub async fn shop_step(
    conn: &impl ConnectionTrait,
    map: &DataMap,
    target: &Target,
    progress: &mut Progress,
    rules: impl Into<Rules>,
) -> Result<Step, StoreError> {
    let Rules { rows_max, reinstalled } = rules.into();
    let row = target::shops(conn, &map.shop, vec![target.shop_domain.clone()], true).await?.pop();
    if let Some(row) = &row
        && !reinstall::guard(conn, &map.shop, row, reinstalled, progress.reinstall_released_at).await?.erases()
    {
        return Ok(Step::Reinstalled);
    }
    if let Some(row) = row {
        progress.shop = Some(row.key);
    }
    let key = progress.shop.clone();
    let mut left = rows_max;
    for table in map.shop_tables() {
        let shop = match table.holds {
            ShopReference::ShopId => key.as_deref(),
            ShopReference::ShopDomain => Some(target.shop_domain.as_str()),
        };
        let Some(shop) = shop else { continue };
        let rows = target::delete_shop_rows(conn, &table.name, &table.shop, shop, left).await?;
        progress.add(&table.result_key, rows);
        left -= rows.min(left);
        if left == 0 {
            return Ok(Step::More);
        }
    }
    if let Some(key) = key {
        let rows = target::delete_shop_rows(conn, &map.shop.table, &map.shop.id, &key, 1).await?;
        progress.add(&map.shop_result_key, rows);
    }
    Ok(Step::Done)
}
