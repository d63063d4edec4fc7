//! What was done so far for one job, and what held it: stored in its row with every transaction, so that a crash loses no count.

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

/// Something that held the job for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBy {
    /// One of our codes, and never free words.
    pub reason: String,
    /// The legal hold's id, when it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
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
    /// Rows that a store's step, once started, was about to take, less those it has counted: by store and counter.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub expected: BTreeMap<String, BTreeMap<String, u64>>,
    /// Rows of further stores that were found when a step started and were gone when it came back, by counter.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub absent: BTreeMap<String, u64>,
    /// When an operator released the job although its shop had been installed again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reinstall_released_at: Option<DateTime<Utc>>,
    /// Only rows made until then are erased, and the shop's own row stays: the shop came back. Set in the transaction that
    /// erases first; it binds every later one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_up_to: Option<DateTime<Utc>>,
    /// What held the job, each once, in the order in which it was met. Set with `held` and by what lets the job go on; for
    /// the receipt.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held_by: Vec<HeldBy>,
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

    /// Notes what holds the job. False when it was known.
    pub fn hold(&mut self, by: HeldBy) -> bool {
        // A reason of which no id is known says no more than one that came with ids.
        let known = self.held_by.iter().any(|held| held.reason == by.reason && (by.id.is_none() || held.id == by.id));
        if !known {
            self.held_by.push(by);
        }
        !known
    }

    pub(super) fn add(&mut self, key: &str, rows: u64) {
        if rows > 0 {
            *self.counts.entry(key.to_owned()).or_default() += rows;
        }
    }

    /// Notes that a store's rows are about to be erased: these, by counter. What an earlier start was about to take, and is
    /// not among them any more, was already absent.
    pub fn start(&mut self, store: &str, found: BTreeMap<String, u64>) {
        let before = self.expected.remove(store);
        let rolled_back = before.is_some();
        let mut missing = false;
        for (key, rows) in before.into_iter().flatten() {
            let gone = rows.saturating_sub(found.get(&key).copied().unwrap_or_default());
            if gone > 0 {
                missing = true;
                *self.absent.entry(key).or_default() += gone;
            }
        }
        let step = self.stores.entry(store.to_owned());
        step.and_modify(|step| {
            *step = match step {
                StoreStep::Deleted => StoreStep::Started,
                // All of it is still there: that start came to nothing.
                StoreStep::Started if rolled_back && !missing => StoreStep::Started,
                StoreStep::Started | StoreStep::StartedAgain | StoreStep::DeletedRest => StoreStep::StartedAgain,
            }
        })
        .or_insert(StoreStep::Started);
        self.expected.insert(store.to_owned(), found);
    }

    /// Notes which of a store's rows were counted since `before`: they are not expected any more.
    pub fn took(&mut self, store: &str, before: &BTreeMap<String, u64>) {
        let Some(expected) = self.expected.get_mut(store) else { return };
        for (key, rows) in expected {
            let counted = |counts: &BTreeMap<String, u64>| counts.get(key).copied().unwrap_or_default();
            *rows = rows.saturating_sub(counted(&self.counts) - counted(before));
        }
    }

    /// Notes that a store's rows are erased and counted.
    pub fn deleted(&mut self, store: &str) {
        self.expected.remove(store);
        if let Some(step) = self.stores.get_mut(store) {
            *step = match step {
                StoreStep::Started | StoreStep::Deleted => StoreStep::Deleted,
                StoreStep::StartedAgain | StoreStep::DeletedRest => StoreStep::DeletedRest,
            };
        }
    }
}
