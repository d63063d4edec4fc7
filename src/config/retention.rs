//! `[retention]`: how long Efface keeps its own rows.

use super::reader::Reader;

/// A century, in days: longer than that is a typing error.
const DAYS_MAX: u64 = 36_500;

/// Periods in days. Each has a fixed minimum, which is its default: evidence cannot be configured away.
#[derive(Clone, Debug)]
pub struct Retention {
    pub webhook_log_days: u32,
    /// Counted from a job's completion.
    pub jobs_days: u32,
    pub audit_log_days: u32,
    pub receipts_days: u32,
}

impl Retention {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            webhook_log_days: reader.whole("retention.webhook_log_days", 7..=DAYS_MAX),
            jobs_days: reader.whole("retention.jobs_days", 30..=DAYS_MAX),
            audit_log_days: reader.whole("retention.audit_log_days", 180..=DAYS_MAX),
            receipts_days: reader.whole("retention.receipts_days", 3650..=DAYS_MAX),
        }
    }
}
