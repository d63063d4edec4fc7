//! `[evidence]`: how the audit log is signed, and what receipts say that Efface cannot measure.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::Reader;

/// Ten years, in days: nobody keeps copies of deleted rows for longer and calls them deleted.
const DAYS_MAX: u64 = 3650;

/// Checkpoints, and what receipts say.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// None: beside the SQLite file; with any other database there is none.
    pub checkpoint_file: Option<PathBuf>,
    pub checkpoint_every: Duration,
    pub horizon: Horizon,
}

/// Days that copies may live which a delete does not reach; 0: there are none.
#[derive(Clone, Copy, Debug)]
pub struct Horizon {
    pub vacuum_days: u32,
    pub wal_days: u32,
    pub replicas_days: u32,
    pub backups_days: u32,
    pub broker_days: u32,
}

impl Evidence {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let checkpoint_file = reader.file("evidence.checkpoint_file");
        let checkpoint_every = reader.seconds("evidence.checkpoint_every_seconds", 1..=3_600);
        let mut days = |key: &str| reader.whole(key, 0..=DAYS_MAX);
        let horizon = Horizon {
            vacuum_days: days("evidence.horizon.vacuum_days"),
            wal_days: days("evidence.horizon.wal_days"),
            replicas_days: days("evidence.horizon.replicas_days"),
            backups_days: days("evidence.horizon.backups_days"),
            broker_days: days("evidence.horizon.broker_days"),
        };
        Self { checkpoint_file, checkpoint_every, horizon }
    }
}
