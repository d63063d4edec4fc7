//! The cutoffs as lists of keys: how a range of pages is read without a join.
//!
//! A DELETE that joins anything but a table carries a copy of the whole joined row along with every row that it deletes,
//! in case it has to look again. Shops have few different periods, so there are few different cutoffs; whoever is in the
//! list of one is due before it. PostgreSQL hashes a list of constants once per statement.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sea_orm::Value;

use super::super::Kind;
use super::terms::{Terms, texts};

/// With more entries in all lists together they may cost more per statement than a join costs per row.
const ENTRIES_MAX: usize = 50_000;
/// A row is compared with every cutoff, at worst.
const CUTOFFS_MAX: usize = 32;

/// Each cutoff, the earliest first, with the keys of those whose cutoff is not earlier.
pub(super) type Lists = Vec<(DateTime<Utc>, Vec<String>)>;

/// The lists, unless there are none, or they would be too many or too long.
pub(super) fn lists(keys: &[String], cutoffs: &[DateTime<Utc>]) -> Option<Lists> {
    let distinct: BTreeSet<DateTime<Utc>> = cutoffs.iter().copied().collect();
    if distinct.is_empty() || distinct.len() > CUTOFFS_MAX || distinct.len().saturating_mul(keys.len()) > ENTRIES_MAX {
        return None;
    }
    let of = |cutoff| keys.iter().zip(cutoffs).filter(move |(_, of)| **of >= cutoff).map(|(key, _)| key.clone());
    Some(distinct.into_iter().map(|cutoff| (cutoff, of(cutoff).collect())).collect())
}

impl Terms {
    /// What PostgreSQL is to plan for: lists are hashed only where they are constants; a join of these very cutoffs would
    /// hash the rows instead.
    pub(super) fn plan_cache_mode(&self) -> &'static str {
        if self.lists.is_some() { "force_custom_plan" } else { "force_generic_plan" }
    }

    /// That a row is due: by the first cutoff that it is before, and the list of those whose cutoff is not earlier. Null or
    /// false otherwise. No index serves it, and the planner does not estimate it entry by entry.
    pub(super) fn listed(&self, values: &mut Vec<Value>) -> Option<String> {
        let lists = self.lists.as_ref()?;
        let mut arms = String::new();
        for (number, (cutoff, keys)) in lists.iter().enumerate() {
            let (value, cast) = self.one(*cutoff);
            values.push(value);
            let before = self.earlier(&format!("CAST(${} AS {cast})", values.len()));
            let member = self.member(keys, values);
            // What is before all instants is before the first cutoff.
            let finite = self.finite().filter(|_| number == 0).map_or(String::new(), |finite| format!("{finite} AND "));
            arms = format!("{arms} WHEN {before} THEN {finite}{member}");
        }
        Some(format!("CASE{arms} END"))
    }

    /// That a row's key is one of these. Whole numbers of all sizes are compared as one type, or none would be hashed.
    fn member(&self, keys: &[String], values: &mut Vec<Value>) -> String {
        values.push(texts(keys));
        let (column, list) = (self.chooser.as_deref().unwrap_or_default(), format!("${}::text[]", values.len()));
        match self.kind {
            Kind::Integer => format!("CAST({column} AS bigint)=ANY(CAST({list} AS bigint[]))"),
            Kind::Numeric => format!("{column}=ANY(CAST({list} AS numeric[]))"),
            Kind::Uuid => format!("{column}=ANY(CAST({list} AS uuid[]))"),
            Kind::Other => format!("CAST({column} AS text)=ANY({list})"),
            Kind::Text | Kind::Json => format!("{column}=ANY({list})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;

    use super::*;

    #[test]
    fn each_cutoff_lists_those_whose_own_is_not_earlier() {
        let at = |seconds| Utc.timestamp_opt(seconds, 0).unwrap();
        let keys = ["a", "b", "c"].map(str::to_owned);
        let told = lists(&keys, &[at(20), at(10), at(20)]).unwrap();
        let all = keys.to_vec();
        assert_eq!(told, [(at(10), all), (at(20), vec!["a".to_owned(), "c".to_owned()])]);
        assert_eq!(lists(&[], &[]), None);
    }

    #[test]
    fn lists_have_an_end() {
        let cutoffs = |count: i64| (0..count).map(|n| Utc.timestamp_opt(n, 0).unwrap()).collect::<Vec<_>>();
        let keys = |count: usize| vec!["a".to_owned(); count];
        assert_eq!(lists(&keys(32), &cutoffs(32)).map(|lists| lists.len()), Some(32));
        assert_eq!(lists(&keys(33), &cutoffs(33)), None);
        let one_cutoff = |keys: usize| vec![Utc.timestamp_opt(0, 0).unwrap(); keys];
        assert!(lists(&keys(50_000), &one_cutoff(50_000)).is_some());
        assert_eq!(lists(&keys(50_001), &one_cutoff(50_001)), None);
    }
}
