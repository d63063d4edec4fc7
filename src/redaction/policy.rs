//! What is masked where: rules for everything, for an event type, for a shop, and for an event type of a shop.

mod file;
mod problem;

use std::collections::BTreeMap;

use super::compiled::Compiled;
use super::mode::Mode;
use super::path::JsonPath;
use super::shop;

pub use problem::{Problem, Problems, Warning};

/// Rules in the order of the file.
type Rules = Vec<(JsonPath, Mode)>;

/// Rules that hold everywhere, and those that hold for one event type.
#[derive(Clone, Debug, Default)]
struct Scope {
    all: Rules,
    events: BTreeMap<String, Rules>,
}

impl Scope {
    fn rules(&self, event: &str) -> impl Iterator<Item = (&JsonPath, &Mode)> {
        self.all.iter().chain(self.events.get(event).into_iter().flatten()).map(|(path, mode)| (path, mode))
    }
}

/// A policy whose parts all make sense.
#[derive(Clone, Debug)]
pub struct Policy {
    everywhere: Scope,
    shops: BTreeMap<String, Scope>,
    warnings: Vec<Warning>,
}

impl Policy {
    /// Reads a policy from TOML; `docs/redaction.md` tells the format.
    ///
    /// # Errors
    /// All [`Problems`] at once, each with its place. No value of the file is quoted.
    pub fn parse(toml: &str) -> Result<Self, Problems> {
        file::parse(toml)
    }

    /// What is allowed but unwise, for whoever gave the policy.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Whether some shop has rules of its own, so that it matters whose documents they are.
    pub fn names_shops(&self) -> bool {
        !self.shops.is_empty()
    }

    /// The rules for one event type, and for one shop if it is known whose documents they are.
    ///
    /// Of all rules that match a value the last one wins, in this order: those for everything, for the event type, for
    /// the shop, for the event type of the shop; within each as in the file.
    pub fn for_event(&self, event: &str, shop: Option<&str>) -> Compiled {
        let of_shop = shop.and_then(|shop| self.shops.get(&*shop::normal_form(shop)));
        Compiled::new(self.everywhere.rules(event).chain(of_shop.into_iter().flat_map(|scope| scope.rules(event))))
    }
}

#[cfg(test)]
mod tests;
