//! Says how long copies may live that a delete does not reach.
//!
//! Efface deletes rows in databases. It measures nothing of what lies below or beside them: the durations are the
//! operator's word, and a receipt says whether anybody has given it.

use chrono::{DateTime, TimeDelta, Utc};

use super::statement::{Copies, Place, StatedBy};

/// A duration, and whose word it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stated {
    /// 0: there are no such copies.
    pub days: u32,
    pub by: StatedBy,
}

/// How long copies of deleted rows may live, by place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// Dead rows in the tables' files, until vacuum has run and their pages are used again.
    pub dead_rows: Stated,
    /// The write-ahead log and its archive.
    pub write_ahead_log: Stated,
    /// Standbys and logical subscribers that lag behind.
    pub replicas: Stated,
    /// Backups and snapshots, until they expire.
    pub backups: Stated,
    /// The request's message on the broker's disk.
    pub broker: Stated,
}

impl Horizon {
    /// The durations as instants, for a job that ended at `ended_at`.
    pub fn of(&self, ended_at: DateTime<Utc>) -> Vec<Copies> {
        let places = [
            (Place::DeadRows, self.dead_rows),
            (Place::WriteAheadLog, self.write_ahead_log),
            (Place::Replicas, self.replicas),
            (Place::Backups, self.backups),
            (Place::Broker, self.broker),
        ];
        let copies = places.map(|(place, stated)| Copies {
            place,
            days: stated.days,
            until: until(ended_at, stated.days),
            stated_by: stated.by,
        });
        copies.into()
    }
}

/// The end of `days` after `ended_at`; the end of time when there is no such instant.
pub(super) fn until(ended_at: DateTime<Utc>, days: u32) -> DateTime<Utc> {
    ended_at.checked_add_signed(TimeDelta::days(days.into())).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

impl Place {
    /// The place in words, for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::DeadRows => "dead rows in the tables' files, until vacuum",
            Self::WriteAheadLog => "the write-ahead log and its archive",
            Self::Replicas => "replicas and subscribers that lag behind",
            Self::Backups => "backups and snapshots",
            Self::Broker => "the request's message on the broker's disk",
        }
    }
}
