//! Reads dates and instants on the command line.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use crate::clock::is_usual;

/// `2026-11-21` (its first moment, UTC) or RFC 3339, `2026-11-21T06:00:00Z`.
///
/// # Errors
/// When the text is neither, or of a year before 1970 or after 9999.
pub fn parse(text: &str) -> Result<DateTime<Utc>, String> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .map(|date| date.and_time(NaiveTime::MIN).and_utc())
        .or_else(|_| DateTime::parse_from_rfc3339(text).map(|instant| instant.to_utc()))
        .ok()
        .filter(|at| is_usual(*at))
        .ok_or_else(|| "expected a date such as 2026-11-21, or 2026-11-21T06:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_date_is_its_first_moment_in_utc() {
        assert_eq!(parse("2026-11-21").unwrap().to_rfc3339(), "2026-11-21T00:00:00+00:00");
        assert_eq!(parse("2026-11-21T01:00:00+01:00"), parse("2026-11-21"));
        assert!(["yesterday", "1969-12-31", "-4713-01-01", "+10000-01-01"].iter().all(|text| parse(text).is_err()));
    }
}
