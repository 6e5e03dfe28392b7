//! The stand-in server as a process: one JSON message per line, faults by its arguments.

mod core;

use crate::core::{Act, Standin};
use serde_json::{Value, json};
use std::io::{BufRead, Write, stdin, stdout};
use std::sync::Arc;

fn write(line: &str) {
    let mut out = stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

#[allow(
    clippy::disallowed_methods,
    reason = "a program of the tests: it shows its variables, and ends as told"
)]
fn main() {
    let standin = Arc::new(Standin::default());
    for argument in std::env::args().skip(1) {
        if let Some(fault) = argument.strip_prefix("--fault=") {
            standin.fault(fault);
        }
    }
    if standin.has("die_at_start") {
        let token = std::env::var("STANDIN_TOKEN").unwrap_or_default();
        eprintln!("no licence found for {token}");
        std::process::exit(3);
    }
    if standin.has("grandchild") {
        let _ = std::process::Command::new("sleep").arg("600").spawn();
    }
    let mut surroundings: Value = std::env::vars()
        .map(|(name, value)| (name, json!(value)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    surroundings["pid"] = json!(std::process::id());
    for line in stdin().lock().lines() {
        let Ok(line) = line else { return };
        let Ok(message) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        match standin.act(&message, &surroundings) {
            Act::Send(answer) => write(&answer.to_string()),
            Act::SendBoth(first, answer) => {
                write(&first.to_string());
                write(&answer.to_string());
            }
            Act::Later(wait, answer) => {
                std::thread::spawn(move || {
                    std::thread::sleep(wait);
                    write(&answer.to_string());
                });
            }
            Act::Raw(text) => write(&text),
            Act::Die => {
                eprintln!("segmentation fault, more or less");
                std::process::exit(9);
            }
            Act::Nothing => {}
        }
    }
}
