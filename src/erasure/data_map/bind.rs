//! Holds a store's part of the map against the live schema: what each column holds, and in which order tables are worked.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::DbBackend;

use super::{MappedTable, Policy, Problems, StoreMap};
use crate::store::target::{Catalog, CatalogColumn, Column, Comparison, Held, Ident, Kind, Made, Place, Replacement};

type Live<'a> = BTreeMap<&'a str, BTreeMap<&'a str, &'a CatalogColumn>>;

impl StoreMap {
    /// Fits this part of the map to the tables and columns that exist.
    ///
    /// # Errors
    /// All [`Problems`]: what is missing, has a type that cannot be searched or masked as asked, or goes in circles.
    pub fn bind(&self, catalog: &Catalog) -> Result<Self, Problems> {
        let mut binder = Binder { catalog, live: catalog.by_table(), problems: Vec::new() };
        let mut bound = self.clone();
        if let Some(mapped) = &mut bound.shop {
            let shop = &mapped.table;
            if binder.has_table(&shop.table) {
                let optional =
                    [&shop.number, &shop.active, &shop.installed_at, &shop.uninstalled_at, &mapped.retention_days]
                        .into_iter()
                        .flatten();
                for column in [&shop.id, &shop.domain].into_iter().chain(optional) {
                    binder.column(&shop.table, column);
                }
                let id = binder.live.get(shop.table.as_str()).and_then(|columns| columns.get(shop.id.as_str()));
                mapped.id_kind = id.map_or(Kind::Text, |id| kind(catalog.backend, &id.data_type).0);
            }
        }
        for table in &mut bound.tables {
            binder.table(table);
        }
        bound.tables = binder.in_order(std::mem::take(&mut bound.tables), self);
        if binder.problems.is_empty() { Ok(bound) } else { Err(Problems(binder.problems)) }
    }
}

struct Binder<'a> {
    catalog: &'a Catalog,
    live: Live<'a>,
    problems: Vec<String>,
}

/// What a column holds, and whether it is an array of it.
fn kind(backend: DbBackend, data_type: &str) -> (Kind, bool) {
    if backend != DbBackend::Postgres {
        // SQLite compares a key with a column as the column's type asks.
        return (Kind::Text, false);
    }
    let (element, array) = data_type.strip_prefix('_').map_or((data_type, false), |element| (element, true));
    let kind = match element {
        "text" | "varchar" | "bpchar" | "citext" | "name" => Kind::Text,
        "int2" | "int4" | "int8" => Kind::Integer,
        "numeric" => Kind::Numeric,
        "uuid" => Kind::Uuid,
        "json" | "jsonb" => Kind::Json,
        _ => Kind::Other,
    };
    (kind, array)
}

/// How a PostgreSQL type holds instants; none when it does not.
fn held(data_type: &str) -> Option<Held> {
    match data_type {
        "timestamptz" => Some(Held::Zoned),
        "timestamp" => Some(Held::Unzoned),
        "int4" | "int8" | "numeric" => Some(Held::Number),
        "text" | "varchar" | "bpchar" => Some(Held::Text),
        _ => None,
    }
}

impl<'a> Binder<'a> {
    fn has_table(&mut self, table: &Ident) -> bool {
        let there = self.live.contains_key(table.as_str());
        if !there {
            self.problems.push(format!("table {table}: the database has no such table"));
        } else if self.catalog.without_row_id.contains(table.as_str()) {
            self.problems.push(format!("table {table}: has no row ids (WITHOUT ROWID); it cannot be worked on"));
        }
        there
    }

