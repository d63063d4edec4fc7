//! Where entries stand in the tree: rows of `"AuditSpan"`, each the place of many entries that the database took in one after
//! the other.

use entity::audit_span::{Column, Entity, Model};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, Statement, Value,
};

use crate::store::StoreError;
use crate::store::error::exactly;
use crate::store::rows::Rows;

/// The place of a row of `"AuditLog"`, or null: an expression for a statement that reads that table.
pub(super) const PLACE: &str = r#"(SELECT CASE WHEN "AuditLog"."ordinal" < s."firstOrdinal" + s."length"
    THEN s."firstIndex" + "AuditLog"."ordinal" - s."firstOrdinal" END
  FROM "AuditSpan" AS s WHERE s."firstOrdinal" <= "AuditLog"."ordinal" ORDER BY s."firstOrdinal" DESC LIMIT 1)"#;

/// Numbers that no entry of a window has are read along, rather than asking once more.
const GAP: i64 = 1_000;

/// Entries with consecutive numbers at consecutive places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub first_index: u64,
    pub first_ordinal: i64,
    pub length: u64,
}

impl Span {
    /// The place behind the last one.
    pub fn end(&self) -> u64 {
        self.first_index + self.length
    }

    /// The numbers of its entries.
    pub fn ordinals(&self) -> std::ops::Range<i64> {
        self.first_ordinal..self.first_ordinal + self.length.cast_signed()
    }

    /// The part of it from the place `from` to before `to`.
    fn within(self, from: u64, to: u64) -> Option<Self> {
        let (first, end) = (self.first_index.max(from), self.end().min(to));
        (first < end).then(|| Self {
            first_index: first,
            first_ordinal: self.first_ordinal + (first - self.first_index).cast_signed(),
            length: end - first,
        })
    }
}

impl From<Model> for Span {
    fn from(row: Model) -> Self {
        Self {
            first_index: row.first_index.unsigned_abs(),
            first_ordinal: row.first_ordinal,
            length: row.length.unsigned_abs(),
        }
    }
}

/// The spans of these numbers, which ascend, at the places from `first_index` on.
pub fn of_ordinals(first_index: u64, ordinals: impl IntoIterator<Item = i64>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for (first_index, ordinal) in (first_index..).zip(ordinals) {
        match spans.last_mut() {
            Some(span) if span.ordinals().end == ordinal => span.length += 1,
            _ => spans.push(Span { first_index, first_ordinal: ordinal, length: 1 }),
        }
    }
    spans
}

/// Stores spans, in the order of their places. The database refuses one that does not go on where the last one ended, or
/// that is of entries which are not there or have a place.
///
/// # Errors
/// When the database refuses or does not answer; then nothing may be committed.
pub async fn insert(conn: &impl ConnectionTrait, spans: &[Span]) -> Result<(), StoreError> {
    let backend = conn.get_database_backend();
    let mut values = Vec::new();
    let table = Rows::new()
        .int("firstIndex", spans.iter().map(|span| span.first_index.cast_signed()))
        .int("firstOrdinal", spans.iter().map(|span| span.first_ordinal))
        .int("length", spans.iter().map(|span| span.length.cast_signed()))
        .table(backend, &mut values);
    let sql = format!(
        r#"INSERT INTO "AuditSpan" ("firstIndex","firstOrdinal","length")
           SELECT "firstIndex","firstOrdinal","length" FROM {table} AS k ORDER BY "firstIndex""#
    );
    let stored = conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?.rows_affected();
    exactly("placing entries of the audit log", spans.len() as u64, stored)
}

/// The spans of the places from `from` to before `to`, cut to them, in their order.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn between(conn: &impl ConnectionTrait, from: u64, to: u64) -> Result<Vec<Span>, StoreError> {
    // The span that holds `from` began before it.
    let begun = Entity::find().filter(Column::FirstIndex.lte(from.cast_signed())).order_by_desc(Column::FirstIndex);
    let begun = begun.one(conn).await?;
    let later = Entity::find()
        .filter(Column::FirstIndex.gt(from.cast_signed()))
        .filter(Column::FirstIndex.lt(to.cast_signed()))
        .order_by_asc(Column::FirstIndex);
    let later = later.all(conn).await?;
    Ok(begun.into_iter().chain(later).filter_map(|row| Span::from(row).within(from, to)).collect())
}

/// The first place at or after `from` that a span has.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn first_from(conn: &impl ConnectionTrait, from: u64) -> Result<Option<u64>, StoreError> {
    let sql = r#"SELECT min("firstIndex") AS n FROM "AuditSpan" WHERE "firstIndex">=$1"#;
    let values = [Value::from(from.cast_signed())];
    let row = conn.query_one_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, values)).await?;
    let first: Option<i64> = row.map_or(Ok(None), |row| row.try_get("", "n"))?;
    Ok(first.map(i64::unsigned_abs))
}

