//! Functions on time. The clock is the scope's; a time is RFC 3339 text, or a plain date meaning midnight
//! UTC.

use chrono::{
    DateTime, Datelike, FixedOffset, Months, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Timelike,
};

use super::{Args, Builtin, Eval, Result, Val, excerpt, text_value};
use crate::expr::{ExprError, ExprErrorCode};

/// What may follow `%` in `format_date`.
const SPECIFIERS: &str = "YCymbBdejaAuHIMSpfFTDRsz%GVU";
/// Most bytes one specifier of two bytes expands to.
const SPECIFIER_GROWTH: usize = 12;

pub(super) const TABLE: &[Builtin] = &[
    Builtin::new(
        [
            "now",
            "now()",
            "The time of the step in UTC; the same wherever it stands and however often a step is run again.",
        ],
        ["now()", r#""2026-01-02T03:04:05Z""#],
        (0, 0),
        now,
    ),
    Builtin::new(
        ["today", "today()", "The date of now() in UTC."],
        ["today()", r#""2026-01-02""#],
        (0, 0),
        today,
    ),
    Builtin::new(
        [
            "date_add",
            "date_add(time, n, unit)",
            "The time n units later: seconds, minutes, hours, days, weeks, months or years. A day that \
             the month does \
             not have becomes its last; a plain date stays one if the unit is a day or longer.",
        ],
        [r#"date_add("2024-01-31", 1, "month")"#, r#""2024-02-29""#],
        (3, 3),
        date_add,
    ),
    Builtin::new(
        [
            "date_diff",
            "date_diff(from, to, unit)",
            "Whole units from one time to another, negative if it is earlier.",
        ],
        [
            r#"date_diff("2026-01-01", "2026-01-02T12:00:00Z", "hours")"#,
            "36",
        ],
        (3, 3),
        date_diff,
    ),
    Builtin::new(
        [
            "format_date",
            "format_date(time, format)",
            "The time, in its own offset, by strftime letters: %Y %C %y %m %b %B %d %e %j %a %A %u %H %I \
             %M %S %p %f \
             %F %T %D %R %s %z %G %V %U %%; `%-d` leaves out the padding.",
        ],
        [
            r#"format_date("2026-03-05T14:07:00+02:00", "%d.%m.%Y %H:%M")"#,
            r#""05.03.2026 14:07""#,
        ],
        (2, 2),
        format_date,
    ),
];

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// Of so many seconds.
    Seconds(i64),
    /// Of so many months.
    Months(i64),
}

impl Unit {
    fn parse(text: &str) -> Option<Self> {
        Some(match text.strip_suffix('s').unwrap_or(text) {
            "second" => Self::Seconds(1),
            "minute" => Self::Seconds(60),
            "hour" => Self::Seconds(3_600),
            "day" => Self::Seconds(86_400),
            "week" => Self::Seconds(604_800),
            "month" => Self::Months(1),
            "year" => Self::Months(12),
            _ => return None,
        })
    }
}

fn unit<'a>(eval: &Eval<'a>, args: &Args<'a>, index: usize) -> Result<Unit> {
    let text = args.str(eval, index)?;
    Unit::parse(text).ok_or_else(|| {
        let text = excerpt(text);
        args.bad(
            eval,
            format!("{text:?} is no unit; use seconds, minutes, hours, days, weeks, months or years"),
        )
    })
}

/// The time an argument is, and whether it is a plain date.
fn time<'a>(eval: &Eval<'a>, args: &Args<'a>, index: usize) -> Result<(DateTime<FixedOffset>, bool)> {
    let text = args.str(eval, index)?;
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok((time, false));
    }
    // Exactly ten characters: chrono alone would take signs, spaces and years of any length.
    let date =
        Some(text).filter(|text| text.len() == 10 && text.as_bytes().first().is_some_and(u8::is_ascii_digit));
    match date.and_then(|date| NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()) {
        Some(date) => Ok((date.and_time(NaiveTime::MIN).and_utc().fixed_offset(), true)),
        None => {
            let text = excerpt(text);
            let why = format!("{text:?} is no time; write 2026-01-31T08:00:00Z or 2026-01-31");
            Err(args.bad(eval, why))
        }
    }
}

