//! SQLite: ranges of row ids. There is one writer, so nothing is locked but everything waits: batches are what they are for.

use std::time::Instant;

use sea_orm::{ConnectionTrait as _, DbBackend, Statement, Value};

use super::pace::Pace;
use super::run::{Outcome, Run};
use super::terms::Terms;
use super::{Note, Purged, Strategy, vacuum};
use crate::store::StoreError;

const BECAUSE: &str = "SQLite's rows lie in the order of their ids";

pub(super) async fn purge<N: Note>(run: &mut Run<'_, N>, resume: Option<&str>) -> Result<Purged, StoreError> {
    check(run).await?;
    let terms = Terms::sqlite(run.expiry);
    if terms.is_empty() {
        return Ok(run.purged(Strategy::RowIds, "nothing has a cutoff".to_owned(), None));
    }
    let mut at = resume.and_then(|resume| resume.strip_prefix("rowid ")?.parse().ok()).unwrap_or(i64::MIN);
    let mut pace = Pace::new(1.0);
    loop {
        if run.must_end() {
            return Ok(run.purged(Strategy::RowIds, BECAUSE.to_owned(), Some(format!("rowid {at}"))));
        }
        let rows = pace.next(run.limits.transaction_max);
        let to = nth(run, at, rows).await?;
        let (sql, values) = delete(run, &terms, at, to);
        let begun = Instant::now();
        let resume = format!("rowid {}", to.unwrap_or(i64::MAX));
        match run.attempt(&sql, values, run.hurried(), &resume).await? {
            Outcome::Deleted { rows: deleted, took, .. } => {
                pace.learn(rows, deleted, took);
                run.rest(took).await;
                let Some(to) = to else { break };
                at = to;
            }
            Outcome::TooMany if rows == 1 => run.end_at_limit(),
            Outcome::TooMany => pace.was_too_long(rows),
            Outcome::Locked | Outcome::TooLong => run.rest(begun.elapsed()).await,
        }
    }
    let mut purged = run.purged(Strategy::RowIds, BECAUSE.to_owned(), None);
    if purged.rows > 0 && !run.limits.dry_run {
        purged.vacuumed = vacuum::sqlite(run.store).await;
    }
    Ok(purged)
}

/// The row id after so many rows; none when there are fewer.
async fn nth<N: Note>(run: &Run<'_, N>, from: i64, rows: u32) -> Result<Option<i64>, StoreError> {
    let table = &run.expiry.table;
    let sql = format!(r#"SELECT rowid AS "row" FROM {table} WHERE rowid>=$1 ORDER BY rowid LIMIT 1 OFFSET $2"#);
    let values = [Value::from(from), Value::from(i64::from(rows))];
    let row = run.store.db().query_one_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)).await?;
    Ok(row.map(|row| row.try_get("", "row")).transpose()?)
}

fn delete<N>(run: &Run<'_, N>, terms: &Terms, from: i64, to: Option<i64>) -> (String, Vec<Value>) {
    let mut values = vec![Value::from(from)];
    let part = terms.part(&mut values);
    // Read once into a table of its own, which SQLite then gives an index; rows come first, cutoffs are looked up.
    let with = part.k.as_ref().map_or(String::new(), |k| format!("WITH c AS MATERIALIZED (SELECT * FROM {k}) "));
    let join = part.k.map_or("", |_| " CROSS JOIN c AS k");
    let mut within = "t.rowid>=$1".to_owned();
    if let Some(to) = to {
        values.push(Value::from(to));
        within = format!("{within} AND t.rowid<${}", values.len());
    }
    let (table, due) = (&run.expiry.table, part.due);
    let sql = format!(
        "{with}DELETE FROM {table} WHERE rowid IN (SELECT t.rowid FROM {table} AS t{join} WHERE {within} AND {due})"
    );
    (sql, values)
}

/// Whether rows have ids of their own, and nobody's rows go with them.
async fn check<N: Note>(run: &mut Run<'_, N>) -> Result<(), StoreError> {
    let table = run.expiry.table.as_str();
    let unfit = |why: String| Err(StoreError::Unpurgeable { table: table.to_owned(), why });
    let store = run.store;
    let ask = |sql: &'static str| {
        store.db().query_all_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, [Value::from(table)]))
    };
    let kinds = ask("SELECT type, wr FROM pragma_table_list WHERE lower(name)=lower($1) AND schema='main'").await?;
    let kind = kinds
        .first()
        .map(|row| Ok::<_, StoreError>((row.try_get::<String>("", "type")?, row.try_get::<bool>("", "wr")?)));
    match kind.transpose()? {
        Some((kind, false)) if kind == "table" => {}
        Some((kind, true)) if kind == "table" => return unfit("its rows have no row ids".to_owned()),
        _ => return unfit("it is no table".to_owned()),
    }
    let references = ask(
        "SELECT m.name AS name, upper(f.on_delete) IN ('CASCADE','SET NULL','SET DEFAULT') AS goes FROM sqlite_master m \
         JOIN pragma_foreign_key_list(m.name) f WHERE m.type='table' AND lower(f.\"table\")=lower($1) ORDER BY 2 DESC, 1",
    );
    let mut referrers = Vec::new();
    for row in references.await? {
        let other: String = row.try_get("", "name")?;
        if row.try_get("", "goes")? {
            return unfit(format!("deleting them would delete or change rows of \"{other}\", which refer to them"));
        }
        referrers.push(format!("\"{other}\""));
    }
    run.referrers = (!referrers.is_empty()).then(|| referrers.join(" or "));
    Ok(())
}
