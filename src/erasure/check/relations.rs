//! What happens to other tables' rows when a mapped row goes.

use std::collections::BTreeSet;

use super::{Finder, Id, Severity, TOPICS, at, column_at, deletes, is_shop_table, mapped};
use crate::erasure::data_map::{Action, MappedTable};
use crate::store::catalog::{ForeignKey, OnDelete, Table};

impl Finder<'_> {
    /// Foreign keys to tables whose rows are deleted.
    pub(super) fn relations(&mut self) {
        let (map, catalog) = (self.map, self.catalog);
        for child in catalog.app_tables() {
            for key in &child.foreign_keys {
                let parent = mapped(map, &key.table);
                let shop = is_shop_table(map, &key.table) && map.deletes_shop_row().is_some();
                if !shop && !parent.is_some_and(deletes) {
                    continue;
                }
                if child.name == key.table {
                    self.self_reference(child, key);
                } else if let Some(known) = mapped(map, &child.name) {
                    self.mapped_child(known, key, parent);
                } else if !is_shop_table(map, &child.name) {
                    self.unmapped_child(child, key);
                }
            }
        }
    }

    fn unmapped_child(&mut self, child: &Table, key: &ForeignKey) {
        let place = column_at(&child.name, key.columns.first().map_or("", String::as_str));
        let parent = &key.table;
        let left_out = self.map.leaves_out(&child.name);
        match key.on_delete {
            OnDelete::Cascade => {
                let severity = if left_out { Severity::Warning } else { Severity::Error };
                let sentence = format!(
                    "is not in the map, and its rows vanish uncounted with those of \"{parent}\" (ON DELETE CASCADE)"
                );
                let remedy = "add a [[table]] for it: its rows are then deleted and counted first";
                self.say(Id::Cascade, severity, place, sentence, remedy);
            }
            OnDelete::SetNull | OnDelete::SetDefault if !left_out => {
                let sentence = format!(
                    "is not in the map; when rows of \"{parent}\" go, its own stay and lose the way back to their shop or customer"
                );
                let remedy = "add a [[table]] for it, or a [[left_out]] with the reason";
                self.say(Id::SetNull, Severity::Warning, place, sentence, remedy);
            }
            OnDelete::Refuse => {
                let sentence = format!(
                    "is not in the map, and rows of \"{parent}\" cannot be deleted while its rows refer to them"
                );
                self.say(Id::RefusedDelete, Severity::Error, place, sentence, "add a [[table]] for it");
            }
            OnDelete::SetNull | OnDelete::SetDefault => {}
        }
    }

    /// A child in the map: its rows go first, unless a topic deletes the parent's rows only.
    fn mapped_child(&mut self, child: &MappedTable, key: &ForeignKey, parent: Option<&MappedTable>) {
        let name = child.name.as_str();
        let place = column_at(name, key.columns.first().map_or("", String::as_str));
        let (id, what) = match key.on_delete {
            OnDelete::Cascade => (Id::Cascade, "would vanish with it (ON DELETE CASCADE)"),
            OnDelete::Refuse => (Id::RefusedDelete, "keep it from being deleted"),
            OnDelete::SetNull | OnDelete::SetDefault => return,
        };
        // Without a row of the map, the parent is the shop's own table, and goes with the shop only.
        let parent_goes =
            |whole_shop: bool| parent.map_or(whole_shop, |parent| parent.action(whole_shop) == Action::Delete);
        for (whole_shop, topic) in TOPICS {
            if parent_goes(whole_shop) && child.action(whole_shop) != Action::Delete {
                let sentence = format!(
                    "{topic} deletes rows of \"{}\" and not those that refer to them here, which {what}",
                    key.table
                );
                let remedy = format!("let {topic} do the same to both tables");
                return self.say(id, Severity::Error, place, sentence, remedy);
            }
        }
        let through = |child: &MappedTable| {
            child
                .ways
                .iter()
                .any(|way| child.reach.hops.iter().take(way.way.column.at).any(|hop| hop.to.as_str() == key.table))
        };
        if parent_goes(false) && !through(child) {
            let sentence = format!(
                "its rows are not searched through \"{}\": those of a deleted row that no match of their own finds {what}",
                key.table
            );
            let may_be_null = key.columns.iter().any(|column| {
                self.catalog.table(name).and_then(|live| live.column(column)).is_some_and(|column| column.nullable)
            });
            let remedy = if may_be_null {
                "declare it ON DELETE SET NULL, if the rows that stay say nothing of the customer".to_owned()
            } else {
                format!("add a hop to \"{0}\" in `via`, and its matches with at = \"{0}\"", key.table)
            };
            self.say(id, Severity::Warning, place, sentence, remedy);
        } else if key.on_delete == OnDelete::Cascade {
            let sentence = format!("ON DELETE CASCADE from \"{}\": its rows are deleted and counted before", key.table);
            self.say(id, Severity::Info, place, sentence, "");
        }
    }

    fn self_reference(&mut self, table: &Table, key: &ForeignKey) {
        let place = column_at(&table.name, key.columns.first().map_or("", String::as_str));
        let what = match key.on_delete {
            OnDelete::Cascade => "rows below a deleted row vanish with it, uncounted",
            OnDelete::Refuse => "a row cannot be deleted while another that stays refers to it",
            OnDelete::SetNull | OnDelete::SetDefault => return,
        };
        let sentence = format!("refers to rows of the same table: {what}");
        self.say(Id::SelfReference, Severity::Warning, place, sentence, "declare it ON DELETE SET NULL");
    }

    /// Mapped tables that refer to each other in a circle have no order in which they could be deleted.
    pub(super) fn cycles(&mut self) {
        let (map, catalog) = (self.map, self.catalog);
        let mut left: BTreeSet<&str> = map.tables.iter().map(|table| table.name.as_str()).collect();
        loop {
            // A table goes when nothing that is left refers to it.
            let free: Vec<&str> = left
                .iter()
                .filter(|name| {
                    !catalog
                        .references_to(name)
                        .any(|(child, _)| child.name != **name && left.contains(child.name.as_str()))
                })
                .copied()
                .collect();
            if free.is_empty() {
                break;
            }
            for name in free {
                left.remove(name);
            }
        }
        // What is referred to by a circle is no part of it: it must refer back.
        loop {
            let outside: Vec<&str> = left
                .iter()
                .filter(|name| {
                    let to = catalog.table(name).into_iter().flat_map(|table| &table.foreign_keys);
                    !to.into_iter().any(|key| key.table != **name && left.contains(key.table.as_str()))
                })
                .copied()
                .collect();
            if outside.is_empty() {
                break;
            }
            for name in outside {
                left.remove(name);
            }
        }
        if let Some(first) = left.first() {
            let names: Vec<&str> = left.iter().copied().collect();
            let sentence = format!("refer to each other in a circle: {}", names.join(", "));
            let remedy = "leave one of them out, or let the app's schema break the circle";
            self.say(Id::ForeignKeyCycle, Severity::Error, at(first), sentence, remedy);
        }
    }
}
