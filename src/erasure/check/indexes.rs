//! Which indexes the statements of a job need, and which of them are missing.

use super::{Finder, Id, Severity, TOPICS, column_at};
use crate::erasure::data_map::{Action, MappedTable};
use crate::store::catalog::{Dialect, IndexKey, Table, TableKind, index_statement, is_same_expression};
use crate::store::target::{Comparison, Place};

impl<'a> Finder<'a> {
    /// Every job looks shops up by their domain.
    pub(super) fn shop_index(&mut self, live: &Table, domain: &str) {
        self.want(live, domain, &[vec![IndexKey::Column(domain.to_owned())]], "shops are looked up by it");
    }

    /// What finds a table's rows: of a whole shop, of a customer, and over the hops.
    pub(super) fn indexes(&mut self, table: &MappedTable) {
        let names = std::iter::once(table.name.as_str()).chain(table.reach.hops.iter().map(|hop| hop.to.as_str()));
        let Some(chain) = names.map(|name| self.catalog.table(name)).collect::<Option<Vec<&'a Table>>>() else {
            return;
        };
        let touched = TOPICS.iter().any(|(whole_shop, _)| table.action(*whole_shop) != Action::Keep);
        if !touched && table.export.is_empty() {
            return;
        }
        let shop = &table.reach.shop;
        let shop_key = IndexKey::Column(shop.name.as_str().to_owned());
        for way in &table.ways {
            let column = &way.way.column;
            let (Some(holder), Some(live)) =
                (chain.get(column.at), chain.get(column.at).and_then(|t| t.column(column.name.as_str())))
            else {
                continue;
            };
            let same = column.at == shop.at;
            // SQLite brings phone numbers to their digits with a query of its own, which no index can hold.
            let no_index = way.way.comparison == Comparison::Phone && self.catalog.dialect == Dialect::Sqlite;
            if no_index || way.way.place != Place::Whole {
                // Nothing but the shop narrows a search within documents and arrays.
                if same {
                    self.want(holder, shop.name.as_str(), &[vec![shop_key.clone()]], "rows are searched shop by shop");
                }
                continue;
            }
            let key = match way.way.comparison {
                Comparison::Exact => IndexKey::Column(live.name.clone()),
                comparison => IndexKey::Expression(comparison.indexed(self.catalog.dialect, &live.name)),
            };
            let wanted = if same {
                vec![vec![shop_key.clone(), key.clone()], vec![key.clone(), shop_key.clone()], vec![key]]
            } else {
                vec![vec![key]]
            };
            self.want(holder, &live.name, &wanted, "customers are found by it");
        }
        // Last: an index on shop and customer serves both.
        if let Some(holder) = chain.get(shop.at)
            && table.shop_redact != Action::Keep
        {
            self.want(holder, shop.name.as_str(), &[vec![shop_key.clone()]], "a shop's rows are found by it");
        }
        for (place, hop) in table.reach.hops.iter().enumerate() {
            let (Some(before), Some(to)) = (chain.get(place), chain.get(place + 1)) else { continue };
            let of = |name: &str| vec![vec![IndexKey::Column(name.to_owned())]];
            self.want(before, hop.column.as_str(), &of(hop.column.as_str()), "rows are found through it");
            self.want(to, hop.key.as_str(), &of(hop.key.as_str()), "rows are found through it");
        }
    }

    /// Says that an index is missing when none begins with any of the wanted keys; the first is the one to make.
    fn want(&mut self, live: &Table, column: &str, wanted: &[Vec<IndexKey>], why: &str) {
        let exists = live.column(column).is_some();
        let there = live
            .indexes
            .iter()
            .filter(|index| {
                index.valid && index.predicate.is_none() && matches!(index.method.as_str(), "btree" | "hash")
            })
            .any(|index| wanted.iter().any(|keys| begins_with(&index.keys, keys)));
        if there || !exists || live.kind == TableKind::Foreign {
            return;
        }
        let Some(keys) = wanted.first() else { return };
        let remedy = index_statement(self.catalog.dialect, live, keys);
        let proposed = |(table, index): &(String, Vec<IndexKey>)| {
            *table == live.name && wanted.iter().any(|keys| begins_with(index, keys))
        };
        if !self.proposed.iter().any(proposed) {
            self.proposed.push((live.name.clone(), keys.clone()));
            let sentence = format!("has no index that serves, and {why}: every job would read the whole table");
            self.say(Id::MissingIndex, Severity::Warning, column_at(&live.name, column), sentence, remedy);
        }
    }
}

fn begins_with(keys: &[IndexKey], wanted: &[IndexKey]) -> bool {
    keys.len() >= wanted.len() && keys.iter().zip(wanted).all(|(key, wanted)| is_same_expression(key, wanted))
}
