//! What was done so far for one job: stored in its row with every transaction, so that a crash loses no count.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How far a store other than the default one has come. Its transactions are not the job's, so each step is recorded
/// before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StoreStep {
    /// Its rows may have been erased, and how many is not recorded yet.
    Started,
    /// It was started before, and its counts never came: what is found now is what that attempt left.
    StartedAgain,
    /// Its rows are erased and counted.
    Deleted,
    /// As `Deleted`, after an attempt whose counts never came: what that attempt erased was already absent.
    DeletedRest,
}

/// Rows erased so far for one job, and the shop's keys, which outlive the shop's rows here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Rows deleted, masked or exported, by the map's counters. Never decreases.
    pub counts: BTreeMap<String, u64>,
    /// The shop's key per store, once it was found.
    pub shops: BTreeMap<String, String>,
    /// Steps of stores other than the default one.
    pub stores: BTreeMap<String, StoreStep>,
    /// When an operator released the job although its shop had been installed again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reinstall_released_at: Option<DateTime<Utc>>,
}

impl Progress {
    /// Reads what an earlier attempt stored; nothing stored is no progress.
    pub fn from_json(stored: Option<&Value>) -> Self {
        stored.and_then(|stored| Self::deserialize(stored).ok()).unwrap_or_default()
    }

    /// What is stored.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Whether anything was done or begun.
    pub fn has_begun(&self) -> bool {
        !self.counts.is_empty() || !self.shops.is_empty() || !self.stores.is_empty()
    }

    /// Rows, all counters together.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    pub(super) fn add(&mut self, key: &str, rows: u64) {
        if rows > 0 {
            *self.counts.entry(key.to_owned()).or_default() += rows;
        }
    }

    /// Notes that a store's rows are about to be erased.
    pub fn start(&mut self, store: &str) {
        let step = self.stores.entry(store.to_owned());
        step.and_modify(|step| {
            *step = match step {
                StoreStep::Deleted => StoreStep::Started,
                StoreStep::Started | StoreStep::StartedAgain | StoreStep::DeletedRest => StoreStep::StartedAgain,
            }
        })
        .or_insert(StoreStep::Started);
    }

    /// Notes that a store's rows are erased and counted.
    pub fn deleted(&mut self, store: &str) {
        if let Some(step) = self.stores.get_mut(store) {
            *step = match step {
                StoreStep::Started | StoreStep::Deleted => StoreStep::Deleted,
                StoreStep::StartedAgain | StoreStep::DeletedRest => StoreStep::DeletedRest,
            };
        }
    }
}
