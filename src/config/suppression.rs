//! `[suppression]`: what is remembered of those who were erased, and what it is used for.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::Reader;

/// Tombstones, re-sweeps, the ledger and the SQL function.
#[derive(Clone, Debug)]
pub struct Suppression {
    pub keep_days: u32,
    /// In ascending order.
    pub sweeps_hours: Vec<u32>,
    pub sweep_every: Duration,
    pub sql_function: bool,
    /// None: tombstones are in the database only.
    pub ledger_file: Option<PathBuf>,
}

/// Half a year: a re-sweep later than that finds people who came back, not rows that came late.
const SWEEP_HOURS_MAX: u64 = 4_392;

impl Suppression {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let suppression = Self {
            keep_days: reader.whole("suppression.keep_days", 7..=3_650),
            sweeps_hours: reader.whole_list("suppression.sweeps_hours", 1..=SWEEP_HOURS_MAX),
            sweep_every: reader.seconds("suppression.sweep_every_seconds", 1..=3_600),
            sql_function: reader.switch("suppression.sql_function"),
            ledger_file: reader.file("suppression.ledger_file"),
        };
        if !suppression.sweeps_hours.is_sorted_by(|a, b| a < b) {
            reader.complain("suppression.sweeps_hours", "each must be later than the one before");
        }
        if suppression.sweeps_hours.last().is_some_and(|last| *last > suppression.keep_days * 24) {
            reader.complain("suppression.sweeps_hours", "none may be later than suppression.keep_days");
        }
        suppression
    }
}
