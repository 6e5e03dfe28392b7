//! Tasks that come again: a small rule, and which day it names next.

use chrono::{DateTime, Datelike, Days, Duration, Months, NaiveDate, NaiveDateTime, Utc, Weekday};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synapscale_store::Migration;
use synapscale_store::schema::{Index, json, timestamp};

/// Most steps that are taken to leave missed days behind.
const MAX_STEPS: u32 = 40_000;

pub(crate) fn migration() -> Migration {
    Migration::new("work_0006_recurrence")
        .add_column("tasks", timestamp("scheduled_date").null())
        .add_column("tasks", json("recurrence").null())
        .add_index(
            "tasks",
            Index::new("tasks_by_scheduled", &["scheduled_date", "id"]),
        )
}

/// What a rule counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Days.
    Day,
    /// Weeks, from Monday on.
    Week,
    /// Months.
    Month,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Day {
    fn of(day: Weekday) -> Self {
        match day {
            Weekday::Mon => Day::Mon,
            Weekday::Tue => Day::Tue,
            Weekday::Wed => Day::Wed,
            Weekday::Thu => Day::Thu,
            Weekday::Fri => Day::Fri,
            Weekday::Sat => Day::Sat,
            Weekday::Sun => Day::Sun,
        }
    }
}

/// What the next time is reckoned from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReckonedFrom {
    /// From when it was due; times that passed meanwhile are left out.
    #[default]
    Due,
    /// From when it was done.
    Completion,
}

/// How a task comes again: every so many days, weeks or months. Completing the task makes the next one and hands the rule
/// on to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recurrence {
    /// Every so many units.
    #[schemars(range(min = 1, max = 365))]
    pub every: u32,
    /// Days, weeks or months.
    pub unit: Unit,
    /// With weeks: on these days; on the day it was due unless given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7))]
    pub weekdays: Vec<Day>,
    /// With months: on this day, or the last one of a shorter month; on the day it was due unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 31))]
    pub month_day: Option<u32>,
    /// What the next time is reckoned from.
    #[serde(default)]
    pub from: ReckonedFrom,
    /// Nothing comes after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// How many minutes the clock by which days begin is ahead of UTC.
    #[serde(default)]
    #[schemars(range(min = -840, max = 840))]
    pub utc_offset_minutes: i32,
}

impl Recurrence {
    /// What is wrong with the rule: a field and words. Its numbers are within the schema's bounds.
    pub(crate) fn fault(&self) -> Option<(&'static str, &'static str)> {
        if !self.weekdays.is_empty() && self.unit != Unit::Week {
            return Some(("weekdays", "Only rules of weeks have days of the week."));
        }
        if self.month_day.is_some() && self.unit != Unit::Month {
            return Some(("month_day", "Only rules of months have a day of the month."));
        }
        (self.every == 0).then_some(("every", "This is 1 at least."))
    }

    /// The rule with its day of the month written down, if a shorter month could make it forget that: the 31st becomes the
    /// 28th in February, and must be the 31st in March again.
    pub(crate) fn on_its_day(mut self, last: DateTime<Utc>) -> Self {
        let ahead = Duration::minutes(i64::from(self.utc_offset_minutes));
        let here = last.naive_utc().checked_add_signed(ahead);
        let day = here.map_or(1, |time| time.day());
        if self.unit == Unit::Month && self.from == ReckonedFrom::Due && day > 28 {
            self.month_day.get_or_insert(day);
        }
        self
    }

    /// The next time after one that was at `last` and is done at `now`; none when the rule has ended or the calendar has.
    pub(crate) fn next(&self, last: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let ahead = Duration::minutes(i64::from(self.utc_offset_minutes));
        let here = |time: DateTime<Utc>| time.naive_utc().checked_add_signed(ahead);
        let there = |time: NaiveDateTime| Some(time.checked_sub_signed(ahead)?.and_utc());
        let (last, done) = (here(last)?, here(now)?);
        // Done early, the one that is due is over all the same: the next comes after it.
        let start = match self.from {
            ReckonedFrom::Due => last.date(),
            ReckonedFrom::Completion => done.date(),
        };
        let mut day = start;
        for _ in 0..MAX_STEPS {
            day = self.after(day, start)?;
            let time = day.and_time(last.time());
            if self.from == ReckonedFrom::Completion || time > done {
                let time = there(time)?;
                return Some(time).filter(|time| self.until.is_none_or(|until| *time <= until));
            }
        }
        None
    }

    /// The rule's next day after `day`, in step with `start`.
    fn after(&self, day: NaiveDate, start: NaiveDate) -> Option<NaiveDate> {
        let every = u64::from(self.every);
        match self.unit {
            Unit::Day => day.checked_add_days(Days::new(every)),
            Unit::Week if self.weekdays.is_empty() => day.checked_add_days(Days::new(7 * every)),
            Unit::Week => self.weekday_after(day),
            Unit::Month => {
                let first = day.with_day(1)?;
                let wanted = self.month_day.unwrap_or(start.day());
                // A day of this month that is still to come is no step of months away.
                let this_month = on_day(first, wanted)?;
                if this_month > day && self.month_day.is_some() {
                    return Some(this_month);
                }
                on_day(first.checked_add_months(Months::new(self.every))?, wanted)
            }
        }
    }

