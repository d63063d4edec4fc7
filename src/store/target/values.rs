//! Reads what stands in the match columns of one shop, for comparing with what is remembered only as a digest.

use std::pin::pin;

use chrono::{DateTime, NaiveDateTime, Utc};
use futures_util::TryStreamExt as _;
use sea_orm::{ConnectionTrait, DbBackend, Statement, StreamTrait, Value};

use super::way::{json_values, text_of_json};
use super::{Place, Reach, ShopTable, Way};
use crate::store::StoreError;
use crate::store::rows::Rows;

/// Hands every distinct value that a way's column holds for one shop to `seen`, as text, one by one: memory does not grow
/// with the table. Returns how many there were.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn each_value<C: ConnectionTrait + StreamTrait>(
    conn: &C,
    reach: &Reach,
    way: &Way,
    shop: &str,
    mut seen: impl FnMut(String) + Send,
) -> Result<u64, StoreError> {
    let backend = ConnectionTrait::get_database_backend(conn);
    let column = way.column.sql();
    // SQLite joins no subquery that speaks of the row before it: there a row gives all its values as one array.
    let in_arrays = backend != DbBackend::Postgres && matches!(way.place, Place::Json(_));
    let (and_from, value) = match &way.place {
        Place::Whole => (String::new(), format!("CAST({column} AS text)")),
        Place::Element => (format!(", unnest({column}) AS e(v)"), "CAST(e.v AS text)".to_owned()),
        Place::Json(path) => {
            let (from, value) = json_values(backend, &column, path);
            let text = text_of_json(backend, &value);
            if in_arrays {
                (String::new(), format!("(SELECT json_group_array({text}) FROM {from})"))
            } else {
                (format!(", LATERAL {from}"), text)
            }
        }
    };
    let (from, of_shop) = (reach.from(), reach.of_shop(backend, r#"k."shop""#));
    let cast = if backend == DbBackend::Postgres { "CAST($1 AS text)" } else { "$1" };
    let sql = format!(
        r#"SELECT DISTINCT "val" FROM (SELECT {value} AS "val" FROM (SELECT {cast} AS "shop") AS k, {from}{and_from}
           WHERE {of_shop}) AS s WHERE "val" IS NOT NULL"#
    );
    let statement = Statement::from_sql_and_values(backend, sql, [Value::from(shop)]);
    let mut rows = pin!(conn.stream_raw(statement).await?);
    let mut count = 0;
    while let Some(row) = rows.try_next().await? {
        let value: String = row.try_get("", "val")?;
        if in_arrays {
            let values: Vec<Option<String>> = serde_json::from_str(&value).unwrap_or_default();
            count += values.len() as u64;
            values.into_iter().flatten().for_each(&mut seen);
        } else {
            count += 1;
            seen(value);
        }
    }
    Ok(count)
}

/// A shop's row, and when it says that the shop was installed.
#[derive(Clone, Debug)]
pub struct Installed {
    pub domain: String,
    /// None when the table does not say, or not in a way that can be read.
    pub at: Option<DateTime<Utc>>,
}

/// Finds when shops were installed.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn installed(
    conn: &impl ConnectionTrait,
    shop: &ShopTable,
    domains: Vec<String>,
) -> Result<Vec<Installed>, StoreError> {
    let backend = conn.get_database_backend();
    let mut values = Vec::new();
    let keys = Rows::new().text("wanted", domains).table(backend, &mut values);
    let (table, domain) = (&shop.table, &shop.domain);
    let at = shop.installed_at.as_ref().map_or("NULL".to_owned(), |at| format!("s.{at}"));
    let sql = format!(
        r#"SELECT k."wanted" AS "wanted", CAST({at} AS text) AS "at" FROM {keys} AS k JOIN {table} AS s ON s.{domain}=k."wanted""#
    );
    let rows = conn.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    rows.iter()
        .map(|row| {
            let at: Option<String> = row.try_get("", "at")?;
            Ok(Installed { domain: row.try_get("", "wanted")?, at: at.as_deref().and_then(instant) })
        })
        .collect()
}

/// An instant as apps store it: Unix milliseconds or seconds, or ISO 8601 with or without a zone (then UTC).
fn instant(text: &str) -> Option<DateTime<Utc>> {
    const MILLISECONDS_FROM: i64 = 100_000_000_000;
    if let Ok(number) = text.parse::<i64>() {
        let seconds = number.abs() < MILLISECONDS_FROM;
        return if seconds { DateTime::from_timestamp(number, 0) } else { DateTime::from_timestamp_millis(number) };
    }
    let text = text.replacen(' ', "T", 1);
    let zoned = ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.fZ"];
    let zoned = zoned.iter().find_map(|form| DateTime::parse_from_str(&text, form).ok());
    let local = || {
        let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.fZ"];
        forms.iter().find_map(|form| NaiveDateTime::parse_from_str(&text, form).ok())
    };
    zoned.map(|at| at.to_utc()).or_else(|| local().map(|at| at.and_utc()))
}

#[cfg(test)]
mod tests {
    use super::instant;

    #[test]
    fn an_instant_is_read_in_every_form_that_apps_store() {
        for text in [
            "1767225600000",
            "1767225600",
            "2026-01-01T00:00:00.000Z",
            "2026-01-01 00:00:00",
            "2026-01-01 00:00:00+00",
            "2026-01-01 01:00:00.000+01:00",
            "2026-01-01T00:00:00+00:00",
        ] {
            assert_eq!(instant(text).map(|at| at.timestamp()), Some(1_767_225_600), "{text}");
        }
        assert_eq!(instant("last spring"), None);
    }
}
