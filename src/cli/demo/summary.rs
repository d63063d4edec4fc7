//! What the demo came to, for programs.

use serde::Serialize;
use serde_json::Value;

use super::census::{Census, TABLES};
use super::checks::Checks;
use super::evidence::Exported;
use super::post::Reply;
use super::shops;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Whether every step held.
    pub held: bool,
    pub address: String,
    pub webhooks: Vec<Sent>,
    /// As the API shows them.
    pub jobs: Vec<Value>,
    pub rows: Vec<Rows>,
    pub evidence: Exported,
    pub checks: Checks,
    pub seconds: f64,
}

/// A webhook and its answer.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    pub topic: &'static str,
    pub shop: String,
    /// `new`, `duplicate` or `forged`: what the demo meant it to be.
    pub meant: &'static str,
    #[serde(flatten)]
    pub reply: Reply,
}

/// Rows of a shop in a table.
#[derive(Debug, Serialize)]
pub struct Rows {
    pub shop: &'static str,
    pub table: &'static str,
    pub before: usize,
    pub after: usize,
}

impl Rows {
    /// One entry per shop and table.
    pub fn of(before: &Census, after: &Census) -> Vec<Self> {
        let of_shop = |shop: &'static shops::Sample| {
            let (then, now) = (before.counts(shop), after.counts(shop));
            TABLES.into_iter().enumerate().map(move |(place, table)| Self {
                shop: shop.domain,
                table,
                before: then[place],
                after: now[place],
            })
        };
        shops::ALL.into_iter().flat_map(of_shop).collect()
    }
}
