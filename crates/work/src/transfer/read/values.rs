//! Words and numbers of other products as this one has them.

use crate::model::{Priority, TaskStatus};
use crate::recurrence::{Day, ReckonedFrom, Recurrence, Unit};
use chrono::{DateTime, Duration, NaiveDate, NaiveDateTime, NaiveTime, Utc};

/// A status by what people call it.
pub(crate) fn status(text: &str) -> Option<TaskStatus> {
    Some(match folded(text).as_str() {
        "todo" | "open" | "new" | "pending" | "backlog" | "notstarted" | "incomplete" | "false" | "no"
        | "0" => TaskStatus::Todo,
        "inprogress" | "doing" | "started" | "active" | "wip" => TaskStatus::InProgress,
        "blocked" | "waiting" | "onhold" | "hold" => TaskStatus::Blocked,
        "done" | "completed" | "complete" | "closed" | "finished" | "resolved" | "true" | "yes" | "x"
        | "1" => TaskStatus::Done,
        "cancelled" | "canceled" | "wontfix" | "wontdo" | "notplanned" | "dropped" => TaskStatus::Cancelled,
        _ => return None,
    })
}

/// A priority by what people call it.
pub(crate) fn priority(text: &str) -> Option<Priority> {
    Some(match folded(text).as_str() {
        "critical" | "urgent" | "highest" | "blocker" | "p0" | "p1" => Priority::Critical,
        "high" | "h" | "important" | "p2" => Priority::High,
        "medium" | "m" | "normal" | "default" | "p3" => Priority::Medium,
        "low" | "l" | "lowest" | "minor" | "p4" => Priority::Low,
        _ => return None,
    })
}

/// Letters and digits alone, small.
pub(crate) fn folded(text: &str) -> String {
    text.chars()
        .filter(|letter| letter.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// A time: with its zone, or by the clock that is `offset` minutes ahead of UTC. A day alone begins at midnight.
pub(crate) fn time(text: &str, offset: i32) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if text.len() > 40 {
        return None;
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.with_timezone(&Utc));
    }
    // Taskwarrior: 20260302T090000Z.
    if let Ok(time) = NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%SZ") {
        return Some(time.and_utc());
    }
    let times = [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%d %H:%M",
        "%d.%m.%Y %H:%M",
    ];
    let here = times
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .or_else(|| day(text).map(|day| day.and_time(NaiveTime::MIN)))?;
    Some(
        here.checked_sub_signed(Duration::minutes(i64::from(offset)))?
            .and_utc(),
    )
}

/// A day: 2026-03-02, 2026/03/02 or 02.03.2026.
pub(crate) fn day(text: &str) -> Option<NaiveDate> {
    ["%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y"]
        .iter()
        .find_map(|form| NaiveDate::parse_from_str(text.trim(), form).ok())
}

/// Minutes: `90`, `1:30`, `1h 30m`, `1.5h`.
pub(crate) fn minutes(text: &str) -> Option<i64> {
    let text = text.trim().to_lowercase();
    if let Ok(minutes) = text.parse() {
        return Some(minutes);
    }
    if let Some((hours, minutes)) = text.split_once(':') {
        let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
        return hours
            .checked_mul(60)?
            .checked_add(minutes)
            .filter(|_| minutes < 60);
    }
    let (mut sum, mut number) = (0.0, String::new());
    for letter in text.chars().filter(|letter| !letter.is_whitespace()) {
        let unit = match letter {
            '0'..='9' | '.' => {
                number.push(letter);
                continue;
            }
            'd' => 24.0 * 60.0,
            'h' => 60.0,
            'm' => 1.0,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * unit;
        number.clear();
    }
    let whole = number.is_empty() && (0.0..=10_000_000.0).contains(&sum);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is within the bounds that were just checked"
    )]
    whole.then_some(sum.round() as i64)
}