    fn column(&mut self, table: &Ident, column: &Ident) -> Option<&'a CatalogColumn> {
        let found = self.live.get(table.as_str())?.get(column.as_str()).copied();
        if found.is_none() {
            self.problems.push(format!("table {table}: the database has no column {column}"));
        }
        found
    }

    fn table(&mut self, table: &mut MappedTable) {
        if !self.has_table(&table.name) {
            return;
        }
        let mut before = table.name.clone();
        for hop in &table.reach.hops {
            self.column(&before, &hop.column);
            if self.has_table(&hop.to) {
                self.column(&hop.to, &hop.key);
            }
            before = hop.to.clone();
        }
        let tables: Vec<Ident> =
            std::iter::once(table.name.clone()).chain(table.reach.hops.iter().map(|hop| hop.to.clone())).collect();
        self.shop_column(&tables, &mut table.reach.shop);
        if let Some(made) = &mut table.reach.made {
            self.made(&tables[made.column.at], made);
        }
        for subject in &mut table.ways {
            let holder = &tables[subject.way.column.at];
            self.way(holder, &mut subject.way);
        }
        for rule in &table.retention {
            if let Some(column) = rule.policy.counts_from() {
                self.column(&table.name, column);
            }
            if let Policy::ByClass { class, .. } = &rule.policy {
                self.column(&table.name, class);
            }
        }
        for mask in &mut table.masks {
            let Some(live) = self.column(&table.name, &mask.column) else { continue };
            let (kind, array) = kind(self.catalog.backend, &live.data_type);
            mask.kind = if array { Kind::Other } else { kind };
            let of = format!("table {}: mask of {}", table.name, mask.column);
            for (path, replacement) in &mask.parts {
                if path.is_some() && self.catalog.backend == DbBackend::Postgres && mask.kind != Kind::Json {
                    self.problems.push(format!("{of}: is {}, not json or jsonb", live.data_type));
                } else if path.is_none() && *replacement == Replacement::Remove && !live.nullable {
                    self.problems.push(format!("{of}: cannot be removed, because it may not be null"));
                } else if path.is_none() && *replacement != Replacement::Remove && mask.kind != Kind::Text {
                    self.problems.push(format!("{of}: is {}; only `remove` is possible", live.data_type));
                }
            }
        }
        let excluded: Vec<Ident> = table.exclude.iter().map(|excluded| excluded.column.clone()).collect();
        for column in table.export.iter().chain(&excluded) {
            self.column(&table.name, column);
        }
        let columns = self.live.get(table.name.as_str()).into_iter().flatten();
        let mut key: Vec<(i32, Option<Ident>)> = columns
            .filter(|(_, column)| column.key_place > 0)
            .map(|(name, column)| (column.key_place, Ident::parse(name)))
            .collect();
        key.sort_unstable();
        table.key = key.into_iter().filter_map(|(_, name)| name).collect();
    }

    fn shop_column(&mut self, tables: &[Ident], shop: &mut Column) {
        let holder = &tables[shop.at];
        let Some(live) = self.column(holder, &shop.name) else { return };
        let (kind, array) = kind(self.catalog.backend, &live.data_type);
        if array || matches!(kind, Kind::Other | Kind::Json) {
            self.problems
                .push(format!("table {holder}: {} is {}; a shop cannot be found by it", shop.name, live.data_type));
        }
        shop.kind = kind;
    }

    fn made(&mut self, holder: &Ident, made: &mut Made) {
        let Some(live) = self.column(holder, &made.column.name) else { return };
        if self.catalog.backend != DbBackend::Postgres {
            made.held = Held::Each;
            return;
        }
        match held(&live.data_type) {
            Some(held) => made.held = held,
            None => self.problems.push(format!(
                "table {holder}: made_at {} is {}; no instant can be read from it",
                made.column.name, live.data_type
            )),
        }
    }

    fn way(&mut self, holder: &Ident, way: &mut crate::store::target::Way) {
        let Some(live) = self.column(holder, &way.column.name) else { return };
        let (kind, array) = kind(self.catalog.backend, &live.data_type);
        way.column.kind = kind;
        let postgres = self.catalog.backend == DbBackend::Postgres;
        let says = match &way.place {
            Place::Element if !postgres => Some("this database has no arrays; use json = \"[*]\"".to_owned()),
            Place::Element if !array => Some(format!("is {}, not an array", live.data_type)),
            Place::Json(_) if postgres && (kind != Kind::Json || array) => {
                Some(format!("is {}, not json or jsonb", live.data_type))
            }
            Place::Json(_) => None,
            Place::Whole if !postgres && live.data_type.is_empty() => Some("has no type to compare by".to_owned()),
            Place::Whole if array => Some("is an array; say array = true".to_owned()),
            _ if matches!(kind, Kind::Other | Kind::Json) => {
                Some(format!("is {}; it cannot be searched", live.data_type))
            }
            _ if way.comparison != Comparison::Exact && kind != Kind::Text => {
                Some(format!("is {}, not text", live.data_type))
            }
            _ => None,
        };
        self.problems.extend(says.map(|says| format!("table {holder}: match by {}: {says}", way.column.name)));
    }

    /// Children before their parents; among equals, as `order` and the file say.
    fn in_order(&mut self, tables: Vec<MappedTable>, map: &StoreMap) -> Vec<MappedTable> {
        let place: BTreeMap<String, usize> =
            tables.iter().enumerate().map(|(i, table)| (table.name.as_str().to_owned(), i)).collect();
        let shop = map.shop.as_ref().map(|shop| shop.table.table.as_str());
        let mut parents: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); tables.len()];
        for key in &self.catalog.foreign_keys {
            if let (Some(&child), Some(&parent)) = (place.get(&key.table), place.get(&key.to))
                && child != parent
            {
                parents[child].insert(parent);
            } else if Some(key.table.as_str()) == shop && place.contains_key(&key.to) && Some(key.to.as_str()) != shop {
                let problem =
                    format!("table \"{}\": the shop's own row refers to it; the shop's row goes last", key.to);
                self.problems.push(problem);
            }
        }
        for (child, table) in tables.iter().enumerate() {
            // A row that is found over another table's row has to go while that row is still there.
            let hops = table.reach.hops.iter().filter_map(|hop| place.get(hop.to.as_str()));
            parents[child].extend(hops.copied().filter(|parent| *parent != child));
        }
        for (child, of_child) in parents.iter().enumerate() {
            for parent in of_child {
                if let (Some(a), Some(b)) = (tables[child].order, tables[*parent].order)
                    && a > b
                {
                    let (child, parent) = (&tables[child].name, &tables[*parent].name);
                    self.problems
                        .push(format!("table {child}: `order` puts it after {parent}, whose rows its own refer to"));
                }
            }
        }
        let mut left: BTreeSet<(i64, usize)> =
            tables.iter().enumerate().map(|(i, table)| (table.order.unwrap_or_default(), i)).collect();
        let mut tables: Vec<Option<MappedTable>> = tables.into_iter().map(Some).collect();
        let mut ordered = Vec::with_capacity(tables.len());
        while !left.is_empty() {
            let waiting: BTreeSet<usize> = left.iter().flat_map(|(_, child)| parents[*child].iter().copied()).collect();
            let Some(next) = left.iter().find(|(_, table)| !waiting.contains(table)).copied() else {
                let names: Vec<String> =
                    left.iter().filter_map(|(_, i)| tables[*i].as_ref()).map(|t| t.name.to_string()).collect();
                self.problems.push(format!("tables {}: refer to each other in a circle", names.join(", ")));
                break;
            };
            left.remove(&next);
            ordered.extend(tables[next.1].take());
        }
        ordered
    }
}