    /// The next of the rule's days in this week, or the first of them when so many weeks have passed.
    fn weekday_after(&self, day: NaiveDate) -> Option<NaiveDate> {
        let monday = day.checked_sub_days(Days::new(u64::from(day.weekday().num_days_from_monday())))?;
        let in_week = |monday: NaiveDate| {
            (0..7)
                .filter_map(move |ahead| monday.checked_add_days(Days::new(ahead)))
                .filter(|day| self.weekdays.contains(&Day::of(day.weekday())))
        };
        let later = in_week(monday).find(|found| *found > day);
        later.or_else(|| {
            let weeks = Days::new(7 * u64::from(self.every));
            in_week(monday.checked_add_days(weeks)?).next()
        })
    }
}

/// The `wanted` day of the month that begins at `first`, or its last one.
fn on_day(first: NaiveDate, wanted: u32) -> Option<NaiveDate> {
    (28..=31)
        .rev()
        .map(|last| wanted.min(last))
        .find_map(|day| first.with_day(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(every: u32, unit: Unit) -> Recurrence {
        Recurrence {
            every,
            unit,
            weekdays: Vec::new(),
            month_day: None,
            from: ReckonedFrom::Due,
            until: None,
            utc_offset_minutes: 0,
        }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn next(rule: &Recurrence, last: &str, now: &str) -> String {
        rule.next(at(last), at(now)).expect("a next time").to_rfc3339()
    }

    #[test]
    fn days_weeks_and_months_come_again_at_the_same_time_of_day() {
        let done = "2026-03-02T08:00:00Z";
        let last = "2026-03-02T17:30:00Z";
        assert_eq!(next(&rule(3, Unit::Day), last, done), "2026-03-05T17:30:00+00:00");
        assert_eq!(
            next(&rule(2, Unit::Week), last, done),
            "2026-03-16T17:30:00+00:00"
        );
        assert_eq!(
            next(&rule(1, Unit::Month), last, done),
            "2026-04-02T17:30:00+00:00"
        );
    }

    #[test]
    fn what_was_missed_is_left_out() {
        let last = "2026-03-02T09:00:00Z";
        assert_eq!(
            next(&rule(1, Unit::Day), last, "2026-03-10T12:00:00Z"),
            "2026-03-11T09:00:00+00:00"
        );
        let mut from_then = rule(1, Unit::Week);
        from_then.from = ReckonedFrom::Completion;
        assert_eq!(
            next(&from_then, last, "2026-03-10T12:00:00Z"),
            "2026-03-17T09:00:00+00:00"
        );
    }

    #[test]
    fn weekdays_are_taken_in_turn() {
        let mut rule = rule(2, Unit::Week);
        rule.weekdays = vec![Day::Mon, Day::Thu];
        let monday = "2026-03-02T09:00:00Z";
        assert_eq!(next(&rule, monday, monday), "2026-03-05T09:00:00+00:00");
        let thursday = "2026-03-05T09:00:00Z";
        assert_eq!(next(&rule, thursday, thursday), "2026-03-16T09:00:00+00:00");
    }

    #[test]
    fn the_last_day_stands_for_days_that_a_month_has_not() {
        let mut rule = rule(1, Unit::Month);
        rule.month_day = Some(31);
        assert_eq!(
            next(&rule, "2026-01-31T09:00:00Z", "2026-01-31T09:00:00Z"),
            "2026-02-28T09:00:00+00:00"
        );
        assert_eq!(
            next(&rule, "2026-02-28T09:00:00Z", "2026-02-28T09:00:00Z"),
            "2026-03-31T09:00:00+00:00"
        );
    }

    #[test]
    fn days_begin_where_the_person_is() {
        let mut rule = rule(1, Unit::Week);
        rule.weekdays = vec![Day::Mon];
        rule.utc_offset_minutes = 120;
        // Monday 00:30 there is Sunday 22:30 in UTC.
        assert_eq!(
            next(&rule, "2026-03-01T22:30:00Z", "2026-03-01T22:30:00Z"),
            "2026-03-08T22:30:00+00:00"
        );
    }

    #[test]
    fn rules_end_and_say_what_is_wrong_with_them() {
        let mut ended = rule(1, Unit::Day);
        ended.until = Some(at("2026-03-02T12:00:00Z"));
        assert_eq!(
            ended.next(at("2026-03-02T09:00:00Z"), at("2026-03-02T09:00:00Z")),
            None
        );
        let mut odd = rule(1, Unit::Day);
        odd.weekdays = vec![Day::Mon];
        assert_eq!(odd.fault().map(|(field, _)| field), Some("weekdays"));
        odd = rule(1, Unit::Week);
        odd.month_day = Some(1);
        assert_eq!(odd.fault().map(|(field, _)| field), Some("month_day"));
    }
}
