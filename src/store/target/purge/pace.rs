//! How large the next piece may be, and how long the pause after it.

use std::time::Duration;

use super::others::Others;

/// The share of a transaction's time that is planned for; the rest is for what was not foreseen.
const AIM: f64 = 0.6;
/// A piece is at most so many times the one before, because the first figures are the least certain.
const GROWTH_MAX: f64 = 4.0;
/// What one deleted row costs until it was seen, in seconds: with several indexes and a trigger.
const ROW_AT_FIRST: f64 = 20e-6;
/// What looking at one page or row costs until it was seen, in seconds.
const UNIT_AT_FIRST: f64 = 20e-6;
/// No plan believes in less, in seconds.
const COST_MIN: f64 = 1e-8;
/// While others work, statements are planned for this share of what a transaction may take: a commit of theirs waits until
/// all that we wrote before it is on the disk.
const BESIDE_OTHERS: f64 = 0.01;
/// A shorter time would go by without a row.
const PLANNED_MIN: Duration = Duration::from_millis(1);
/// Replication may lag by so much before it counts.
const LAG_FREE: Duration = Duration::from_secs(1);
/// No pause is longer.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Plans pieces of so many units (pages, rows) that a transaction stays within its time even when every row is due.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    rows_per_unit: f64,
    per_unit: f64,
    per_row: f64,
    last: f64,
}

impl Pace {
    /// `rows_per_unit` as far as it is known; pieces with more of them teach better.
    pub(super) fn new(rows_per_unit: f64) -> Self {
        let rows_per_unit = if rows_per_unit.is_finite() { rows_per_unit.max(1.0) } else { 1.0 };
        let per_unit = if rows_per_unit > 1.0 { UNIT_AT_FIRST } else { COST_MIN };
        Self { rows_per_unit, per_unit, per_row: ROW_AT_FIRST, last: f64::INFINITY }
    }

    /// Units of the next piece, when its transaction may take so long; at least one.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive number below 2^31")]
    pub(super) fn next(&self, max: Duration) -> u32 {
        let cost = self.unit_cost().max(COST_MIN);
        let units = (max.as_secs_f64() * AIM / cost).min(self.last * GROWTH_MAX);
        units.clamp(1.0, f64::from(i32::MAX)) as u32
    }

    /// What one unit costs when every row in it is due.
    fn unit_cost(&self) -> f64 {
        self.per_unit + self.rows_per_unit * self.per_row
    }

    /// Learns what a piece's statement really took. A cost that rose is believed at once, one that fell by and by.
    #[expect(clippy::cast_precision_loss, reason = "rows of a piece")]
    pub(super) fn learn(&mut self, units: u32, rows: u64, took: Duration) {
        let (units, rows, took) = (f64::from(units.max(1)), rows as f64, took.as_secs_f64());
        self.last = units;
        self.rows_per_unit = self.rows_per_unit.max(rows / units);
        if rows < units * self.rows_per_unit * 0.02 {
            self.per_unit = toward(self.per_unit, (took - rows * self.per_row).max(0.0) / units);
        } else {
            self.per_row = toward(self.per_row, (took - units * self.per_unit).max(0.0) / rows);
        }
        self.per_unit = self.per_unit.min(took / units);
    }

    /// The server ended a piece of so many units, because it took too long.
    pub(super) fn was_too_long(&mut self, units: u32) {
        self.last = f64::from(units) / (4.0 * GROWTH_MAX);
        self.per_row *= 2.0;
    }
}

fn toward(before: f64, seen: f64) -> f64 {
    if seen > before { seen } else { before.mul_add(0.5, seen * 0.5) }
}

/// The pause after a batch: a share of its time while others work, and longer while a replica lags.
pub(super) fn pause(took: Duration, share: f64, others: Others) -> Duration {
    let share = if share.is_finite() && others.are_working { share.clamp(0.0, 100.0) } else { 0.0 };
    let for_replicas = others.lag.unwrap_or_default().saturating_sub(LAG_FREE) / 2;
    took.mul_f64(share).saturating_add(for_replicas).min(PAUSE_MAX)
}

