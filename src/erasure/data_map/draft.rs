//! A map on its way: read as far as it goes, with everything that is wrong so far.
//!
//! What is wrong with a map shows in several places: its text, the configuration beside it, and the live schema. A draft
//! is carried from one to the next, so that whoever mends the map sees all of it at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::{DataMap, Form, MatchKeys, Period, Problems, SubjectWay, reader};
use crate::seal::Pii;

/// A data map that may have problems. Tables that cannot be understood are not in it.
#[derive(Debug)]
pub struct Draft {
    pub(in crate::erasure) map: DataMap,
    pub(in crate::erasure) problems: Vec<String>,
}

impl Draft {
    /// Reads a map from TOML.
    ///
    /// # Errors
    /// When the text is no TOML, or has keys that no map has: then nothing else can be said of it.
    pub fn read(toml: &str) -> Result<Self, Problems> {
        let (stores, problems) = reader::read(toml)?;
        Ok(Self { map: DataMap { stores, digest: hex::encode(Sha256::digest(toml.as_bytes())) }, problems })
    }

    /// Gives the map the secrets of the app's keyed hashes. One that the map names and nobody gave is a problem.
    #[must_use]
    pub fn with_match_keys(mut self, keys: BTreeMap<String, Pii<Vec<u8>>>) -> Self {
        let named: BTreeSet<&str> = self.map.tables().flat_map(|table| &table.ways).filter_map(name_of_key).collect();
        let missing = named.into_iter().filter(|name| keys.get(*name).is_none_or(|key| key.expose().is_empty()));
        let missing = missing
            .map(|name| format!("match key \"{name}\" is named, but data_map.match_keys.{name} is not configured"));
        self.problems.extend(missing);
        let keys = Arc::new(MatchKeys(keys));
        for store in &mut self.map.stores {
            store.keys = Arc::clone(&keys);
        }
        self
    }

    /// Puts configured periods in the place of the map's: `policy` or `policy.class` and the period. Names that are not in
    /// the map are problems, and so are periods that a rule does not allow.
    #[must_use]
    pub fn with_retention(mut self, overrides: &BTreeMap<String, Period>) -> Self {
        // A rule may stand in a table that could not be understood.
        let all_there = self.problems.is_empty();
        for (key, period) in overrides {
            let (name, class) = key.split_once('.').map_or((key.as_str(), None), |(name, class)| (name, Some(class)));
            let tables = self.map.stores.iter_mut().flat_map(|store| &mut store.tables);
            let rule = tables.flat_map(|table| &mut table.retention).find(|rule| rule.name == name);
            let replaced = match rule {
                Some(rule) => rule.replace(class, *period),
                None if !all_there => Ok(()),
                None => Err("the data map has no retention rule of that name".to_owned()),
            };
            if let Err(problem) = replaced {
                self.problems.push(format!("retention.policies.{key}: {problem}"));
            }
        }
        self
    }

    /// The map, when nothing is wrong with it.
    ///
    /// # Errors
    /// All [`Problems`] so far.
    pub fn whole(self) -> Result<DataMap, Problems> {
        if self.problems.is_empty() { Ok(self.map) } else { Err(Problems(self.problems)) }
    }
}

fn name_of_key(way: &SubjectWay) -> Option<&str> {
    match &way.form {
        Form::Hmac(name) => Some(name),
        Form::Plain | Form::Sha256 => None,
    }
}
