//! Finds the rows of tombstones, whichever way is left: by the job's own ids, by digests, by the shop's key.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use entity::suppression::{Model, Purpose};
use serde::Deserialize as _;

use super::scan::Wanted;
use super::tombstone::MADE_UP_TO;
use super::{Suppression, SuppressionError};
use crate::erasure::progress::Progress;
use crate::erasure::subject::{Scope, Subject, Target, may_withhold};
use crate::erasure::verify::{self, Verdict};
use crate::store::StoreError;
use crate::store::{suppression, target};

/// Tombstones that are looked up together.
const TOGETHER: usize = 256;

/// The reason under which a child is held when nobody can tell late rows from a shop that is back.
const REINSTALLED: &str = "shop_reinstalled";

/// Rows that should not be there.
#[derive(Clone, Debug)]
pub struct Late {
    pub row: Model,
    pub target: Target,
    /// The shop's keys, for a child that cannot look them up any more.
    pub progress: Progress,
    /// Table and number of rows.
    pub tables: Vec<(String, u64)>,
    /// Why a person must decide.
    pub hold: Option<&'static str>,
}

impl Late {
    /// Rows, all tables together.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|(_, rows)| rows).sum()
    }
}

/// What looking came to.
#[derive(Debug, Default)]
pub struct Looked {
    pub late: Vec<Late>,
    /// Distinct values that were compared.
    pub values: u64,
    /// Jobs of tombstones whose shop was installed again after the erasure: its rows are not looked at.
    pub reinstalled: HashSet<String>,
    /// Jobs of tombstones that could not be looked up, with the reason.
    pub unknown: Vec<(String, String)>,
}

/// What a shop's own row says after the shop was erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Presence {
    /// There is none: whatever is left of the shop came late.
    Absent,
    /// It is as old as before the erasure: something brought it back.
    Before,
    /// There is one, or there is no such table, and nobody can tell since when.
    Unknown,
    /// The shop was installed after the erasure.
    Since,
}

impl Suppression {
    /// Looks for the rows of tombstones. With `ask_jobs`, ids that the jobs' own rows still have are used instead of comparing
    /// digests.
    ///
    /// # Errors
    /// When a store does not answer, or a tombstone's key is not in the keys file.
    pub async fn look(&self, rows: &[Model], ask_jobs: bool) -> Result<Looked, SuppressionError> {
        let mut looked = Looked::default();
        let mut targets = self.customers(rows, ask_jobs, &mut looked).await?;
        targets.extend(self.shops(rows, &mut looked).await?);
        for chunk in targets.chunks(TOGETHER) {
            self.verify(chunk, &mut looked).await?;
        }
        Ok(looked)
    }

    async fn customers(
        &self,
        rows: &[Model],
        ask_jobs: bool,
        looked: &mut Looked,
    ) -> Result<Vec<Late>, SuppressionError> {
        let customers: Vec<&Model> = rows.iter().filter(|row| row.purpose == Purpose::Customer).collect();
        let mut known: HashMap<String, Target> = HashMap::new();
        if ask_jobs && !customers.is_empty() {
            let ids = customers.iter().map(|row| row.job_id.clone()).collect();
            let domains: HashMap<&str, &str> =
                customers.iter().map(|row| (row.job_id.as_str(), row.shop_domain.as_str())).collect();
            for parent in suppression::parents(self.store.db(), ids).await? {
                let Some(domain) = domains.get(parent.id.as_str()) else { continue };
                let read = Target::of_subject(&parent.id, domain, &parent.payload, "orders_to_redact");
                // A row that does not read back, or keeps not all, is as good as none: its digests are compared.
                let whole = read.ok().filter(|_| !may_withhold(&parent.payload));
                known.extend(whole.map(|target| (parent.id, target)));
            }
        }
        let wanted: Vec<Wanted<'_>> =
            customers.iter().map(|row| Wanted { row, ids_known: known.contains_key(&row.job_id) }).collect();
        let scanned = self.scan(&wanted).await?;
        looked.values += scanned.values;
        let mut late = Vec::new();
        for (row, found) in customers.into_iter().zip(scanned.found) {
            let mut target = known.remove(&row.job_id).unwrap_or_else(|| Target {
                shop_domain: row.shop_domain.clone(),
                shop_number: None,
                scope: Scope::Subject(Subject::new()),
            });
            let Scope::Subject(subject) = &mut target.scope else { continue };
            found.add_to(subject);
            if subject.is_empty() {
                continue;
            }
            let target = target.with_shop_number(row.shop_id.clone());
            late.push(Late { row: row.clone(), target, progress: Progress::default(), tables: Vec::new(), hold: None });
        }
        Ok(late)
    }

