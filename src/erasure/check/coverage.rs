//! Is every column accounted for? And is every table that should be there?

use super::{Finder, Id, Severity, TOPICS, at, column_at, is_excluded, is_shop_table, is_structural, mapped};
use crate::erasure::data_map::{Action, MappedTable};
use crate::erasure::introspect::words::{self, Confidence};
use crate::erasure::introspect::{is_staff, looks_like_shop};
use crate::store::catalog::{Column, Table, TableKind};

impl Finder<'_> {
    /// Every column of the table that can hold something personal is deleted, masked, kept on a ground, or excluded.
    pub(super) fn coverage(&mut self, table: &MappedTable, live: &Table) {
        let name = table.name.as_str();
        for (whole_shop, topic) in TOPICS {
            let found = whole_shop || !table.ways.is_empty();
            if found && table.action(whole_shop) == Action::Keep && table.ground.is_none() {
                let severity = if whole_shop { Severity::Error } else { Severity::Warning };
                let sentence = format!("rows are kept for {topic}, and no `ground` says why");
                self.say(Id::NoGround, severity, at(name), sentence, "give the legal reason in `ground`");
            }
        }
        for column in &live.columns {
            let lead = words::lead(name, column);
            let covered = is_excluded(table, column) || is_structural(table, live, column);
            if covered || !(column.may_hold_text() || lead.is_some()) {
                continue;
            }
            let open: Vec<&str> = TOPICS
                .iter()
                .filter(|(whole_shop, _)| !is_covered(table, column, *whole_shop))
                .map(|(_, topic)| *topic)
                .collect();
            if !open.is_empty() {
                self.uncovered(table, column, &open.join(" and "));
            } else if let Some(lead) = lead.filter(|lead| lead.confidence >= Confidence::Likely) {
                self.unmatched(table, live, column, &lead.reason);
            }
        }
    }

    fn uncovered(&mut self, table: &MappedTable, column: &Column, topics: &str) {
        let name = table.name.as_str();
        let looks =
            words::personal(name, column).map_or_else(String::new, |kind| format!(", and looks like {}", kind.noun()));
        let sentence = format!("{} stays as it is for {topics}{looks}", column.declared_or("a column without a type"));
        let remedy =
            format!("mask it, or say why it may stay: exclude = [{{ column = \"{}\", because = \"…\" }}]", column.name);
        self.say(Id::UncoveredColumn, Severity::Error, column_at(name, &column.name), sentence, remedy);
    }

    /// In a table that is searched for customers: another way to them, that is not used.
    fn unmatched(&mut self, table: &MappedTable, live: &Table, column: &Column, reason: &str) {
        let known = table.ways.iter().any(|way| way.way.column.at == 0 && way.way.column.name.as_str() == column.name);
        if known || table.action(false) == Action::Keep || live.reference(&column.name).is_some() || is_staff(live) {
            return;
        }
        let by = words::lead(&live.name, column).map_or("email", |lead| lead.key.as_str());
        self.say(
            Id::UnmatchedColumn,
            Severity::Warning,
            column_at(&live.name, &column.name),
            format!("{reason}, and rows are not searched by it"),
            format!("add to match: {{ column = \"{}\", by = \"{by}\" }}, or exclude it with a reason", column.name),
        );
    }

    /// Tables that are not in the map, and look as if they should be.
    pub(super) fn unmapped(&mut self) {
        let (map, catalog) = (self.map, self.catalog);
        for live in catalog.app_tables() {
            let name = live.name.as_str();
            let told = self.found.iter().any(|finding| {
                finding.table == name && matches!(finding.id, Id::Cascade | Id::SetNull | Id::RefusedDelete)
            });
            let known = mapped(map, name).is_some() || is_shop_table(map, name) || map.leaves_out(name);
            let part = live.parents.iter().any(|parent| mapped(map, parent).is_some());
            if known || told || part || words::framework(name).is_some() || live.kind == TableKind::Partition {
                continue;
            }
            if let Some((severity, sentence)) = self.should_be_mapped(live) {
                let remedy = "add a [[table]] for it (`efface data-map introspect` proposes one), or a [[left_out]] with the reason";
                self.say(Id::UnmappedTable, severity, at(name), sentence, remedy);
            }
        }
    }

    fn should_be_mapped(&self, live: &Table) -> Option<(Severity, String)> {
        let leads = |column: &&Column| words::lead(&live.name, column).is_some() && !is_staff(live);
        if let Some(column) = live.columns.iter().find(leads) {
            let sentence = format!("is not in the map, and \"{}\" looks as if it led to a customer", column.name);
            return Some((Severity::Error, sentence));
        }
        let parent = live.foreign_keys.iter().map(|key| key.table.as_str());
        let parent = parent.clone().find(|to| mapped(self.map, to).is_some() || is_shop_table(self.map, to));
        let shop = self.map.shop.as_ref().map(|shop| shop.table.table.as_str());
        let because = if let Some(parent) = parent {
            format!("its rows refer to \"{parent}\"")
        } else {
            let column = live.columns.iter().find(|column| looks_like_shop(column, shop))?;
            format!("\"{}\" looks as if it named a shop", column.name)
        };
        // What holds only the app's own words and numbers goes with a warning.
        let personal = live.columns.iter().any(|column| {
            column.may_hold_text()
                && words::harmless(&live.name, column).is_none()
                && !crate::erasure::introspect::is_structural(live, column, looks_like_shop(column, shop))
        });
        let severity = if personal { Severity::Error } else { Severity::Warning };
        Some((severity, format!("is not in the map, and {because}")))
    }
}

/// Whether a topic leaves nothing of a column that it should not.
fn is_covered(table: &MappedTable, column: &Column, whole_shop: bool) -> bool {
    let masked = || table.masks.iter().any(|mask| mask.column.as_str() == column.name);
    match table.action(whole_shop) {
        Action::Delete => true,
        Action::Mask => masked(),
        // Told once for the table: it lacks its ground.
        Action::Keep if whole_shop => true,
        Action::Keep => table.ground.is_some(),
    }
}
