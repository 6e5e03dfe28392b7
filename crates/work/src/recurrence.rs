//! Tasks that come again: a small rule, and which day it names next.

use chrono::{DateTime, Datelike, Days, Duration, Months, NaiveDate, NaiveDateTime, Utc, Weekday};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synapscale_store::Migration;
use synapscale_store::schema::{Index, json, timestamp, uuid};

pub(crate) fn migration() -> Migration {
    Migration::new("work_0006_recurrence")
        .add_column("tasks", timestamp("scheduled_date").null())
        .add_column("tasks", json("recurrence").null())
        .add_index(
            "tasks",
            Index::new("tasks_by_scheduled", &["scheduled_date", "id"]),
        )
}

/// Which task a task came from: it comes back when the one that it follows is opened again.
pub(crate) fn follows() -> Migration {
    Migration::new("work_0010_follows")
        .add_column("tasks", uuid("follows_id").null())
        .add_index(
            "tasks",
            Index::new("tasks_by_followed", &["follows_id"]).only("follows_id IS NOT NULL"),
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

    /// Whether its numbers are such as the schema allows, and nothing else is wrong with it.
    pub(crate) fn is_within_bounds(&self) -> bool {
        self.fault().is_none()
            && (1..=365).contains(&self.every)
            && self.weekdays.len() <= 7
            && self.month_day.is_none_or(|day| (1..=31).contains(&day))
            && (-840..=840).contains(&self.utc_offset_minutes)
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
        // Turns that were missed are leapt over, however many they are: no turn after the one that follows `done` matters.
        let passed = self.turns(start, done.date())?;
        let wanted = |day: &NaiveDate| {
            *day > start && (self.from == ReckonedFrom::Completion || day.and_time(last.time()) > done)
        };
        let day = (passed..=passed.checked_add(2)?)
            .filter_map(|turn| self.days(start, turn))
            .find_map(|days| days.into_iter().find(wanted))?;
        let time = there(day.and_time(last.time()))?;
        Some(time).filter(|time| self.until.is_none_or(|until| *time <= until))
    }

    /// How many turns after the one of `start` the last one begins that begins by `day`: none when `day` is before.
    fn turns(&self, start: NaiveDate, day: NaiveDate) -> Option<i64> {
        let every = i64::from(self.every.max(1));
        let passed = match self.unit {
            Unit::Day => (day - start).num_days(),
            Unit::Week if self.weekdays.is_empty() => (day - start).num_days() / 7,
            Unit::Week => (monday(day)? - monday(start)?).num_days() / 7,
            Unit::Month => {
                let months = |day: NaiveDate| i64::from(day.year()) * 12 + i64::from(day.month0());
                months(day) - months(start)
            }
        };
        Some(passed.max(0) / every)
    }

    /// The days of a turn, counted from the one of `start`, in their order.
    fn days(&self, start: NaiveDate, turn: i64) -> Option<Vec<NaiveDate>> {
        let units = u64::try_from(turn)
            .ok()?
            .checked_mul(u64::from(self.every.max(1)))?;
        let later = |day: NaiveDate, days: u64| day.checked_add_days(Days::new(days));
        match self.unit {
            Unit::Day => later(start, units).map(|day| vec![day]),
            Unit::Week if self.weekdays.is_empty() => {
                later(start, units.checked_mul(7)?).map(|day| vec![day])
            }
            Unit::Week => {
                let first = later(monday(start)?, units.checked_mul(7)?)?;
                let week = (0..7).filter_map(|ahead| later(first, ahead));
                let on = |day: &NaiveDate| self.weekdays.contains(&Day::of(day.weekday()));
                Some(week.filter(on).collect())
            }
            Unit::Month => {
                let months = Months::new(u32::try_from(units).ok()?);
                let first = start.with_day(1)?.checked_add_months(months)?;
                Some(vec![on_day(first, self.month_day.unwrap_or(start.day()))?])
            }
        }
    }
}

/// The Monday of the week of a day.
fn monday(day: NaiveDate) -> Option<NaiveDate> {
    day.checked_sub_days(Days::new(u64::from(day.weekday().num_days_from_monday())))
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
    fn however_many_times_were_missed_the_rule_goes_on() {
        let (last, now) = ("1901-01-01T09:00:00Z", "2026-03-10T12:00:00Z");
        assert_eq!(next(&rule(1, Unit::Day), last, now), "2026-03-11T09:00:00+00:00");
        assert_eq!(next(&rule(2, Unit::Day), last, now), "2026-03-12T09:00:00+00:00");
        // A Tuesday, as 1901 began.
        assert_eq!(next(&rule(1, Unit::Week), last, now), "2026-03-17T09:00:00+00:00");
        assert_eq!(
            next(&rule(1, Unit::Month), last, now),
            "2026-04-01T09:00:00+00:00"
        );
        let mut days = rule(1, Unit::Week);
        days.weekdays = vec![Day::Wed, Day::Fri];
        assert_eq!(next(&days, last, now), "2026-03-11T09:00:00+00:00");
        assert_eq!(
            next(&rule(1, Unit::Day), "-20000-01-01T09:00:00Z", now),
            "2026-03-11T09:00:00+00:00"
        );
    }

    #[test]
    fn leaping_comes_to_what_stepping_comes_to() {
        let weekdays = [vec![], vec![Day::Tue], vec![Day::Sun, Day::Mon, Day::Thu]];
        for (every, unit) in [1, 2, 3, 5, 12]
            .into_iter()
            .flat_map(|n| [Unit::Day, Unit::Week, Unit::Month].map(|unit| (n, unit)))
        {
            for days in weekdays
                .iter()
                .filter(|days| days.is_empty() || unit == Unit::Week)
            {
                let mut rule = rule(every, unit);
                rule.weekdays.clone_from(days);
                for month_day in [None, Some(1), Some(31)] {
                    rule.month_day = month_day.filter(|_| unit == Unit::Month);
                    let last = at("2025-01-31T09:00:00Z");
                    let (mut step, mut now) = (last, last);
                    for _ in 0..200 {
                        // One missed time after the other, against all of them at once.
                        let one = rule.clone().on_its_day(last).next(step, step).expect("a time");
                        now = now.max(step);
                        let all = rule.clone().on_its_day(last).next(last, now).expect("a time");
                        assert_eq!(one, all, "{rule:?} after {step}");
                        step = one;
                    }
                }
            }
        }
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