    async fn shops(&self, rows: &[Model], looked: &mut Looked) -> Result<Vec<Late>, SuppressionError> {
        let shops: Vec<&Model> = rows.iter().filter(|row| row.purpose == Purpose::Shop).collect();
        let presence = self.presence(&shops).await?;
        let mut late = Vec::new();
        for row in shops {
            let keys = row.shop_keys.as_ref().and_then(|keys| BTreeMap::deserialize(keys).ok());
            let mut shops: BTreeMap<String, String> = keys.unwrap_or_default();
            let made_up_to = match shops.remove(MADE_UP_TO).map(|at| at.parse::<DateTime<Utc>>()) {
                None => None,
                Some(Ok(at)) => Some(at),
                Some(Err(_)) => {
                    looked.unknown.push((row.job_id.clone(), "its instant does not read".to_owned()));
                    continue;
                }
            };
            // Up to an instant, a shop's rows may be looked for whether it is there or not.
            let presence = presence.get(row.job_id.as_str()).copied().unwrap_or(Presence::Unknown);
            let presence = if made_up_to.is_some() { Presence::Absent } else { presence };
            if presence == Presence::Since {
                looked.reinstalled.insert(row.job_id.clone());
                continue;
            }
            late.push(Late {
                row: row.clone(),
                target: Target::of_shop(&row.shop_domain).with_shop_number(row.shop_id.clone()),
                progress: Progress { shops, made_up_to, ..Progress::default() },
                tables: Vec::new(),
                hold: (presence == Presence::Unknown).then_some(REINSTALLED),
            });
        }
        Ok(late)
    }

    async fn presence<'r>(&self, shops: &[&'r Model]) -> Result<HashMap<&'r str, Presence>, SuppressionError> {
        let mut presence: HashMap<&str, Presence> = HashMap::new();
        if shops.is_empty() {
            return Ok(presence);
        }
        for (map, store) in self.stores.all().await? {
            let Some(shop) = &map.shop else { continue };
            let domains: HashSet<String> = shops.iter().map(|row| row.shop_domain.clone()).collect();
            let installed = target::installed(store.db(), &shop.table, domains.into_iter().collect());
            let installed = installed.await.map_err(|error| error.of_store(&map.name))?;
            for row in shops {
                let here = installed.iter().filter(|shop| shop.domain == row.shop_domain).map(|shop| match shop.at {
                    Some(at) if at > row.created_at => Presence::Since,
                    Some(_) => Presence::Before,
                    None => Presence::Unknown,
                });
                let worst = here.max().unwrap_or(Presence::Absent);
                let known = presence.entry(row.job_id.as_str()).or_insert(worst);
                *known = worst.max(*known);
            }
        }
        Ok(presence)
    }

    /// Asks the verifier, which knows masks, grounds and all stores: rows that are found are late.
    async fn verify(&self, chunk: &[Late], looked: &mut Looked) -> Result<(), SuppressionError> {
        let stores = self.stores.all().await?;
        // One that cannot be looked up must not keep the others from it.
        let mut left: Vec<&[Late]> = vec![chunk];
        while let Some(chunk) = left.pop() {
            let targets: Vec<(&Target, &Progress)> = chunk.iter().map(|late| (&late.target, &late.progress)).collect();
            match verify::verify(&stores, &self.clock, &targets).await {
                Ok(verdicts) => {
                    for (late, verdict) in chunk.iter().zip(verdicts) {
                        if let Verdict::Residue(tables) = verdict {
                            looked.late.push(Late { tables, ..late.clone() });
                        }
                    }
                }
                Err(StoreError::Refused(reason)) if chunk.len() == 1 => {
                    looked.unknown.push((chunk[0].row.job_id.clone(), reason));
                }
                Err(StoreError::Refused(_)) => {
                    let (first, second) = chunk.split_at(chunk.len() / 2);
                    left.extend([second, first]);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
