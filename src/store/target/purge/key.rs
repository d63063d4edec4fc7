//! The few rows that are due, found once through an index and then deleted in the order in which they lie.

use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

use super::Note;
use super::facts::Facts;
use super::pieces::{Place, place};
use super::run::{Run, code};
use super::terms::Terms;
use crate::store::StoreError;

/// Tables of fewer pages are read as fast as their index.
const PAGES_MIN: u32 = 64;
/// Few is one row for so many pages: a page in its order is read much faster than one by itself.
const PAGES_PER_ROW: u32 = 8;
/// More rows are not few, however large the table is.
const FEW_MAX: u32 = 100_000;

pub(super) enum Choice {
    /// Where the due rows lie, in that order.
    Rows {
        places: Vec<Place>,
        because: String,
    },
    Pages {
        because: String,
    },
}

/// Looks into the index, as long as it finds few.
pub(super) async fn choose<N: Note>(
    run: &Run<'_, N>,
    facts: &Facts,
    terms: &Terms,
    is_within_pages: bool,
) -> Result<Choice, StoreError> {
    let pages = |because: &str| Ok(Choice::Pages { because: because.to_owned() });
    let Some(leaf) = facts.leaves.first().filter(|_| facts.leaves.len() == 1) else {
        return pages("other tables inherit from it, so the pages of each are read in order");
    };
    if is_within_pages {
        return pages("the run before read the pages in order");
    }
    let Some(index) = facts.index.as_ref().filter(|_| terms.is_ordered_by_column()) else {
        return pages("no index finds what is due, so the pages are read in order");
    };
    let size = facts.pages_of(run.store.db(), leaf).await?;
    if size < PAGES_MIN {
        return pages("it is small, so its pages are read in order");
    }
    let few = (size / PAGES_PER_ROW).min(FEW_MAX);
    let mut values = Vec::new();
    let part = terms.indexed(&mut values);
    let k_and = part.k.map_or(String::new(), |k| format!("{k}, "));
    let sql = format!(
        r#"SELECT CAST(t.ctid AS text) AS "row" FROM {k_and}{} AS t WHERE {} LIMIT {}"#,
        leaf.name,
        part.due,
        u64::from(few) + 1
    );
    let tx = run.store.begin_write().await?;
    let timeout = run.limits.statement_timeout.as_millis().max(1);
    tx.execute_unprepared(&format!(
        "SET LOCAL statement_timeout={timeout}; SET LOCAL TimeZone='UTC'; SET LOCAL row_security=off; SET TRANSACTION READ ONLY"
    ))
    .await?;
    let found = tx.query_all_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await;
    tx.rollback().await?;
    let found = match found {
        Ok(found) => found,
        Err(error) if code(&error).as_deref() == Some("57014") => {
            return pages("the index took too long to tell what is due, so the pages are read in order");
        }
        Err(error) => return Err(StoreError::from(error).of_table(&run.expiry.table)),
    };
    if found.len() as u64 > u64::from(few) {
        return Ok(Choice::Pages {
            because: format!("more than {few} rows are due in {size} pages, so the pages are read in order"),
        });
    }
    let mut places = Vec::with_capacity(found.len());
    for row in &found {
        places.extend(place(&row.try_get::<String>("", "row")?));
    }
    places.sort_unstable();
    places.dedup();
    let because = format!("only {} rows are due in {size} pages, and index \"{index}\" finds them", places.len());
    Ok(Choice::Rows { places, because })
}
