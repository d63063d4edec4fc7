//! When a shop installed and uninstalled the app, as the app's own row says, and the one thing that Efface writes there.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

use super::ShopTable;
use crate::clock::rfc3339;
use crate::store::StoreError;
use crate::store::rows::Rows;

/// The dates of one shop's row; one that the row does not have, or that does not read, is absent.
#[derive(Clone, Debug)]
pub struct Installation {
    pub domain: String,
    pub installed_at: Option<DateTime<Utc>>,
    pub uninstalled_at: Option<DateTime<Utc>>,
}

/// Reads the dates of shops by domain. With `lock`, on PostgreSQL, the rows stay locked until the transaction ends; they
/// are locked in the order in which erasures lock them.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn installations(
    conn: &impl ConnectionTrait,
    shop: &ShopTable,
    domains: Vec<String>,
    lock: bool,
) -> Result<Vec<Installation>, StoreError> {
    let backend = conn.get_database_backend();
    let mut values = Vec::new();
    let keys = Rows::new().text("wanted", domains).table(backend, &mut values);
    let ShopTable { table, id, domain, .. } = shop;
    let date =
        |column: &Option<super::Ident>| column.as_ref().map_or("NULL".to_owned(), |column| format!("s.{column}"));
    let (installed, uninstalled) = (date(&shop.installed_at), date(&shop.uninstalled_at));
    let for_update = if lock && backend == DbBackend::Postgres { "FOR UPDATE OF s" } else { "" };
    // As text, whatever the column's type is: apps keep timestamps, ISO 8601 texts, and milliseconds.
    let sql = format!(
        r#"SELECT k."wanted" AS "wanted", CAST({installed} AS text) AS "installed", CAST({uninstalled} AS text) AS "uninstalled"
           FROM {keys} AS k JOIN {table} AS s ON s.{domain}=k."wanted" ORDER BY s.{id} {for_update}"#
    );
    let rows = conn.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    rows.iter()
        .map(|row| {
            let date = |column: &str| -> Result<_, StoreError> {
                let text: Option<String> = row.try_get("", column)?;
                Ok(text.as_deref().and_then(instant))
            };
            Ok(Installation {
                domain: row.try_get("", "wanted")?,
                installed_at: date("installed")?,
                uninstalled_at: date("uninstalled")?,
            })
        })
        .collect()
}

/// Reads an instant as databases and apps write it: RFC 3339, PostgreSQL's text, milliseconds since 1970; without a
/// zone it is UTC.
pub(super) fn instant(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(millis) = text.parse::<i64>() {
        return DateTime::from_timestamp_millis(millis);
    }
    let zoned = |text: &str| {
        let read =
            DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z"));
        read.ok().map(|at| at.to_utc())
    };
    let plain = |format| NaiveDateTime::parse_from_str(text, format).ok().map(|at| at.and_utc());
    let day = || Some(text.parse::<NaiveDate>().ok()?.and_time(NaiveTime::MIN).and_utc());
    zoned(text).or_else(|| plain("%Y-%m-%d %H:%M:%S%.f")).or_else(|| plain("%Y-%m-%dT%H:%M:%S%.f")).or_else(day)
}

/// Marks one shop as uninstalled: its switch goes off, and the date is set when `at` is given. Erases nothing. Does nothing
/// when the map names neither column.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn mark_uninstalled(
    conn: &impl ConnectionTrait,
    shop: &ShopTable,
    domain: &str,
    at: Option<DateTime<Utc>>,
) -> Result<(), StoreError> {
    let backend = conn.get_database_backend();
    let mut values = vec![Value::from(domain)];
    let mut set: Vec<String> = shop.active.iter().map(|active| format!("{active}=false")).collect();
    if let (Some(column), Some(at)) = (&shop.uninstalled_at, at) {
        if backend == DbBackend::Postgres {
            // The session's zone is UTC: a column without zone gets UTC as well.
            values.push(Value::from(at));
            set.push(format!("{column}=$2"));
        } else {
            // As the app writes its dates: whole milliseconds where a date of this row is a number, ISO 8601 elsewhere.
            values.extend([Value::from(at.timestamp_millis()), Value::from(rfc3339(at))]);
            let model = shop.installed_at.as_ref().map_or(format!("{column}"), |i| format!("COALESCE({column},{i})"));
            set.push(format!("{column}=CASE typeof({model}) WHEN 'integer' THEN $2 ELSE $3 END"));
        }
    }
    if set.is_empty() {
        return Ok(());
    }
    let sql = format!("UPDATE {} SET {} WHERE {}=$1", shop.table, set.join(","), shop.domain);
    conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_read_in_every_form_that_apps_keep() {
        let expected = "2026-11-02T00:00:00Z".parse::<DateTime<Utc>>().unwrap();
        for text in [
            "2026-11-02T00:00:00.000Z",
            "2026-11-02T01:00:00+01:00",
            "2026-11-02 00:00:00",
            "2026-11-02 00:00:00.000",
            "2026-11-02 00:00:00+00",
            "2026-11-02 05:30:00+05:30",
            "2026-11-02T00:00:00",
            "2026-11-02",
            "1793577600000",
        ] {
            assert_eq!(instant(text), Some(expected), "{text}");
        }
        assert_eq!(instant("soon"), None);
    }
}
