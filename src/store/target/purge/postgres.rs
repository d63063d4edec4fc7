//! PostgreSQL: chooses how a table is worked through, and does it.

use super::facts::{Facts, Leaf};
use super::pace::Pace;
use super::pieces::{Later, Left, Piece, Place, wait_for, work_off};
use super::run::Run;
use super::terms::Terms;
use super::{Note, Purged, Strategy, key, partitions, vacuum};
use crate::store::StoreError;

/// Where an earlier run ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Start {
    page: Option<(u32, String)>,
    row: Option<Place>,
}

impl Start {
    /// What cannot be read means the beginning: what is purged is gone.
    fn parse(resume: Option<&str>) -> Self {
        let words: Vec<&str> = resume.unwrap_or_default().splitn(3, ' ').collect();
        match words.as_slice() {
            ["page", page, name] => Self { page: page.parse().ok().map(|page| (page, (*name).to_owned())), row: None },
            ["row", page, row] => Self { page: None, row: page.parse().ok().zip(row.parse().ok()) },
            _ => Self::default(),
        }
    }

    /// The page to begin a heap at; none when the heap was done.
    fn page_of(&self, leaf: &Leaf) -> Option<u32> {
        match &self.page {
            Some((page, name)) if *name == leaf.name => Some(*page),
            Some((_, name)) if *name > leaf.name => None,
            _ => Some(0),
        }
    }
}

pub(super) async fn purge<N: Note>(run: &mut Run<'_, N>, resume: Option<&str>) -> Result<Purged, StoreError> {
    let facts = Facts::read(run.store.db(), run.expiry).await?;
    let terms = Terms::postgres(run.expiry, &facts.column, &facts.chooser)?;
    if terms.is_empty() {
        return Ok(run.purged(Strategy::Pages, "nothing has a cutoff".to_owned(), None));
    }
    run.plan_cache_mode = terms.plan_cache_mode();
    run.look().await;
    let start = Start::parse(resume);
    let (strategy, because) = if facts.is_partitioned {
        let whole = partitions::candidates(&facts, &terms);
        if whole.is_empty() {
            (Strategy::Pages, "no partition can be wholly expired, so the pages of each are read in order".to_owned())
        } else {
            let because = format!(
                "it is partitioned by \"{}\": {} of {} partitions end before the latest cutoff",
                run.expiry.column.as_str(),
                whole.len(),
                facts.leaves.len()
            );
            (Strategy::Partitions, because)
        }
    } else {
        match key::choose(run, &facts, &terms, start.page.is_some()).await? {
            key::Choice::Rows { places, because } => return by_key(run, &facts, &terms, places, because, &start).await,
            key::Choice::Pages { because } => (Strategy::Pages, because),
        }
    };
    let mut drive = Drive { run, facts: &facts, terms: &terms, dropped: 0, touched: Vec::new(), later: Vec::new() };
    let resume = drive.leaves(&start, strategy).await?;
    drive.end(strategy, because, resume).await
}

async fn by_key<N: Note>(
    run: &mut Run<'_, N>,
    facts: &Facts,
    terms: &Terms,
    places: Vec<Place>,
    because: String,
    start: &Start,
) -> Result<Purged, StoreError> {
    let mut drive = Drive { run, facts, terms, dropped: 0, touched: Vec::new(), later: Vec::new() };
    let mut resume = None;
    if let Some(leaf) = facts.leaves.first() {
        let begin = start.row.map_or(0, |start| places.partition_point(|place| *place < start));
        resume = drive.rows(leaf, places.get(begin..).unwrap_or_default()).await?;
    }
    drive.end(Strategy::Key, because, resume).await
}

