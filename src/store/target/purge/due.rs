//! What is due, without touching it.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

use super::facts::Facts;
use super::terms::{Holds, Terms};
use super::{Expiry, InstantForm};
use crate::store::{Store, StoreError};

/// How an expiry stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Rows in the table.
    pub total: u64,
    /// Rows that a purge would delete.
    pub due: u64,
    /// Rows that have expired and are under a hold.
    pub held: u64,
    /// Rows whose column holds something that is no instant: they are never due.
    pub unread: u64,
    /// The oldest instant in the table.
    pub oldest: Option<DateTime<Utc>>,
}

/// Counts what is due, in one pass over the table.
///
/// # Errors
/// When the database refuses or does not answer; [`StoreError::Unpurgeable`] when the table is not one whose rows can be
/// purged.
pub async fn due(store: &Store, expiry: &Expiry) -> Result<Due, StoreError> {
    let backend = store.backend();
    let postgres = backend == DbBackend::Postgres;
    let terms = if postgres {
        let facts = Facts::read(store.db(), expiry).await?;
        Terms::postgres(expiry, &facts.column, &facts.chooser)?
    } else {
        Terms::sqlite(expiry)
    };
    let mut values = Vec::new();
    let (joined, is_due) = terms.judged(&mut values);
    let (with, join) = match joined {
        None => (String::new(), String::new()),
        Some((k, chosen)) if postgres => (String::new(), format!(" LEFT JOIN {k} ON {chosen}")),
        Some((k, chosen)) => {
            (format!("WITH c AS MATERIALIZED (SELECT * FROM {k}) "), format!(" LEFT JOIN c AS k ON {chosen}"))
        }
    };
    let held = terms.held(&mut values).map_or("false".to_owned(), |held| format!("({held}) IS TRUE"));
    let only = terms.only(&mut values);
    let oldest = match terms.holds() {
        Holds::Zoned | Holds::Naive => r#"CAST(extract(epoch FROM min(x."at"))*1000000 AS bigint)"#,
        Holds::Text if postgres => r#"CAST(extract(epoch FROM min(x."at"))*1000000 AS bigint)"#,
        Holds::Text => r#"min(x."at")"#,
        Holds::Number(_) if postgres => r#"CAST(floor(min(x."at")) AS bigint)"#,
        Holds::Whole(_) | Holds::Number(_) => r#"CAST(min(x."at") AS bigint)"#,
    };
    let sql = format!(
        r#"{with}SELECT count(*) AS "total", count(*) FILTER (WHERE x."due" AND NOT x."held") AS "due",
             count(*) FILTER (WHERE x."due" AND x."held") AS "held", count(*) FILTER (WHERE x."unread") AS "unread",
             CAST({oldest} AS text) AS "oldest"
           FROM (SELECT {is_due}{only} AS "due", {held} AS "held", t.{} IS NOT NULL AND {instant} IS NULL AS "unread",
             {instant} AS "at" FROM {} AS t{join}) AS x"#,
        expiry.column,
        expiry.table,
        instant = terms.instant(),
    );
    let tx = store.begin_snapshot().await?;
    if postgres {
        let settings = format!(
            "SET LOCAL enable_hashjoin=on; SET LOCAL enable_nestloop=off; SET LOCAL enable_indexscan=off; \
             SET LOCAL enable_indexonlyscan=off; SET LOCAL enable_bitmapscan=off; SET LOCAL TimeZone='UTC'; \
             SET LOCAL row_security=off; SET LOCAL plan_cache_mode={}",
            terms.plan_cache_mode()
        );
        tx.execute_unprepared(&settings).await?;
    }
    let row = tx.query_one_raw(Statement::from_sql_and_values(backend, sql, values)).await;
    tx.rollback().await?;
    let row = row.map_err(|error| StoreError::from(error).of_table(&expiry.table))?;
    let Some(row) = row else { return Ok(Due::default()) };
    let count = |name: &str| row.try_get::<i64>("", name).map(i64::cast_unsigned);
    let oldest: Option<String> = row.try_get("", "oldest")?;
    Ok(Due {
        total: count("total")?,
        due: count("due")?,
        held: count("held")?,
        unread: count("unread")?,
        oldest: oldest.and_then(|text| instant(&terms, expiry.form, &text)),
    })
}

fn instant(terms: &Terms, form: InstantForm, text: &str) -> Option<DateTime<Utc>> {
    let unit = match (terms.holds(), form) {
        (Holds::Whole(unit) | Holds::Number(unit), _) => unit,
        _ => 1,
    };
    match text.parse::<i64>() {
        Ok(number) => DateTime::from_timestamp_micros(number.checked_mul(unit)?),
        Err(_) => DateTime::parse_from_rfc3339(&format!("{text}Z")).ok().map(|at| at.to_utc()),
    }
}
