//! What a schema does behind the statements' backs: triggers, copies, partitions, policies and rights.

use super::{Finder, Id, Severity, TOPICS, at, is_shop_table, mapped};
use crate::erasure::data_map::{Action, MappedTable};
use crate::store::catalog::{Dialect, RowSecurity, Table, TableKind};

impl Finder<'_> {
    /// What can go wrong with a table that exists.
    pub(super) fn hazards(&mut self, name: &str, live: &Table) {
        for trigger in &live.triggers {
            let others: Vec<&str> = trigger.writes.iter().map(String::as_str).filter(|table| *table != name).collect();
            if !others.is_empty() {
                let known = |table: &&str| mapped(self.map, table).is_some() || self.map.leaves_out(table);
                let severity = if others.iter().all(known) { Severity::Info } else { Severity::Warning };
                let sentence =
                    format!("trigger \"{}\" ({}) writes to {}", trigger.name, trigger.event, others.join(", "));
                let remedy = "make sure that what it writes is in the map, or holds nothing personal";
                self.say(Id::TriggerCopies, severity, at(name), sentence, remedy);
            }
            if trigger.can_keep_rows {
                let sentence =
                    format!("trigger \"{}\" ({}) can end a DELETE without deleting", trigger.name, trigger.event);
                let remedy = "let it delete for Efface's database user: a job that leaves rows fails";
                self.say(Id::TriggerKeepsRows, Severity::Warning, at(name), sentence, remedy);
            }
        }
        self.parts(name, live);
        match live.row_security {
            RowSecurity::Off => {}
            RowSecurity::ForOthers => {
                let sentence = "row-level security is on, and does not bind the user that Efface signs in as";
                self.say(Id::RowSecurity, Severity::Info, at(name), sentence, "");
            }
            RowSecurity::Binding => {
                let sentence =
                    "row-level security binds Efface's user: hidden rows are neither deleted nor found left over";
                let remedy = "give Efface's database user BYPASSRLS, or a policy that shows it every row";
                self.say(Id::RowSecurity, Severity::Error, at(name), sentence, remedy);
            }
        }
    }

    fn parts(&mut self, name: &str, live: &Table) {
        let parts =
            self.catalog.tables.iter().filter(|table| table.parents.iter().any(|parent| parent == name)).count();
        if !live.parents.is_empty() {
            let sentence =
                format!("is a part of \"{}\": rows in the other parts are not reached", live.parents.join(", "));
            self.say(Id::Partitioned, Severity::Warning, at(name), sentence, "map the table that it is a part of");
        } else if parts > 0 || live.kind == TableKind::Partitioned {
            let sentence = format!("its rows lie in {parts} part(s), all of which are reached");
            self.say(Id::Partitioned, Severity::Info, at(name), sentence, "");
        }
        if live.kind == TableKind::Foreign {
            let sentence = "its rows lie in another database, which commits by itself";
            let remedy = "declare that database as a store of its own";
            self.say(Id::ForeignTable, Severity::Warning, at(name), sentence, remedy);
        }
    }

    /// Rights on a mapped table.
    pub(super) fn rights(&mut self, table: &MappedTable, live: &Table) {
        let does = |action: Action| TOPICS.iter().any(|(whole_shop, _)| table.action(*whole_shop) == action);
        let needed = [("SELECT", true), ("DELETE", does(Action::Delete)), ("UPDATE", does(Action::Mask))];
        self.denied(live, &needed);
    }

    /// Rights on the shops' table: its row is locked while a shop is erased.
    pub(super) fn shop_rights(&mut self, live: &Table) {
        let goes = self.map.deletes_shop_row().is_some();
        self.denied(live, &[("SELECT", true), ("UPDATE", true), ("DELETE", goes)]);
    }

    fn denied(&mut self, live: &Table, needed: &[(&'static str, bool)]) {
        let missing: Vec<&str> = needed
            .iter()
            .filter(|(right, wanted)| *wanted && live.denied.contains(right))
            .map(|(right, _)| *right)
            .collect();
        if !missing.is_empty() {
            let rights = missing.join(", ");
            let sentence = format!("the user that Efface signs in as may not {rights}");
            let remedy = format!("GRANT {rights} ON \"{}\" TO that user", live.name);
            self.say(Id::MissingPrivilege, Severity::Error, at(&live.name), sentence, remedy);
        }
    }

    /// Views and indexes that keep copies of mapped rows.
    pub(super) fn copies(&mut self) {
        let (map, catalog) = (self.map, self.catalog);
        for live in &catalog.tables {
            let of: Vec<&str> = live
                .reads
                .iter()
                .map(String::as_str)
                .filter(|table| mapped(map, table).is_some() || is_shop_table(map, table))
                .collect();
            if of.is_empty() || map.leaves_out(&live.name) {
                continue;
            }
            let of = of.join(", ");
            match live.kind {
                TableKind::MaterializedView => {
                    let sentence = format!("keeps a copy of rows of {of} until it is refreshed");
                    let remedy =
                        format!("REFRESH MATERIALIZED VIEW \"{}\" after each erasure, or regularly", live.name);
                    self.say(Id::ViewCopies, Severity::Warning, at(&live.name), sentence, remedy);
                }
                TableKind::Virtual if catalog.dialect == Dialect::Sqlite => {
                    let sentence = format!("may keep a copy of rows of {of} in an index of its own");
                    let remedy = "let triggers of the app delete from it, and say so in a [[left_out]]";
                    self.say(Id::ViewCopies, Severity::Warning, at(&live.name), sentence, remedy);
                }
                _ => {}
            }
        }
    }
}
