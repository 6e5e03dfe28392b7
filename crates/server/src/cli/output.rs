//! Printing: JSON for machines, lines for people. A reader that closed the pipe is no failure.

use serde::Serialize;
use std::io::Write;
use synapscale_core::Error;

/// Prints `text` and a line's end.
pub fn line(text: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    // `head` and the like close the pipe when they have seen enough.
    let _ = writeln!(out, "{}", text.as_ref());
    let _ = out.flush();
}

/// Prints one JSON object on one line.
pub fn json_line(value: &impl Serialize) -> Result<(), Error> {
    line(serde_json::to_string(value).map_err(Error::internal)?);
    Ok(())
}

/// Prints JSON over several lines.
pub fn json_pretty(value: &impl Serialize) -> Result<(), Error> {
    line(serde_json::to_string_pretty(value).map_err(Error::internal)?);
    Ok(())
}

/// Control characters replaced: what comes from outside must not steer the terminal.
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// A duration as people read it.
pub fn duration(milliseconds: i64) -> String {
    match milliseconds {
        ..1000 => format!("{} ms", milliseconds.max(0)),
        1000..60_000 => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
        _ => format!("{} min {} s", milliseconds / 60_000, milliseconds % 60_000 / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(7), "7 ms");
        assert_eq!(duration(1234), "1.2 s");
        assert_eq!(duration(61_000), "1 min 1 s");
    }

    #[test]
    fn terminals_are_not_steered() {
        assert_eq!(plain("a\u{1b}[2Jb"), "a\u{fffd}[2Jb");
    }
}
