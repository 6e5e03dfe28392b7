//! A line on the terminal that tells how far something is. Where nobody looks, it is not written.

use std::io::{IsTerminal, Write};

/// Characters of a whole bar.
const WIDTH: usize = 30;

/// How far something is.
#[derive(Debug)]
pub struct Bar {
    title: String,
    whole: usize,
    shown: bool,
    last: Option<String>,
}

impl Bar {
    /// A bar that is full at `whole`; one that only counts when that is 0.
    pub fn new(title: &str, whole: usize, quiet: bool) -> Self {
        Bar {
            title: title.to_owned(),
            whole,
            shown: !quiet && std::io::stderr().is_terminal(),
            last: None,
        }
    }

    /// Tells that so much is done.
    pub fn at(&mut self, done: usize) {
        let line = self.line(done);
        if self.shown && self.last.as_ref() != Some(&line) {
            let mut out = std::io::stderr().lock();
            // A terminal that is gone is no failure.
            let _ = write!(out, "\r{line}\u{1b}[K").and_then(|()| out.flush());
            self.last = Some(line);
        }
    }

    fn line(&self, done: usize) -> String {
        if self.whole == 0 {
            return format!("{} {done}", self.title);
        }
        let done = done.min(self.whole);
        let full = done * WIDTH / self.whole;
        let (full, rest) = ("#".repeat(full), ".".repeat(WIDTH - full));
        format!("{} [{full}{rest}] {} %", self.title, done * 100 / self.whole)
    }

    /// Leaves the line.
    pub fn end(&mut self) {
        if self.last.take().is_some() {
            let mut out = std::io::stderr().lock();
            let _ = writeln!(out);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_fill_up_and_never_run_over() {
        let bar = Bar::new("Going", 200, true);
        assert_eq!(bar.line(0), format!("Going [{}] 0 %", ".".repeat(30)));
        assert_eq!(
            bar.line(100),
            format!("Going [{}{}] 50 %", "#".repeat(15), ".".repeat(15))
        );
        assert_eq!(bar.line(999), format!("Going [{}] 100 %", "#".repeat(30)));
        assert_eq!(Bar::new("Going", 0, true).line(7), "Going 7");
    }
}
