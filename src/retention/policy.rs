//! Periods and policies as the data map gives them, and the instant that a period leads to.

use chrono::{DateTime, TimeDelta, Utc};

pub use crate::erasure::data_map::retention::{DAYS_MAX, SHOP_DAYS};
pub use crate::erasure::data_map::{Period, Policy, Rule};

/// Rows from before this instant are due; none: none ever is. A day has 24 hours, whatever clocks on walls do.
pub fn cutoff(period: Period, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    match period {
        Period::Days(days) => now.checked_sub_signed(TimeDelta::days(i64::from(days))),
        Period::Never => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cutoff_lies_whole_days_back() {
        let now = "2028-03-01T12:00:00.250Z".parse::<DateTime<Utc>>().unwrap();
        let cutoff = |days| cutoff(Period::Days(days), now).unwrap().to_rfc3339();
        // Over a leap day, and over a change of clocks.
        assert_eq!(cutoff(1), "2028-02-29T12:00:00.250+00:00");
        assert_eq!(cutoff(365), "2027-03-02T12:00:00.250+00:00");
        assert_eq!(cutoff(180), "2027-09-03T12:00:00.250+00:00");
        assert_eq!(super::cutoff(Period::Never, now), None);
        assert_eq!(super::cutoff(Period::Days(u32::MAX), DateTime::<Utc>::MIN_UTC), None);
    }
}
