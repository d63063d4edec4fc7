//! `[retention]`: when expired rows are purged, within which limits, and how long Efface keeps its own.

use std::collections::BTreeMap;
use std::time::Duration;

use super::reader::Reader;
use crate::erasure::data_map::Period;
use crate::retention::Schedule;

/// A century, in days: longer than that is a typing error.
const DAYS_MAX: u64 = 36_500;

/// The schedule, its limits, and periods in days. Each period of Efface's own has a fixed minimum, which is its default:
/// evidence cannot be configured away.
#[derive(Clone, Debug)]
pub struct Retention {
    /// None: nothing is purged by itself.
    pub schedule: Option<Schedule>,
    /// Of the process that keeps the clock, and of a run.
    pub lease: Duration,
    pub dry_run: bool,
    /// In percent.
    pub max_share: u32,
    pub uninstalled_days: u32,
    pub time_max: Duration,
    /// None: as many as are due.
    pub rows_max: Option<u64>,
    pub transaction_max: Duration,
    pub lock_timeout: Duration,
    pub statement_timeout: Duration,
    pub pause_percent: u32,
    /// Periods in the place of the data map's, by `policy` or `policy.class`.
    pub policies: BTreeMap<String, Period>,
    pub webhook_log_days: u32,
    /// Counted from a job's completion.
    pub jobs_days: u32,
    pub audit_log_days: u32,
    pub receipts_days: u32,
}

impl Retention {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let zone =
            reader.text_as("retention.time_zone", "a zone of the IANA database, such as Europe/Berlin", Schedule::zone);
        let zone = zone.unwrap_or_default();
        let expected = "five fields (minute hour day month weekday) that come true some day, or nothing";
        let schedule = reader.text_as("retention.schedule", expected, |text| {
            if text.is_empty() { Some(None) } else { Schedule::parse(text, zone).ok().map(Some) }
        });
        let mut policies = BTreeMap::new();
        for name in reader.names_under("retention.policies.") {
            if let Some(period) = reader.days_or_never(&format!("retention.policies.{name}"), 1..=DAYS_MAX) {
                policies.insert(name, period);
            }
        }
        Self {
            schedule: schedule.flatten(),
            lease: reader.seconds("retention.lease_seconds", 1..=300),
            dry_run: reader.switch("retention.dry_run"),
            max_share: reader.whole("retention.max_share", 1..=100),
            uninstalled_days: reader.whole("retention.uninstalled_days", 1..=3_650),
            time_max: reader.seconds("retention.time_max_seconds", 1..=86_400),
            rows_max: Some(reader.whole("retention.rows_max", 0..=u64::MAX / 2)).filter(|rows| *rows > 0),
            transaction_max: reader.milliseconds("retention.transaction_max_ms", 10..=10_000),
            lock_timeout: reader.milliseconds("retention.lock_timeout_ms", 1..=60_000),
            statement_timeout: reader.seconds("retention.statement_timeout_seconds", 1..=3_600),
            pause_percent: reader.whole("retention.pause_percent", 0..=1_000),
            policies,
            webhook_log_days: reader.whole("retention.webhook_log_days", 7..=DAYS_MAX),
            jobs_days: reader.whole("retention.jobs_days", 30..=DAYS_MAX),
            audit_log_days: reader.whole("retention.audit_log_days", 180..=DAYS_MAX),
            receipts_days: reader.whole("retention.receipts_days", 3650..=DAYS_MAX),
        }
    }
}
