//! Pieces of one heap of PostgreSQL, worked off one by one: those that the app had locked rows in come once more, last.

use sea_orm::sea_query::ArrayType;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement, Value};

use super::Note;
use super::facts::Leaf;
use super::pace::Pace;
use super::run::{Outcome, Patience, Run};
use super::terms::Terms;
use crate::store::StoreError;

/// At most so many rows of one piece are waited for one by one.
const WAITED_FOR_MAX: u64 = 10_000;
/// After so many rows that stayed locked, the rest is left to the next run.
const PATIENCE_ROWS: u32 = 20;

/// A row's place in its heap: page and number.
pub(super) type Place = (u32, u16);

/// Rows of one heap.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// From this page to before that one.
    Pages(u32, u32),
    Rows(Vec<Place>),
}

impl Piece {
    fn condition(&self, values: &mut Vec<Value>) -> String {
        match self {
            Self::Pages(from, to) => {
                values.push(Value::from(format!("({from},0)")));
                values.push(Value::from(format!("({to},0)")));
                let last = values.len();
                format!(
                    "t.ctid>=CAST(CAST(${} AS text) AS tid) AND t.ctid<CAST(CAST(${last} AS text) AS tid)",
                    last - 1
                )
            }
            Self::Rows(places) => {
                let places = places.iter().map(|(page, row)| Value::from(format!("({page},{row})"))).collect();
                values.push(Value::Array(ArrayType::String, Some(Box::new(places))));
                format!("t.ctid=ANY(CAST(${}::text[] AS tid[]))", values.len())
            }
        }
    }

    /// Where a run goes on that ended before this piece.
    pub(super) fn resume(&self, leaf: &Leaf) -> String {
        match self {
            Self::Pages(from, _) => format!("page {from} {}", leaf.name),
            Self::Rows(places) => {
                let (page, row) = places.first().copied().unwrap_or_default();
                format!("row {page} {row}")
            }
        }
    }

    fn units(&self) -> u32 {
        match self {
            Self::Pages(from, to) => to - from,
            Self::Rows(places) => u32::try_from(places.len()).unwrap_or(u32::MAX),
        }
    }
}

/// The statement that deletes a piece's due rows.
fn delete(leaf: &Leaf, terms: &Terms, piece: &Piece) -> (String, Vec<Value>) {
    let mut values = Vec::new();
    let within = piece.condition(&mut values);
    let part = terms.part(&mut values);
    let using = part.k.map_or(String::new(), |k| format!(" USING {k}"));
    (format!("DELETE FROM ONLY {} AS t{using} WHERE {within} AND {}", leaf.name, part.due), values)
}

/// The same without the rows that others have locked.
fn delete_unlocked(leaf: &Leaf, terms: &Terms, piece: &Piece) -> (String, Vec<Value>) {
    let mut values = Vec::new();
    let within = piece.condition(&mut values);
    let part = terms.part(&mut values);
    let and_k = part.k.map_or(String::new(), |k| format!(", {k}"));
    let sql = format!(
        r#"WITH picked AS MATERIALIZED (SELECT t.ctid AS "row" FROM ONLY {0} AS t{and_k} WHERE {within} AND {1}
             FOR UPDATE OF t SKIP LOCKED)
           DELETE FROM ONLY {0} AS d WHERE d.ctid=ANY(ARRAY(SELECT p."row" FROM picked AS p))"#,
        leaf.name, part.due
    );
    (sql, values)
}

/// Deletes one piece: all of it, or nothing when it does not fit into a transaction and the pace has to plan a smaller one.
pub(super) async fn work_off<N: Note>(
    run: &mut Run<'_, N>,
    leaf: &Leaf,
    terms: &Terms,
    piece: &Piece,
    pace: &mut Pace,
    later: &mut Vec<Later>,
) -> Result<Left, StoreError> {
    let resume = next_of(piece).resume(leaf);
    let mut patience = run.hurried();
    let (sql, values) = delete(leaf, terms, piece);
    let mut outcome = run.attempt(&sql, values, patience, &resume).await?;
    if matches!(outcome, Outcome::Locked) {
        let (sql, values) = delete_unlocked(leaf, terms, piece);
        outcome = run.attempt(&sql, values, patience, &resume).await?;
        if let Outcome::Deleted { rows, .. } = outcome {
            later.push(Later { piece: piece.clone(), rows });
        }
    }
    if matches!(outcome, Outcome::TooLong) && piece.units() == 1 {
        // There is nothing smaller: better once too long than never.
        patience.statement = run.limits.statement_timeout;
        let (sql, values) = delete(leaf, terms, piece);
        outcome = run.attempt(&sql, values, patience, &resume).await?;
        if matches!(outcome, Outcome::TooLong) {
            return Err(StoreError::Refused("code 57014, for one page".to_owned()).of_table(&leaf.name));
        }
    }
    match outcome {
        Outcome::Deleted { rows, took, worked } => {
            pace.learn(piece.units(), rows, worked);
            run.rest(took).await;
            Ok(Left::Nothing)
        }
        // Locked even without the locked rows: by a lock on the whole table, or by what a trigger touches.
        Outcome::Locked => {
            later.push(Later { piece: piece.clone(), rows: 0 });
            run.rest(patience.lock).await;
            Ok(Left::Nothing)
        }
        Outcome::TooLong => {
            pace.was_too_long(piece.units());
            Ok(Left::All)
        }
        Outcome::TooMany if piece.units() > 1 => {
            pace.was_too_long(piece.units());
            Ok(Left::All)
        }
        Outcome::TooMany => {
            // Some of this page's rows are still allowed.
            let mut places = due_places(run, leaf, terms, piece).await?;
            places.truncate(usize::try_from(run.rows_left()).unwrap_or(usize::MAX));
            if !places.is_empty() {
                let (sql, values) = delete_unlocked(leaf, terms, &Piece::Rows(places));
                run.attempt(&sql, values, patience, &piece.resume(leaf)).await?;
            }
            run.end_at_limit();
            Ok(Left::All)
        }
    }
}