fn out_of_range(eval: &Eval<'_>) -> ExprError {
    eval.error(ExprErrorCode::Overflow, "the time is outside the years 0 to 9999")
}

fn now<'a>(eval: &mut Eval<'a>, _: Args<'a>) -> Result<Val<'a>> {
    text_value(eval.scope.now().to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

fn today<'a>(eval: &mut Eval<'a>, _: Args<'a>) -> Result<Val<'a>> {
    text_value(eval.scope.now().date_naive().to_string())
}

fn date_add<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let ((time, plain), count, unit) = (time(eval, &args, 0)?, args.int(eval, 1)?, unit(eval, &args, 2)?);
    let moved = match unit {
        Unit::Seconds(seconds) => count
            .checked_mul(seconds)
            .and_then(TimeDelta::try_seconds)
            .and_then(|delta| time.checked_add_signed(delta)),
        Unit::Months(months) => count
            .checked_mul(months)
            .and_then(|months| u32::try_from(months.unsigned_abs()).ok())
            .map(Months::new)
            .and_then(|step| {
                if count < 0 {
                    time.checked_sub_months(step)
                } else {
                    time.checked_add_months(step)
                }
            }),
    };
    // The UTC year is looked at: the local one can overflow at the very end of what chrono holds.
    let Some(moved) = moved.filter(|time| (1..9999).contains(&time.naive_utc().year()) || in_range(time))
    else {
        return Err(out_of_range(eval));
    };
    let whole_days = !matches!(unit, Unit::Seconds(seconds) if seconds < 86_400);
    if plain && whole_days {
        return text_value(moved.date_naive().to_string());
    }
    text_value(moved.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

/// Whether the local year has four digits; called near the limits only.
fn in_range(time: &DateTime<FixedOffset>) -> bool {
    (0..=9999).contains(&time.naive_utc().year()) && (0..=9999).contains(&time.year())
}

fn date_diff<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let (from, to) = (
        time(eval, &args, 0)?.0.naive_utc(),
        time(eval, &args, 1)?.0.naive_utc(),
    );
    let units = match unit(eval, &args, 2)? {
        Unit::Seconds(seconds) => to.signed_duration_since(from).num_seconds() / seconds,
        Unit::Months(months) => {
            let index = |time: &chrono::NaiveDateTime| i64::from(time.year()) * 12 + i64::from(time.month0());
            let within = |time: &chrono::NaiveDateTime| {
                (time.day(), time.num_seconds_from_midnight(), time.nanosecond())
            };
            let mut whole = index(&to) - index(&from);
            // A month that has not come to its day yet is not whole.
            if whole > 0 && within(&to) < within(&from) {
                whole -= 1;
            } else if whole < 0 && within(&to) > within(&from) {
                whole += 1;
            }
            whole / months
        }
    };
    eval.int(i128::from(units))
}

fn format_date<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    use std::fmt::Write as _;

    let (time, format) = (time(eval, &args, 0)?.0, args.str(eval, 1)?);
    eval.scratch(format.len().saturating_mul(SPECIFIER_GROWTH))?;
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            continue;
        }
        // `%-d` is a number without padding.
        let letter = chars
            .next()
            .and_then(|letter| if letter == '-' { chars.next() } else { Some(letter) });
        if !letter.is_some_and(|letter| SPECIFIERS.contains(letter)) {
            return Err(args.bad(
                eval,
                format!("the format has a `%` that is not one of {SPECIFIERS}"),
            ));
        }
    }
    let mut out = String::new();
    match write!(out, "{}", time.format(format)) {
        Ok(()) => text_value(out),
        Err(_) => Err(args.bad(eval, "the format does not fit the time")),
    }
}