/// How many places spans have in a range, and how many of those have an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    pub places: u64,
    pub bodies: u64,
}

/// Counts the places from `from` to before `to`, and their entries, in one look. Reads an index entry for each.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn count(conn: &impl ConnectionTrait, from: u64, to: u64) -> Result<Counted, StoreError> {
    let sql = r#"SELECT CAST(coalesce(sum(k."length"),0) AS bigint) AS "places",
          CAST(coalesce(sum((SELECT count(*) FROM "AuditLog" AS a
            WHERE a."ordinal">=k."first" AND a."ordinal"<k."first"+k."length")),0) AS bigint) AS "bodies"
        FROM (SELECT "firstOrdinal"+CASE WHEN "firstIndex"<$1 THEN $1-"firstIndex" ELSE 0 END AS "first",
            CASE WHEN "firstIndex"+"length">$2 THEN $2 ELSE "firstIndex"+"length" END
              -CASE WHEN "firstIndex"<$1 THEN $1 ELSE "firstIndex" END AS "length"
          FROM "AuditSpan" WHERE "firstIndex"<$2 AND "firstIndex"+"length">$1) AS k"#;
    let values = [Value::from(from.cast_signed()), Value::from(to.cast_signed())];
    let row = conn.query_one_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, values)).await?;
    let number = |name| row.as_ref().map_or(Ok(0), |row| row.try_get::<i64>("", name)).map(i64::unsigned_abs);
    Ok(Counted { places: number("places")?, bodies: number("bodies")? })
}

/// Deletes the spans whose places are all before `to`. The database refuses what is not below the published minimum index.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn delete_before(conn: &impl ConnectionTrait, to: u64) -> Result<(), StoreError> {
    let sql = r#"DELETE FROM "AuditSpan" WHERE "firstIndex"<$1 AND "firstIndex"+"length"<=$1"#;
    let values = [Value::from(to.cast_signed())];
    conn.execute_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, values)).await?;
    Ok(())
}

/// Ranges of numbers that hold the entries of these spans, and few others: what to read.
pub(super) fn to_read(spans: &[Span]) -> Vec<std::ops::Range<i64>> {
    let mut ranges: Vec<_> = spans.iter().map(Span::ordinals).collect();
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<std::ops::Range<i64>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start - last.end <= GAP => last.end = range.end,
            _ => merged.push(range),
        }
    }
    merged
}

/// Finds the places of numbers.
pub(super) struct Places(Vec<Span>);

impl Places {
    pub(super) fn new(mut spans: Vec<Span>) -> Self {
        spans.sort_by_key(|span| span.first_ordinal);
        Self(spans)
    }

    /// The place of the entry with that number, if it is in one of the spans.
    pub(super) fn of(&self, ordinal: i64) -> Option<u64> {
        let behind = self.0.partition_point(|span| span.first_ordinal <= ordinal);
        let span = self.0.get(behind.checked_sub(1)?)?;
        let offset = (ordinal - span.first_ordinal).unsigned_abs();
        (offset < span.length).then(|| span.first_index + offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(first_index: u64, first_ordinal: i64, length: u64) -> Span {
        Span { first_index, first_ordinal, length }
    }

    #[test]
    fn consecutive_numbers_share_a_span() {
        assert_eq!(of_ordinals(7, [-2, -1, 0, 3, 4, 9]), [span(7, -2, 3), span(10, 3, 2), span(12, 9, 1)]);
        assert_eq!(of_ordinals(7, []), []);
    }

    #[test]
    fn the_place_of_a_number_is_that_of_its_span_and_of_no_other() {
        let places = Places::new(vec![span(0, 10, 3), span(3, 5, 2)]);
        let of: Vec<_> = (4..14).map(|ordinal| places.of(ordinal)).collect();
        let none = None;
        assert_eq!(of, [none, Some(3), Some(4), none, none, none, Some(0), Some(1), Some(2), none]);
    }

    #[test]
    fn a_span_is_cut_to_its_window() {
        assert_eq!(span(10, 100, 5).within(12, 14), Some(span(12, 102, 2)));
        assert_eq!(span(10, 100, 5).within(0, 100), Some(span(10, 100, 5)));
        assert_eq!(span(10, 100, 5).within(15, 20), None);
    }

    #[test]
    fn what_is_far_apart_is_read_apart() {
        let late = [span(0, 10_000, 5), span(5, 3, 1), span(6, 10_500, 2)];
        assert_eq!(to_read(&late), [3..4, 10_000..10_502]);
    }
}