/// What to plan for: while others work, they may have to wait for each of our transactions.
pub(super) fn planned_max(max: Duration, others: Others) -> Duration {
    if others.are_working { max.mul_f64(BESIDE_OTHERS).max(PLANNED_MIN) } else { max }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_millis(250);

    /// What a table's pages really cost: time per page, rows per page, time per deleted row.
    struct Table {
        page: Duration,
        rows: u64,
        row: Duration,
    }

    impl Table {
        /// `due` in thousandths.
        fn takes(&self, pages: u32, due: u64) -> (u64, Duration) {
            let rows = u64::from(pages) * self.rows * due / 1_000;
            let seconds =
                self.page.mul_f64(f64::from(pages)) + self.row.mul_f64(f64::from(u32::try_from(rows).unwrap()));
            (rows, seconds)
        }
    }

    fn table(page: u64, rows: u64, row: u64) -> Table {
        Table { page: Duration::from_nanos(page), rows, row: Duration::from_nanos(row) }
    }

    #[test]
    fn no_piece_is_planned_over_the_maximum_however_the_due_rows_lie() {
        for (page, rows, row) in [(3_000, 80, 1_000), (1_000, 200, 300), (100_000, 20, 15_000), (2_000, 40, 20_000)] {
            let table = table(page, rows, row);
            for pattern in [[500; 4], [0, 0, 0, 1_000], [1_000, 0, 1_000, 0], [0, 10, 100, 1_000]] {
                let mut pace = Pace::new(f64::from(u32::try_from(rows).unwrap()));
                for turn in 0..400 {
                    let pages = pace.next(MAX);
                    let (due, took) = table.takes(pages, pattern[turn / 20 % 4]);
                    assert!(took <= MAX, "{pages} pages take {took:?} at turn {turn}: {page} {rows} {row} {pattern:?}");
                    pace.learn(pages, due, took);
                }
            }
        }
    }

    #[test]
    fn a_full_table_is_worked_in_transactions_near_six_tenths_of_the_maximum() {
        let table = table(3_000, 80, 1_000);
        let mut pace = Pace::new(80.0);
        for _ in 0..50 {
            let pages = pace.next(MAX);
            let (due, took) = table.takes(pages, 1_000);
            pace.learn(pages, due, took);
        }
        let took = table.takes(pace.next(MAX), 1_000).1;
        assert!((130..=160).contains(&took.as_millis()), "{took:?}");
    }

    #[test]
    fn a_piece_that_was_ended_is_tried_in_quarters_down_to_one_unit() {
        let mut pace = Pace::new(50.0);
        let mut units = pace.next(MAX);
        while units > 1 {
            pace.was_too_long(units);
            let next = pace.next(MAX);
            assert!(next <= (units / 4).max(1), "{next} after {units}");
            units = next;
        }
    }

    #[test]
    fn the_pause_is_a_share_of_the_batch_while_others_work_and_longer_while_a_replica_lags() {
        let took = Duration::from_millis(100);
        let ms = |share, are_working, lag| pause(took, share, Others { are_working, lag }).as_millis();
        assert_eq!(ms(0.5, true, None), 50);
        assert_eq!(ms(0.5, false, None), 0);
        assert_eq!(ms(0.0, true, Some(LAG_FREE)), 0);
        assert_eq!(ms(0.5, true, Some(Duration::from_secs(3))), 1050);
        assert_eq!(ms(0.5, false, Some(Duration::from_secs(3))), 1000);
        assert_eq!(ms(0.5, true, Some(Duration::from_hours(1))), PAUSE_MAX.as_millis());
        assert_eq!(ms(f64::NAN, true, None), 0);
    }

    #[test]
    fn what_is_planned_is_a_hundredth_while_others_work() {
        assert_eq!(planned_max(MAX, Others { are_working: true, lag: None }), MAX / 100);
        assert_eq!(planned_max(MAX / 25, Others { are_working: true, lag: None }), PLANNED_MIN);
        assert_eq!(planned_max(MAX, Others { are_working: false, lag: None }), MAX);
        assert!(Others::default().are_working, "who cannot be seen may be there");
    }
}
