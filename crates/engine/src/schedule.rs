//! When a schedule's turns come: a cron expression in a time zone.
//!
//! A turn at a fixed time that a change to summer time leaves out comes right after the gap; one that a change back repeats
//! comes once. Turns of a wildcard (`*/15 * * * *`) follow the clock on the wall.

use chrono::{DateTime, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// Longest cron expression, in bytes.
pub const MAX_CRON: usize = 100;
/// Longest name of a time zone, in bytes.
pub const MAX_ZONE: usize = 64;

/// A cron expression of five fields in a time zone of the IANA database.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
}

/// What is wrong with a schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The expression is none.
    #[error("`{0}` is no cron expression of five fields, such as `30 9 * * MON-FRI`: {1}.")]
    Cron(String, String),
    /// The zone is none.
    #[error("There is no time zone `{0}`; write one as `Europe/Berlin` or `UTC`.")]
    Zone(String),
    /// The expression's time never comes.
    #[error("The time of `{0}` never comes.")]
    Never(String),
}

impl Schedule {
    /// Reads `cron` (minute, hour, day of month, month, day of week) in `zone`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(cron: &str, zone: &str) -> Result<Self, ScheduleError> {
        let shown = || cron.chars().take(MAX_CRON).collect::<String>();
        let wrong = |why: String| ScheduleError::Cron(shown(), why);
        if cron.len() > MAX_CRON {
            return Err(wrong(format!("it is longer than {MAX_CRON} characters")));
        }
        // Whoever wants seconds wants something else than a schedule.
        let parser = CronParser::builder().seconds(Seconds::Disallowed).build();
        let parsed = parser.parse(cron).map_err(|error| wrong(error.to_string()))?;
        let no_zone = || ScheduleError::Zone(zone.chars().take(MAX_ZONE).collect());
        if zone.len() > MAX_ZONE {
            return Err(no_zone());
        }
        let schedule = Schedule {
            cron: parsed,
            zone: TimeZone::get(zone).map_err(|_| no_zone())?,
        };
        match schedule.next_after(DateTime::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(ScheduleError::Never(shown())),
        }
    }

    /// The first turn after `time`.
    pub fn next_after(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let next = self.cron.find_next_occurrence(&self.zoned(time)?, false).ok()?;
        back(&next).filter(|next| *next > time)
    }

    /// The last turn at or before `time`.
    pub fn last_until(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let last = self
            .cron
            .find_previous_occurrence(&self.zoned(time)?, true)
            .ok()?;
        back(&last).filter(|last| *last <= time)
    }

    fn zoned(&self, time: DateTime<Utc>) -> Option<Zoned> {
        let time = Timestamp::from_second(time.timestamp()).ok()?;
        Some(time.to_zoned(self.zone.clone()))
    }
}

fn back(time: &Zoned) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(time.timestamp().as_second(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn turns(cron: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let schedule = Schedule::parse(cron, zone).expect("a schedule");
        let mut time = at(from);
        let mut turns = Vec::new();
        for _ in 0..count {
            time = schedule.next_after(time).expect("a turn");
            turns.push(time.format("%m-%dT%H:%MZ").to_string());
        }
        turns
    }

    #[test]
    fn turns_follow_the_zones_clock() {
        // Summer time begins on 29 March 2026, at 02:00, and ends on 25 October, at 03:00.
        let daily = turns("0 9 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", 3);
        assert_eq!(daily, ["03-28T08:00Z", "03-29T07:00Z", "03-30T07:00Z"]);
        let left_out = turns("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2);
        assert_eq!(left_out, ["03-29T01:00Z", "03-30T00:30Z"], "right after the gap");
        let repeated = turns("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2);
        assert_eq!(repeated, ["10-25T00:30Z", "10-26T01:30Z"], "once");
        let hourly = turns("0 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", 4);
        assert_eq!(
            hourly,
            ["10-25T00:00Z", "10-25T01:00Z", "10-25T02:00Z", "10-25T03:00Z"]
        );
        let weekdays = turns("0 12 * * MON-FRI", "UTC", "2026-11-20T12:00:00Z", 1);
        assert_eq!(weekdays, ["11-23T12:00Z"]);
    }

    #[test]
    fn the_last_turn_is_found_backwards() {
        let schedule = Schedule::parse("*/15 * * * *", "America/New_York").expect("a schedule");
        assert_eq!(
            schedule.last_until(at("2026-06-01T10:44:59Z")),
            Some(at("2026-06-01T10:30:00Z"))
        );
        assert_eq!(
            schedule.last_until(at("2026-06-01T10:45:00Z")),
            Some(at("2026-06-01T10:45:00Z"))
        );
    }

    #[test]
    fn what_is_none_is_told() {
        for bad in [
            "",
            "* * * *",
            "* * * * * *",
            "61 * * * *",
            "nonsense",
            "0 0 31 2 *",
        ] {
            assert!(Schedule::parse(bad, "UTC").is_err(), "{bad}");
        }
        assert_eq!(
            Schedule::parse("* * * * *", "Mars/Olympus").map(|_| ()),
            Err(ScheduleError::Zone("Mars/Olympus".to_owned()))
        );
        assert!(Schedule::parse(&"1,".repeat(200), "UTC").is_err());
    }
}
