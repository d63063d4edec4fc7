//! Partitions that are wholly expired are detached and dropped: that costs the same however many rows they hold.

use std::time::Instant;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use super::Note;
use super::facts::{Facts, Leaf};
use super::pieces::Piece;
use super::run::{Outcome, Patience, Run, code};
use super::terms::Terms;
use crate::store::StoreError;

/// So often a drop tries to get its locks before the partition is worked by pages.
const TRIES: u32 = 5;

/// Whether all rows of a partition may be due: it has an end, and that is not after the latest cutoff. The default
/// partition, where rows without an instant lie, has none.
pub(super) fn is_candidate(leaf: &Leaf, facts: &Facts, terms: &Terms) -> bool {
    let ends = leaf.before.is_some_and(|before| terms.latest().is_some_and(|latest| before <= latest));
    ends && leaf.part_of.is_some() && leaf.owned && facts.owned && facts.is_by_time
}

pub(super) fn candidates<'a>(facts: &'a Facts, terms: &Terms) -> Vec<&'a Leaf> {
    facts.leaves.iter().filter(|leaf| is_candidate(leaf, facts, terms)).collect()
}

/// The partition's bound alone says that all its rows are due.
fn is_proven(leaf: &Leaf, terms: &Terms) -> bool {
    let cutoff = terms.cutoff_of_all().filter(|_| !terms.is_narrowed());
    leaf.before.zip(cutoff).is_some_and(|(before, cutoff)| before <= cutoff)
}

/// Rows of a partition, and how many of them are due.
async fn count(conn: &impl ConnectionTrait, leaf: &Leaf, terms: &Terms) -> Result<(u64, u64), DbErr> {
    let mut values = Vec::new();
    let (joined, is_due) = terms.judged(&mut values);
    let join = joined.map_or(String::new(), |(k, chosen)| format!(" LEFT JOIN {k} ON {chosen}"));
    let held = terms.narrowed(&mut values);
    let sql = format!(
        r#"SELECT count(*) AS "rows", count(*) FILTER (WHERE {is_due}{held}) AS "due" FROM ONLY {} AS t{join}"#,
        leaf.name
    );
    let row = conn.query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
    let row = row.ok_or_else(|| DbErr::Custom("no row".to_owned()))?;
    let (rows, due): (i64, i64) = (row.try_get("", "rows")?, row.try_get("", "due")?);
    Ok((rows.cast_unsigned(), due.cast_unsigned()))
}

/// Detaches and drops a partition if every row in it is due; false when it has to be worked by pages.
pub(super) async fn drop_whole<N: Note>(
    run: &mut Run<'_, N>,
    facts: &Facts,
    terms: &Terms,
    leaf: &Leaf,
) -> Result<bool, StoreError> {
    let mut counted = None;
    let mut locked = 0;
    while locked < TRIES && !run.must_end() {
        match attempt(run, facts, terms, leaf, counted).await? {
            Some(Outcome::Deleted { took, .. }) => {
                run.rest(took).await;
                return Ok(true);
            }
            Some(Outcome::Locked) => {
                locked += 1;
                run.rest(run.hurried().lock).await;
            }
            // Too many rows to be counted while nobody may write: where the bound says enough, they are counted before.
            Some(Outcome::TooLong) if counted.is_none() && is_proven(leaf, terms) => {
                let tx = run.store.begin_write().await?;
                let patience = Patience { statement: run.limits.statement_timeout, ..run.hurried() };
                tx.execute_unprepared(&run.settings(patience)).await?;
                counted = count(&*tx, leaf, terms).await.ok().map(|(rows, _)| rows);
                tx.rollback().await?;
                if counted.is_none() {
                    return Ok(false);
                }
            }
            _ => return Ok(false),
        }
    }
    Ok(false)
}

/// None: not every row is due, or something else hangs on the partition.
async fn attempt<N: Note>(
    run: &mut Run<'_, N>,
    facts: &Facts,
    terms: &Terms,
    leaf: &Leaf,
    counted: Option<u64>,
) -> Result<Option<Outcome>, StoreError> {
    let begun = Instant::now();
    let tx = run.store.begin_write().await?;
    tx.execute_unprepared(&run.settings(run.hurried())).await?;
    let steps = async {
        // Readers go on; nobody may add a row after they were counted.
        tx.execute_unprepared(&format!("LOCK TABLE ONLY {} IN SHARE MODE", leaf.name)).await?;
        let rows = if let Some(rows) = counted {
            rows
        } else {
            let (rows, due) = count(&*tx, leaf, terms).await?;
            if due != rows || rows == 0 && !is_proven(leaf, terms) {
                return Ok(None);
            }
            rows
        };
        let (parent, name) = (&run.expiry.table, &leaf.name);
        tx.execute_unprepared(&format!("ALTER TABLE {parent} DETACH PARTITION {name}; DROP TABLE {name}")).await?;
        Ok(Some(rows))
    };
    match steps.await {
        Ok(Some(rows)) => {
            let next = facts.leaves.iter().find(|other| other.name > leaf.name);
            let resume = Piece::Pages(0, 0).resume(next.unwrap_or(leaf));
            run.finish(tx, rows, begun, &resume).await.map(Some)
        }
        Ok(None) => {
            tx.rollback().await?;
            Ok(None)
        }
        Err(error) if matches!(code(&error).as_deref(), Some("55P03" | "40P01" | "40001" | "57014")) => {
            run.refused(tx, &error).await.map(Some)
        }
        // Something refers to it or is made of it: its rows can be deleted all the same.
        Err(error) if code(&error).is_some() => {
            tx.rollback().await?;
            Ok(None)
        }
        Err(error) => Err(StoreError::from(error)),
    }
}