/// One run on its way through the heaps of a table.
struct Drive<'r, 'a, N> {
    run: &'r mut Run<'a, N>,
    facts: &'r Facts,
    terms: &'r Terms,
    dropped: u32,
    /// Heaps in which rows were deleted.
    touched: Vec<&'r Leaf>,
    later: Vec<(&'r Leaf, Vec<Later>)>,
}

impl<'r, N: Note> Drive<'r, '_, N> {
    /// All heaps by pages, or dropped. Returns where to go on when it had to end.
    async fn leaves(&mut self, start: &Start, strategy: Strategy) -> Result<Option<String>, StoreError> {
        let latest = self.terms.latest();
        for leaf in &self.facts.leaves {
            let Some(from) = start.page_of(leaf) else { continue };
            if leaf.from >= latest && leaf.from.is_some() {
                // All that is in it is younger than every cutoff.
                continue;
            }
            if self.run.must_end() {
                return Ok(Some(Piece::Pages(from, from).resume(leaf)));
            }
            if strategy == Strategy::Partitions
                && from == 0
                && partitions::is_candidate(leaf, self.facts, self.terms)
                && partitions::drop_whole(self.run, self.facts, self.terms, leaf).await?
            {
                self.dropped += 1;
                continue;
            }
            let mut later = Vec::new();
            let resume = self.pages(leaf, from, &mut later).await?;
            self.touched.push(leaf);
            self.later.push((leaf, later));
            if resume.is_some() {
                return Ok(resume);
            }
        }
        Ok(None)
    }

    async fn pages(&mut self, leaf: &Leaf, from: u32, later: &mut Vec<Later>) -> Result<Option<String>, StoreError> {
        let mut pace = Pace::new(leaf.rows_per_page);
        let mut at = from;
        // The app goes on writing: what it added meanwhile is looked at once more, and then it is enough.
        for _ in 0..2 {
            let end = self.facts.pages_of(self.run.store.db(), leaf).await?;
            while at < end {
                if self.run.must_end() {
                    return Ok(Some(Piece::Pages(at, at).resume(leaf)));
                }
                let piece = Piece::Pages(at, at.saturating_add(pace.next(self.run.planned_max())).min(end));
                let left = work_off(self.run, leaf, self.terms, &piece, &mut pace, later).await?;
                if let (Left::Nothing, Piece::Pages(_, to)) = (left, piece) {
                    at = to;
                }
            }
        }
        Ok(None)
    }

    async fn rows(&mut self, leaf: &'r Leaf, places: &[Place]) -> Result<Option<String>, StoreError> {
        let mut pace = Pace::new(1.0);
        let (mut left, mut later) = (places, Vec::new());
        let mut resume = None;
        while !left.is_empty() {
            let most = usize::try_from(pace.next(self.run.planned_max())).unwrap_or(usize::MAX).min(left.len());
            let (now, rest) = left.split_at(most);
            let piece = Piece::Rows(now.to_vec());
            if self.run.must_end() {
                resume = Some(piece.resume(leaf));
                break;
            }
            if work_off(self.run, leaf, self.terms, &piece, &mut pace, &mut later).await? == Left::Nothing {
                left = rest;
            }
        }
        self.touched.push(leaf);
        self.later.push((leaf, later));
        Ok(resume)
    }

    /// The blocking pass, and what there is to say.
    async fn end(
        mut self,
        strategy: Strategy,
        because: String,
        mut resume: Option<String>,
    ) -> Result<Purged, StoreError> {
        let mut locked = 0;
        for (leaf, later) in &mut self.later {
            if resume.is_none() {
                locked += wait_for(self.run, leaf, self.terms, later).await?;
            }
            if let Some(first) = later.first() {
                // Whoever goes on begins where the first locked row was.
                resume = Some(first.piece.resume(leaf));
                break;
            }
        }
        self.run.settle().await?;
        let mut purged = self.run.purged(strategy, because, resume);
        (purged.locked, purged.dropped) = (locked, self.dropped);
        if purged.resume.is_none() && purged.rows > 0 && !self.run.limits.dry_run {
            purged.vacuumed = vacuum::postgres(self.run.store, &self.touched).await;
        }
        Ok(purged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_run_ended_reads_back_and_anything_else_is_the_beginning() {
        let page = Start { page: Some((12, "\"my table\"".to_owned())), row: None };
        assert_eq!(Start::parse(Some("page 12 \"my table\"")), page);
        assert_eq!(Start::parse(Some("row 3 4")), Start { page: None, row: Some((3, 4)) });
        for text in [None, Some(""), Some("page"), Some("page x y"), Some("row 3"), Some("rowid 5")] {
            assert_eq!(Start::parse(text), Start::default(), "{text:?}");
        }
    }
}
