//! Places among siblings: digits behind a decimal point, so that there is always room between two of them and nobody else
//! has to move.

use chrono::{DateTime, Utc};
use synapscale_store::Migration;
use synapscale_store::schema::{Index, text};

/// Longest place, in digits. Three moves to the very same spot take one more.
pub(crate) const MAX_DIGITS: usize = 1_000;

pub(crate) fn migration() -> Migration {
    Migration::new("work_0008_positions")
        .add_column("tasks", text("position").max(1_000).default(""))
        .add_index(
            "tasks",
            Index::new(
                "tasks_by_position",
                &["project_id", "parent_id", "position", "id"],
            ),
        )
}

/// The place of the `nth` task that is made at a time: behind all that were made before.
pub(crate) fn made_at(time: DateTime<Utc>, nth: usize) -> String {
    let micros = time
        .timestamp_micros()
        .saturating_add(i64::try_from(nth).unwrap_or(0));
    // The last digit is never 0: nothing lies between 1 and 10 behind the point.
    format!("{:016}5", micros.max(0))
}

/// Whether a text is a place.
pub(crate) fn is_place(text: &str) -> bool {
    text.len() <= MAX_DIGITS
        && !text.ends_with('0')
        && !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_digit())
}

/// A place after `low` and before `high`; either may be open. Both are places, and `low` comes before `high`.
pub(crate) fn between(low: Option<&str>, high: Option<&str>) -> String {
    let digit = |text: Option<&str>, at: usize| {
        text.and_then(|text| text.as_bytes().get(at))
            .map(|d| i32::from(d - b'0'))
    };
    let (mut out, mut high) = (String::new(), high);
    for at in 0..=MAX_DIGITS {
        let least = digit(low, at).unwrap_or(0);
        let most = high.map_or(10, |_| digit(high, at).unwrap_or(0));
        let middle = match most - least {
            0 => least,
            1 => {
                // From here on anything is before `high`.
                high = None;
                least
            }
            gap => {
                out.push(place(least + gap / 2));
                break;
            }
        };
        out.push(place(middle));
    }
    out
}

fn place(digit: i32) -> char {
    u32::try_from(digit)
        .ok()
        .and_then(|digit| char::from_digit(digit, 10))
        .unwrap_or('5')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn there_is_always_room() {
        for (low, high) in [
            ("1", "2"),
            ("19", "2"),
            ("1", "101"),
            ("5", "51"),
            ("0001", "0002"),
            ("199", "2"),
        ] {
            let found = between(Some(low), Some(high));
            assert!(
                low < found.as_str() && found.as_str() < high,
                "{low} {found} {high}"
            );
            assert!(is_place(&found), "{found}");
        }
        assert!(between(None, Some("01")).as_str() < "01");
        assert!(between(Some("99"), None).as_str() > "99");
    }

    #[test]
    fn many_moves_to_one_spot_grow_slowly() {
        let (low, mut high) = (
            made_at(at("2026-03-02T09:00:00Z"), 0),
            made_at(at("2026-03-02T09:00:01Z"), 0),
        );
        for _ in 0..300 {
            let next = between(Some(&low), Some(&high));
            assert!(low < next && next < high);
            high = next;
        }
        assert!(high.len() < 150, "{} digits", high.len());
    }

    #[test]
    fn what_is_made_later_stands_behind() {
        let first = made_at(at("2026-03-02T09:00:00Z"), 0);
        assert!(first < made_at(at("2026-03-02T09:00:00Z"), 1));
        assert!(first < made_at(at("2030-01-01T00:00:00Z"), 0));
        assert!(is_place(&first));
        for odd in ["", "0", "10", "1a", "½"] {
            assert!(!is_place(odd), "{odd}");
        }
    }
}