/// A piece in which the app had locked rows, and how many of the others are purged.
#[derive(Debug)]
pub(super) struct Later {
    pub(super) piece: Piece,
    pub(super) rows: u64,
}

/// What a piece left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    All,
}

/// A piece that begins where this one ends.
fn next_of(piece: &Piece) -> Piece {
    match piece {
        Piece::Pages(_, to) => Piece::Pages(*to, *to),
        Piece::Rows(places) => {
            let next = places.last().map(|(page, row)| (*page, row.saturating_add(1)));
            Piece::Rows(next.into_iter().collect())
        }
    }
}

/// The blocking pass: takes what the app had locked, one row per transaction, so that nothing is held while waiting.
/// Returns how many due rows stay.
pub(super) async fn wait_for<N: Note>(
    run: &mut Run<'_, N>,
    leaf: &Leaf,
    terms: &Terms,
    later: &mut Vec<Later>,
) -> Result<u64, StoreError> {
    let (mut stay, mut impatience) = (0, 0);
    while let Some(Later { piece, rows }) = later.first() {
        if run.must_end() {
            return Ok(stay);
        }
        if run.limits.dry_run {
            // The others are still there, and were counted.
            let due = due_places(run, leaf, terms, piece).await?.len() as u64;
            stay += due.saturating_sub(*rows);
            later.remove(0);
            continue;
        }
        let resume = piece.resume(leaf);
        let (sql, values) = delete_unlocked(leaf, terms, piece);
        run.attempt(&sql, values, run.hurried(), &resume).await?;
        let patience = Patience {
            lock: run.limits.lock_timeout,
            statement: run.limits.statement_timeout.max(run.limits.lock_timeout * 2),
        };
        for place in due_places(run, leaf, terms, piece).await? {
            if impatience >= PATIENCE_ROWS || run.must_end() {
                break;
            }
            let (sql, values) = delete(leaf, terms, &Piece::Rows(vec![place]));
            match run.attempt(&sql, values, patience, &resume).await? {
                Outcome::Deleted { .. } => {}
                Outcome::TooMany => {
                    run.end_at_limit();
                    return Ok(stay);
                }
                Outcome::Locked | Outcome::TooLong => impatience += 1,
            }
        }
        stay += due_places(run, leaf, terms, piece).await?.len() as u64;
        later.remove(0);
    }
    Ok(stay)
}

/// Where a piece's due rows lie, locked or not.
async fn due_places<N: Note>(
    run: &Run<'_, N>,
    leaf: &Leaf,
    terms: &Terms,
    piece: &Piece,
) -> Result<Vec<Place>, StoreError> {
    let mut values = Vec::new();
    let within = piece.condition(&mut values);
    let part = terms.part(&mut values);
    let and_k = part.k.map_or(String::new(), |k| format!(", {k}"));
    let sql = format!(
        r#"SELECT CAST(t.ctid AS text) AS "row" FROM ONLY {} AS t{and_k} WHERE {within} AND {} LIMIT {WAITED_FOR_MAX}"#,
        leaf.name, part.due
    );
    let tx = run.store.begin_write().await?;
    let patience = Patience { lock: run.limits.lock_timeout, statement: run.limits.statement_timeout };
    tx.execute_unprepared(&run.settings(patience)).await?;
    let rows = tx.query_all_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
    tx.rollback().await?;
    let places = rows.iter().map(|row| Ok(place(&row.try_get::<String>("", "row")?)));
    Ok(places.collect::<Result<Vec<_>, StoreError>>()?.into_iter().flatten().collect())
}

/// Reads `(12,3)`.
pub(super) fn place(text: &str) -> Option<Place> {
    let (page, row) = text.strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
    Some((page.parse().ok()?, row.parse().ok()?))
}
