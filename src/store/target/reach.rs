//! How a table's rows are reached from their shop: directly, or over the rows of other tables.

use std::fmt::Write as _;

use sea_orm::DbBackend;

use super::Ident;

/// What a column holds, as far as comparing it with a text takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Any kind of text; on SQLite, any column with a type.
    #[default]
    Text,
    /// A whole number.
    Integer,
    /// A decimal of any length.
    Numeric,
    Uuid,
    /// `json` or `jsonb`; on SQLite, text that holds JSON.
    Json,
    /// Anything else: it can be removed, not searched.
    Other,
}

impl Kind {
    /// A key's text as a value of this kind. Keys that are no such value must not get here.
    pub(super) fn cast(self, backend: DbBackend, key: &str) -> String {
        match (backend, self) {
            (DbBackend::Postgres, Self::Integer) => format!("CAST({key} AS bigint)"),
            (DbBackend::Postgres, Self::Numeric) => format!("CAST({key} AS numeric)"),
            (DbBackend::Postgres, Self::Uuid) => format!("CAST({key} AS uuid)"),
            _ => key.to_owned(),
        }
    }

    /// Whether a text can be a value of this kind. A column of numbers cannot hold what is none.
    pub fn admits(self, text: &str) -> bool {
        match self {
            Self::Integer => text.parse::<i64>().is_ok(),
            Self::Numeric => !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_digit()),
            Self::Uuid => {
                let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
                digits == 32 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') && text.len() <= 36
            }
            Self::Text | Self::Json => true,
            Self::Other => false,
        }
    }
}

/// A step from a row to the row of another table that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The column of the table before.
    pub column: Ident,
    /// The table that it points to.
    pub to: Ident,
    /// The column there.
    pub key: Ident,
}

/// A column of a reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// 0: the table's own; otherwise of the table that so many hops lead to.
    pub at: usize,
    pub name: Ident,
    pub kind: Kind,
}

impl Column {
    pub(super) fn sql(&self) -> String {
        format!("{}.{}", alias(self.at), self.name)
    }
}

/// A table, the way from its rows to the row that names the shop, and the column that does.
#[derive(Clone, Debug)]
pub struct Reach {
    pub table: Ident,
    pub hops: Vec<Hop>,
    pub shop: Column,
    /// What says when a row was made, where the map names it.
    pub made: Option<super::Made>,
}

/// The table's own rows are `t`; those of its hops `h1`, `h2`, ….
fn alias(at: usize) -> String {
    if at == 0 { "t".to_owned() } else { format!("h{at}") }
}

impl Reach {
    /// This reach without the hops that neither the shop nor the way needs: a row that has nothing at the end of the others
    /// is found all the same.
    pub(super) fn needed(&self, which: super::Rows<'_>) -> Self {
        let of_way = match which {
            super::Rows::Matching(way) => way.column.at,
            super::Rows::MadeUpTo => self.made.as_ref().map_or(0, |made| made.column.at),
            super::Rows::WholeShop => 0,
        };
        let hops = self.hops.iter().take(self.shop.at.max(of_way)).cloned().collect();
        Self { table: self.table.clone(), hops, shop: self.shop.clone(), made: self.made.clone() }
    }

    /// As [`Self::from`] up to the hop `last`; beyond the shop, a row that leads nowhere stays.
    pub(super) fn joined_or_not(&self, last: usize) -> String {
        let mut sql = format!("{} AS t", self.table);
        for (place, Hop { column, to, key }) in self.hops.iter().enumerate().take(last.max(self.shop.at)) {
            let (before, here) = (alias(place), alias(place + 1));
            let join = if place < self.shop.at { "JOIN" } else { "LEFT JOIN" };
            let _ = write!(sql, " {join} {to} AS {here} ON {here}.{key}={before}.{column}");
        }
        sql
    }

    /// `"T" AS t JOIN "P" AS h1 ON …`.
    pub(super) fn from(&self) -> String {
        let mut sql = format!("{} AS t", self.table);
        for (place, Hop { column, to, key }) in self.hops.iter().enumerate() {
            let (before, here) = (alias(place), alias(place + 1));
            let _ = write!(sql, " JOIN {to} AS {here} ON {here}.{key}={before}.{column}");
        }
        sql
    }

    /// The hops as further tables of a `USING`, each with a comma in front.
    pub(super) fn using(&self) -> String {
        let mut sql = String::new();
        for (place, hop) in self.hops.iter().enumerate() {
            let _ = write!(sql, ", {} AS {}", hop.to, alias(place + 1));
        }
        sql
    }

    /// The conditions that go with [`Self::using`], each with `AND` behind.
    pub(super) fn joined(&self) -> String {
        let mut sql = String::new();
        for (place, Hop { column, key, .. }) in self.hops.iter().enumerate() {
            let _ = write!(sql, "{}.{key}={}.{column} AND ", alias(place + 1), alias(place));
        }
        sql
    }

    /// The condition that a row is one of the shop that `key` names.
    pub(super) fn of_shop(&self, backend: DbBackend, key: &str) -> String {
        format!("{}={}", self.shop.sql(), self.shop.kind.cast(backend, key))
    }
}

/// What tells a table's rows apart in a statement; with partitions, a `ctid` alone does not.
pub(super) fn row_id(backend: DbBackend) -> &'static str {
    if backend == DbBackend::Postgres { r#"t.tableoid AS "part", t.ctid AS "row""# } else { r#"t.rowid AS "row""# }
}

/// The names of [`row_id`]'s columns.
pub(super) fn row_names(backend: DbBackend) -> &'static str {
    if backend == DbBackend::Postgres { r#""part","row""# } else { r#""row""# }
}