/// Words of a list: a JSON list, or parts between commas or semicolons.
pub(crate) fn list(text: &str) -> Vec<String> {
    let text = text.trim();
    if text.starts_with('[')
        && let Ok(list) = serde_json::from_str::<Vec<String>>(text)
    {
        return list;
    }
    let by = if text.contains(';') { ';' } else { ',' };
    let parts = text.split(by).map(|part| part.trim().to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

fn every(every: u32, unit: Unit) -> Recurrence {
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

fn weekday(word: &str) -> Option<Day> {
    Some(match word {
        "mon" | "monday" | "mondays" => Day::Mon,
        "tue" | "tues" | "tuesday" | "tuesdays" => Day::Tue,
        "wed" | "weds" | "wednesday" | "wednesdays" => Day::Wed,
        "thu" | "thur" | "thurs" | "thursday" | "thursdays" => Day::Thu,
        "fri" | "friday" | "fridays" => Day::Fri,
        "sat" | "saturday" | "saturdays" => Day::Sat,
        "sun" | "sunday" | "sundays" => Day::Sun,
        _ => return None,
    })
}

fn unit(word: &str) -> Option<(u32, Unit)> {
    Some(match word {
        "d" | "day" | "days" => (1, Unit::Day),
        "w" | "week" | "weeks" | "wk" | "wks" => (1, Unit::Week),
        "m" | "mo" | "month" | "months" | "mth" => (1, Unit::Month),
        "q" | "qtr" | "quarter" | "quarters" => (3, Unit::Month),
        "y" | "yr" | "year" | "years" => (12, Unit::Month),
        _ => return None,
    })
}

/// A rule in words: `daily`, `every 2 weeks`, `every mon, thu`, `every! day`, `every 15th`, `3d`, `P1W`.
pub(crate) fn rule(text: &str) -> Option<Recurrence> {
    let text = text.trim().to_lowercase();
    if text.len() > 100 {
        return None;
    }
    let on_completion = text.contains("every!") || text.starts_with("after ");
    let plain = text.replace("every!", "every").replace(',', " ");
    // The time of day stands in the date.
    let plain = plain.split(" at ").next().unwrap_or_default();
    let words: Vec<&str> = plain
        .split_whitespace()
        .filter(|word| !matches!(*word, "every" | "after" | "and" | "on" | "the" | "of"))
        .collect();
    let mut rule = match words.as_slice() {
        [word] => one_word(word)?,
        ["other", word] => several(2, word)?,
        [number, word] if number.parse::<u32>().is_ok() => several(number.parse().ok()?, word)?,
        [number, "month" | "months"] => one_word(number)?,
        days => on_days(days)?,
    };
    if on_completion {
        rule.from = ReckonedFrom::Completion;
    }
    Some(rule)
}

fn several(number: u32, word: &str) -> Option<Recurrence> {
    let (times, unit) = unit(word)?;
    Some(every(number.checked_mul(times)?, unit))
}

fn on_days(words: &[&str]) -> Option<Recurrence> {
    let days = words
        .iter()
        .map(|word| weekday(word))
        .collect::<Option<Vec<_>>>()?;
    let mut rule = every(1, Unit::Week);
    rule.weekdays = days;
    rule.weekdays.dedup();
    (1..=7).contains(&rule.weekdays.len()).then_some(rule)
}

fn one_word(word: &str) -> Option<Recurrence> {
    Some(match word {
        "daily" => every(1, Unit::Day),
        "weekly" | "sennight" => every(1, Unit::Week),
        "biweekly" | "fortnight" | "fortnightly" => every(2, Unit::Week),
        "monthly" => every(1, Unit::Month),
        "bimonthly" => every(2, Unit::Month),
        "quarterly" => every(3, Unit::Month),
        "semiannual" => every(6, Unit::Month),
        "yearly" | "annual" | "annually" => every(12, Unit::Month),
        "biannual" | "biyearly" => every(24, Unit::Month),
        "weekday" | "weekdays" | "workday" | "workdays" => on_days(&["mon", "tue", "wed", "thu", "fri"])?,
        "weekend" | "weekends" => on_days(&["sat", "sun"])?,
        word => {
            if let Some((times, unit)) = unit(word) {
                return Some(every(times, unit));
            }
            if weekday(word).is_some() {
                return on_days(&[word]);
            }
            let word = word.strip_prefix('p').unwrap_or(word);
            let end = word.find(|letter: char| !letter.is_ascii_digit())?;
            let (number, rest) = word.split_at_checked(end)?;
            let number: u32 = number.parse().ok()?;
            if matches!(rest, "st" | "nd" | "rd" | "th") {
                let mut rule = every(1, Unit::Month);
                rule.month_day = Some(number).filter(|day| (1..=31).contains(day));
                return rule.month_day.is_some().then_some(rule);
            }
            return several(number, rest);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_in_the_words_of_others() {
        let shown = |text: &str| {
            let rule = rule(text)?;
            assert!(rule.is_within_bounds(), "{text}");
            Some((rule.every, rule.unit, rule.weekdays.len(), rule.month_day))
        };
        for (text, wanted) in [
            ("daily", (1, Unit::Day, 0, None)),
            ("every day", (1, Unit::Day, 0, None)),
            ("every! 3 days at 9:00", (3, Unit::Day, 0, None)),
            ("every other week", (2, Unit::Week, 0, None)),
            ("every mon, thu", (1, Unit::Week, 2, None)),
            ("every weekday", (1, Unit::Week, 5, None)),
            ("every 15th", (1, Unit::Month, 0, Some(15))),
            ("weekdays", (1, Unit::Week, 5, None)),
            ("yearly", (12, Unit::Month, 0, None)),
            ("3d", (3, Unit::Day, 0, None)),
            ("P2W", (2, Unit::Week, 0, None)),
            ("quarterly", (3, Unit::Month, 0, None)),
        ] {
            assert_eq!(shown(text), Some(wanted), "{text}");
        }
        for text in [
            "",
            "every",
            "every blue moon",
            "tomorrow",
            "0d",
            "999999999999d",
            "every 40th",
        ] {
            let odd = rule(text).filter(Recurrence::is_within_bounds);
            assert_eq!(odd, None, "{text}");
        }
        assert_eq!(
            rule("every! day").map(|rule| rule.from),
            Some(ReckonedFrom::Completion)
        );
    }

    #[test]
    fn times_minutes_and_lists_are_read_as_people_write_them() {
        let shown = |text: &str| time(text, 60).map(|time| time.to_rfc3339());
        for (text, wanted) in [
            ("2026-03-02", "2026-03-01T23:00:00+00:00"),
            ("2026-03-02 09:30", "2026-03-02T08:30:00+00:00"),
            ("2026-03-02T09:30:00Z", "2026-03-02T09:30:00+00:00"),
            ("2026-03-02T09:30:00+02:00", "2026-03-02T07:30:00+00:00"),
            ("20260302T093000Z", "2026-03-02T09:30:00+00:00"),
            ("02.03.2026", "2026-03-01T23:00:00+00:00"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(wanted), "{text}");
        }
        for text in ["03/02/2026", "soon", "2026-02-30", ""] {
            assert_eq!(shown(text), None, "{text}");
        }
        for (text, wanted) in [
            ("90", 90),
            ("1:30", 90),
            ("1h 30m", 90),
            ("1.5h", 90),
            ("1d", 1440),
        ] {
            assert_eq!(minutes(text), Some(wanted), "{text}");
        }
        assert_eq!(
            (minutes("1:75"), minutes("ages"), minutes("9e9h")),
            (None, None, None)
        );
        assert_eq!(list(r#"["a,b","c"]"#), ["a,b", "c"]);
        assert_eq!(
            (list("a, b ,"), list("a;b,c")),
            (vec!["a".into(), "b".into()], vec!["a".to_owned(), "b,c".into()])
        );
    }
}
