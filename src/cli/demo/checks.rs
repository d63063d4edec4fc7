//! What the demo expects, and whether it came so.

use serde::Serialize;
use serde_json::Value;

/// One expectation.
#[derive(Debug, Serialize)]
pub struct Check {
    /// The step, as a sentence that is true when it held.
    pub step: String,
    pub expected: Value,
    pub found: Value,
    pub held: bool,
}

/// Every expectation so far, in order.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Checks(Vec<Check>);

impl Checks {
    /// Notes an expectation.
    pub fn expect(&mut self, step: impl Into<String>, expected: impl Into<Value>, found: impl Into<Value>) {
        let (expected, found) = (expected.into(), found.into());
        let held = expected == found;
        self.0.push(Check { step: step.into(), expected, found, held });
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Those that did not hold.
    pub fn failed(&self) -> impl Iterator<Item = &Check> {
        self.0.iter().filter(|check| !check.held)
    }
}
