//! When a sweep is due: a cron expression, meant in a time zone.

use std::fmt;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// How far back a missed run is looked for when nothing was ever dealt with.
const LONGEST: TimeDelta = TimeDelta::days(366);

/// A cron expression and its zone.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    zone: Tz,
}

impl Schedule {
    /// Reads five fields: minute, hour, day of the month, month, day of the week.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn parse(expression: &str, zone: Tz) -> Result<Self, String> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(expression.trim()).map_err(|error| error.to_string())?;
        Ok(Self { cron, zone })
    }

    /// The zone of that name in the IANA database.
    pub fn zone(name: &str) -> Option<Tz> {
        name.trim().parse().ok()
    }

    /// The first time after `instant`; none when it never comes.
    pub fn next_after(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let next = self.cron.find_next_occurrence(&instant.with_timezone(&self.zone), false);
        // The search keeps the fraction of a second that it began at.
        next.ok().map(|at| at.to_utc().trunc_subsecs(0))
    }

    /// The last time that is due: after `dealt_with`, and not after `now`. Several missed ones are one.
    pub fn due(&self, dealt_with: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let earliest = dealt_with.max(now - LONGEST);
        self.next_after(earliest).filter(|first| *first <= now)?;
        let last = self.cron.find_previous_occurrence(&now.with_timezone(&self.zone), true).ok()?.to_utc();
        (last > earliest && last <= now).then_some(last)
    }

    /// What the expression means, for people.
    pub fn in_words(&self) -> String {
        format!("{} ({})", self.cron.describe().trim_end_matches('.'), self.zone.name())
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.cron.as_str(), self.zone.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn schedule(expression: &str, zone: &str) -> Schedule {
        Schedule::parse(expression, Schedule::zone(zone).unwrap()).unwrap()
    }

    #[test]
    fn the_expression_is_meant_in_its_zone() {
        let berlin = schedule("30 3 * * *", "Europe/Berlin");
        assert_eq!(berlin.next_after(at("2026-01-10T00:00:00Z")), Some(at("2026-01-10T02:30:00Z")));
        assert_eq!(berlin.next_after(at("2026-07-10T00:00:00Z")), Some(at("2026-07-10T01:30:00Z")));
        assert_eq!(berlin.next_after(at("2026-01-10T00:00:00.346Z")), Some(at("2026-01-10T02:30:00Z")));
        assert_eq!(berlin.to_string(), "30 3 * * * Europe/Berlin");
        assert_eq!(berlin.in_words(), "At 03:30 (Europe/Berlin)");
    }

    #[test]
    fn no_day_is_left_out_or_taken_twice_when_clocks_change() {
        for (zone, expression) in [("Europe/Berlin", "30 2 * * *"), ("America/New_York", "30 1 * * *")] {
            let schedule = schedule(expression, zone);
            let (mut dealt_with, mut runs) = (at("2026-01-01T12:00:00Z"), 0);
            for hour in 1..=365 * 24 {
                let now = at("2026-01-01T12:00:00Z") + TimeDelta::hours(hour);
                if let Some(slot) = schedule.due(dealt_with, now) {
                    assert!(slot > dealt_with && slot <= now);
                    (dealt_with, runs) = (slot, runs + 1);
                }
            }
            assert_eq!(runs, 365, "{zone}");
        }
    }

    #[test]
    fn missed_times_are_one() {
        let nightly = schedule("0 3 * * *", "UTC");
        let now = at("2026-11-21T12:00:00Z");
        assert_eq!(nightly.due(at("2026-11-15T03:00:00Z"), now), Some(at("2026-11-21T03:00:00Z")));
        assert_eq!(nightly.due(at("2026-11-21T03:00:00Z"), now), None);
        assert_eq!(nightly.due(at("2026-11-21T03:00:00Z"), at("2026-11-22T02:59:59Z")), None);
        assert_eq!(
            nightly.due(at("2026-11-21T03:00:00Z"), at("2026-11-22T03:00:00Z")),
            Some(at("2026-11-22T03:00:00Z"))
        );
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for expression in ["", "daily at three", "61 * * * *", "* * * *", "0 0 3 * * *"] {
            assert!(Schedule::parse(expression, Tz::UTC).is_err(), "{expression}");
        }
        assert!(Schedule::zone("Europe/Berlim").is_none());
        let never = schedule("0 0 30 2 *", "UTC");
        assert_eq!(never.next_after(at("2026-01-01T00:00:00Z")), None);
        assert_eq!(never.due(at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z")), None);
    }
}
