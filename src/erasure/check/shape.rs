//! Do the tables and columns of the map exist, and can they be searched and masked as it says?

use super::{Finder, Id, Place, Severity, at, column_at};
use crate::erasure::data_map::{By, Form, MappedTable, ShopReference, SubjectWay};
use crate::store::catalog::{Column, Dialect, Family, Table, TableKind};
use crate::store::target::{self, REDACTED, Replacement};

/// Characters of `hash:` and 64 hexadecimal digits.
const HASHED_LEN: u32 = 69;

impl<'a> Finder<'a> {
    /// The live table of this name. Says so when there is none that rows can be deleted from.
    pub(super) fn exists(&mut self, name: &str) -> Option<&'a Table> {
        let Some(live) = self.catalog.table(name) else {
            let schemas: Vec<&str> = self
                .catalog
                .elsewhere
                .iter()
                .filter(|(_, table)| table == name)
                .map(|(schema, _)| schema.as_str())
                .collect();
            if schemas.is_empty() {
                let remedy = "take it out of the map, or mend its name: upper and lower case matter";
                self.say(Id::MissingTable, Severity::Error, at(name), "the database has no such table", remedy);
            } else {
                let sentence = format!("lies in schema {}, which its bare name does not reach", schemas.join(", "));
                let remedy = "add the schema to the search_path of Efface's database user";
                self.say(Id::TableElsewhere, Severity::Error, at(name), sentence, remedy);
            }
            return None;
        };
        let what = match live.kind {
            TableKind::View | TableKind::MaterializedView => "is a view: map the tables that it reads",
            TableKind::Virtual | TableKind::Shadow => "belongs to a virtual table",
            _ if !live.row_ids => "has no row ids (WITHOUT ROWID), which statements tell its rows apart by",
            _ => "",
        };
        if !what.is_empty() {
            self.say(Id::NotATable, Severity::Error, at(name), what, "");
            return None;
        }
        Some(live)
    }

    fn column(&mut self, live: &'a Table, name: &str, what: &str) -> Option<&'a Column> {
        let found = live.column(name);
        if found.is_none() {
            let sentence = format!("the table has no such column, which the map names in {what}");
            self.say(Id::MissingColumn, Severity::Error, column_at(&live.name, name), sentence, "");
        }
        found
    }

    fn wrong(&mut self, place: Place<'_>, sentence: String, remedy: &str) {
        self.say(Id::WrongType, Severity::Error, place, sentence, remedy);
    }

    /// The shops' own table.
    pub(super) fn shop_table(&mut self) {
        let Some(shop) = &self.map.shop else { return };
        let name = shop.table.table.as_str();
        let Some(live) = self.exists(name) else { return };
        let table = &shop.table;
        let optional = [
            ("number", table.number.as_ref()),
            ("active", table.active.as_ref()),
            ("installed_at", table.installed_at.as_ref()),
            ("uninstalled_at", table.uninstalled_at.as_ref()),
        ];
        for (what, column) in [("id", Some(&table.id))].into_iter().chain(optional) {
            if let Some(column) = column {
                self.column(live, column.as_str(), &format!("shop.{what}"));
            }
        }
        if let Some(domain) = self.column(live, table.domain.as_str(), "shop.domain") {
            if domain.family != Family::Text {
                let sentence = format!("is {}; a shop's domain is text", domain.declared);
                self.wrong(column_at(name, &domain.name), sentence, "");
            }
            self.shop_index(live, &domain.name);
        }
        self.hazards(name, live);
        self.shop_rights(live);
    }

    /// Columns that the map names in a table, and what they can hold.
    pub(super) fn columns(&mut self, table: &MappedTable, live: &'a Table) {
        let Some(chain) = self.chain(table, live) else { return };
        let shop = &table.reach.shop;
        if let Some(holder) = chain.get(shop.at)
            && let Some(column) = self.column(holder, shop.name.as_str(), "shop")
        {
            self.shop_column(table, holder, column);
        }
        if let Some(made) = table.reach.made.as_ref().map(|made| &made.column)
            && let Some(holder) = chain.get(made.at)
            && let Some(column) = self.column(holder, made.name.as_str(), "made_at")
        {
            self.made(holder, column);
        }
        for way in &table.ways {
            if let Some(holder) = chain.get(way.way.column.at)
                && let Some(column) = self.column(holder, way.way.column.name.as_str(), "match")
            {
                self.way(holder, column, way);
            }
        }
        for (what, names) in [
            ("export", table.export.iter().collect::<Vec<_>>()),
            ("exclude", table.exclude.iter().map(|excluded| &excluded.column).collect()),
        ] {
            for name in names {
                self.column(live, name.as_str(), what);
            }
        }
    }

    /// The live tables of a table's hops, itself first; none when one of them is not there.
    fn chain(&mut self, table: &MappedTable, live: &'a Table) -> Option<Vec<&'a Table>> {
        let mut chain = vec![live];
        for hop in &table.reach.hops {
            let before = *chain.last()?;
            let to = self.exists(hop.to.as_str())?;
            let column = self.column(before, hop.column.as_str(), "via");
            let key = self.column(to, hop.key.as_str(), "via");
            if let (Some(column), Some(key)) = (column, key) {
                if !alike(column.family, key.family) {
                    let sentence = format!("is {}, and {}.{} is {}", column.declared, hop.to, hop.key, key.declared);
                    self.wrong(column_at(&before.name, &column.name), sentence, "");
                }
                if column.nullable && chain.len() == 1 {
                    let sentence = format!("may be null: rows without a row in {} are not found at all", hop.to);
                    let remedy = "find the table's rows by columns of its own, or let the app fill the column";
                    self.say(Id::NullableHop, Severity::Warning, column_at(&live.name, &column.name), sentence, remedy);
                }
            }
            chain.push(to);
        }
        Some(chain)
    }

    fn shop_column(&mut self, table: &MappedTable, holder: &Table, column: &Column) {
        let place = column_at(&holder.name, &column.name);
        let shop = self.map.shop.as_ref();
        let of_shop = |name: Option<&target::Ident>| {
            let shops = self.catalog.table(shop?.table.table.as_str())?;
            shops.column(name?.as_str())
        };
        let (fits, what) = match table.holds {
            ShopReference::ShopDomain => (column.family == Family::Text, "a shop's domain is text".to_owned()),
            ShopReference::ShopNumber => {
                let fits = matches!(column.family, Family::Text | Family::Integer | Family::Numeric);
                (fits, "a shop's number is a number or text".to_owned())
            }
            ShopReference::ShopId => match of_shop(shop.map(|shop| &shop.table.id)) {
                None => (true, String::new()),
                Some(id) => (alike(column.family, id.family), format!("the shop's \"{}\" is {}", id.name, id.declared)),
            },
        };
        if !fits || column.is_array() {
            let sentence = format!("is {}; {what}", column.declared);
            self.wrong(place, sentence, "mend `shop`: column, or what it holds");
        }
    }

    fn made(&mut self, holder: &Table, column: &Column) {
        let postgres = self.catalog.dialect == Dialect::Postgres;
        let declared = column.declared.to_lowercase();
        let fits = match column.family {
            Family::Instant => declared.starts_with("timestamp") || declared.starts_with("datetime"),
            Family::Integer | Family::Numeric | Family::Text => true,
            _ => !postgres,
        };
        if !fits || column.is_array() {
            let sentence = format!("is {}; no instant can be read from it", column.declared_or("of no type"));
            self.wrong(column_at(&holder.name, &column.name), sentence, "mend `made_at`");
        }
    }

    fn way(&mut self, holder: &Table, column: &Column, way: &SubjectWay) {
        let postgres = self.catalog.dialect == Dialect::Postgres;
        let hashed = way.form != Form::Plain;
        let says = match &way.way.place {
            target::Place::Element if !postgres => "is matched as an array, which this database does not have",
            target::Place::Element if !column.is_array() => "is matched as an array, and is none",
            target::Place::Whole if column.is_array() => "is an array; say array = true",
            target::Place::Json(_) if column.family == Family::Json && !column.is_array() => "",
            target::Place::Json(_) if !postgres && column.family == Family::Text => "",
            target::Place::Json(_) => "is matched by a JSON path, and is no JSON",
            _ if column.length.is_some_and(|length| hashed && length < 64) => "is too short for a hash of 64 digits",
            _ => match (way.by, column.family) {
                (_, Family::Text) => "",
                _ if hashed => "a hash of 64 hexadecimal digits is text",
                (By::OrderId | By::CustomerId, Family::Integer | Family::Numeric) => "",
                (By::OrderId | By::CustomerId, Family::Real) => "ids of more than 15 digits do not survive in it",
                (By::OrderId | By::CustomerId, _) => "no id of an order or a customer can stand in it",
                (By::Email | By::Phone, _) => "an e-mail address or a phone number is text",
            },
        };
        if !says.is_empty() {
            let sentence = format!("is {}: {says}", column.declared_or("of no type"));
            self.wrong(column_at(&holder.name, &column.name), sentence, "mend `match`");
        }
    }

    /// Whether what masks write fits into the columns.
    pub(super) fn masks(&mut self, table: &MappedTable, live: &'a Table) {
        for mask in &table.masks {
            let Some(column) = self.column(live, mask.column.as_str(), "mask") else { continue };
            let whole = mask.parts.iter().find(|(path, _)| path.is_none()).map(|(_, replacement)| *replacement);
            match whole {
                Some(replacement) => self.whole_mask(table, live, column, replacement),
                None => self.path_masks(live, column, mask.parts.len()),
            }
        }
    }

    fn whole_mask(&mut self, table: &MappedTable, live: &Table, column: &Column, replacement: Replacement) {
        let place = column_at(&live.name, &column.name);
        let shop = table.reach.shop.at == 0 && table.reach.shop.name.as_str() == column.name;
        let hop = table.reach.hops.first().is_some_and(|hop| hop.column.as_str() == column.name);
        let key = live.foreign_keys.iter().any(|key| key.columns.contains(&column.name));
        if shop || hop || key && replacement != Replacement::Remove {
            let sentence = "is masked, and rows are found or held together through it";
            return self.say(Id::MaskReference, Severity::Error, place, sentence, "take it out of `mask`");
        }
        if replacement == Replacement::Remove {
            if !column.nullable {
                let sentence = "may not be null, and `remove` would make it so";
                self.say(Id::MaskNotNull, Severity::Error, place, sentence, "mask it with redact or hash");
            }
            return;
        }
        if column.generated || column.family != Family::Text || column.is_array() {
            let what = if column.generated {
                "is computed from other columns".to_owned()
            } else {
                format!("is {}", column.declared)
            };
            let sentence = format!("{what}, and a mask would write text into it");
            return self.say(Id::MaskType, Severity::Error, place, sentence, "mask it with remove, if it may be null");
        }
        let (word, needed) = match replacement {
            Replacement::Redact => ("redacted", u32::try_from(REDACTED.len()).unwrap_or(u32::MAX)),
            Replacement::Hash => ("hashed", HASHED_LEN),
            Replacement::Encrypt => ("encrypted", HASHED_LEN + 1),
            Replacement::Remove => ("removed", 0),
        };
        if let Some(length) = column.length.filter(|length| *length < needed) {
            let sentence = format!("has room for {length} characters, and a {word} value takes {needed} or more");
            self.say(Id::MaskType, Severity::Error, place, sentence, "widen it, or mask it otherwise");
        }
        if replacement == Replacement::Redact && live.is_in_unique(&column.name) {
            let sentence = "must be unique, and `redact` writes the same text into every row";
            self.say(Id::MaskUnique, Severity::Error, place, sentence, "mask it with hash");
        }
    }

    fn path_masks(&mut self, live: &Table, column: &Column, paths: usize) {
        let place = column_at(&live.name, &column.name);
        let json = column.family == Family::Json && !column.is_array();
        if !json && (self.catalog.dialect == Dialect::Postgres || column.family != Family::Text) {
            let sentence = format!("is {}, and a JSON path of it is to be masked", column.declared);
            return self.say(Id::MaskType, Severity::Error, place, sentence, "mask the whole column");
        }
        let sentence = format!("{paths} path(s) of it are masked; every other key stays as it is");
        self.say(Id::PartlyMasked, Severity::Info, place, sentence, "");
    }
}

/// Whether values of the two can be compared with each other.
fn alike(a: Family, b: Family) -> bool {
    let whole = |family| matches!(family, Family::Integer | Family::Numeric);
    a == b || whole(a) && whole(b)
}
