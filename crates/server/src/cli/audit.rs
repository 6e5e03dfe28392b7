//! `synapscale audit`: whether the audit trail is as it was written, and the trail as a file.

use super::client::{Client, ServerFlags, call_local};
use super::{Ended, Failure, Outcome, output, quiet_log};
use crate::app::open_store;
use crate::config::{Config, StoreFlags};
use crate::local::{AUDIT, AuditWish, Audited, AuditedPart};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};
use synapscale_core::{Error, Result};
use synapscale_store::Store;

/// Events of one page of an export.
const PAGE: u32 = 200;
/// The columns of an export as CSV; `changes` and `data` are JSON within.
const COLUMNS: [&str; 12] = [
    "at",
    "kind",
    "subject",
    "actor_kind",
    "actor_id",
    "for_kind",
    "for_id",
    "channel",
    "ip",
    "changes",
    "data",
    "id",
];

const AFTER: &str = "\
Examples:
  synapscale audit verify
  synapscale audit verify --expect 1204:9f2b…         against a link that was kept elsewhere
  synapscale audit verify --after 800                 goes on where a look was ended
  synapscale audit export --format csv > audit.csv
  synapscale audit export --kinds 'task.*' --since TOKEN

verify exits 1 when an event was changed, added or taken away after it was written. Whoever may write to the database
could also write the chain anew: so keep the number and hash that it prints somewhere else, and give them next time.";

/// Verifies and exports the audit trail.
#[derive(Args, Debug)]
#[command(after_help = AFTER)]
pub struct Audit {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Look over the chain of hashes over all events, as whoever owns the data
    Verify(Verify),
    /// Write a workspace's trail to standard output, the oldest first
    Export(Export),
}

#[derive(Args, Debug)]
struct Verify {
    /// A link kept from an earlier time, as NUMBER:HASH
    #[arg(long, value_name = "NUMBER:HASH", value_parser = expected)]
    expect: Option<(i64, String)>,
    /// Go on behind this link, as a look that was ended said
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    after: i64,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreFlags,
}

#[derive(Args, Debug)]
struct Export {
    /// As one JSON object a line, or as a table
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// Only these kinds: task.created, or task.* for a noun, separated by commas
    #[arg(long)]
    kinds: Option<String>,
    /// Only what happened to this thing, as noun:id
    #[arg(long)]
    subject: Option<String>,
    /// Go on behind this cursor
    #[arg(long, value_name = "TOKEN")]
    since: Option<String>,
    /// Only what happened then or later, such as 2026-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only what happened before
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    #[command(flatten)]
    server: ServerFlags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Jsonl,
    Csv,
}

fn expected(text: &str) -> Result<(i64, String), String> {
    let bad = || "write a link's number and hash, as in 12:9f2b…".to_owned();
    let (number, hash) = text.split_once(':').ok_or_else(bad)?;
    let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    match (number.parse(), is_hash) {
        (Ok(number), true) => Ok((number, hash.to_owned())),
        _ => Err(bad()),
    }
}

impl Audit {
    pub async fn run(self) -> Outcome {
        quiet_log()?;
        match self.action {
            Action::Verify(verify) => verify.run().await,
            Action::Export(export) => export.run().await,
        }
    }
}

impl Verify {
    async fn run(self) -> Outcome {
        let config = Config::load_store(&self.store)?;
        let mut wish = AuditWish {
            expect: self.expect,
            after: self.after,
        };
        let (mut audited, mut own) = (Audited::default(), None);
        let looked = loop {
            let part = match part(&config, &wish, &mut own).await {
                Ok(part) => part,
                Err(failure) => break Err(failure),
            };
            audited.verdict.add(part.part.verdict);
            audited.as_expected = part.as_expected;
            match part.part.next {
                Some(next) => wish.after = next,
                None => break Ok(()),
            }
            progress(wish.after, part.part.of);
        };
        if let Some(store) = own {
            store.close().await;
        }
        if looked.is_err() && wish.after > 0 {
            eprintln!("go on with: synapscale audit verify --after {}", wish.after);
        }
        looked?;
        match self.json {
            true => output::json_line(&audited)?,
            false => tell(&audited),
        }
        Ok(if audited.is_well() {
            Ended::Well
        } else {
            Ended::Badly
        })
    }
}

/// How far it is, for whoever watches or ends it: it can be gone on from there.
fn progress(reached: i64, of: i64) {
    if std::io::stderr().is_terminal() {
        eprint!("\r{reached} of {of} links looked over; after an end, go on with --after {reached} ");
    }
}

/// Looks a part over: by the running server, or, when none runs, in the database that is opened here.
async fn part(config: &Config, wish: &AuditWish, own: &mut Option<Store>) -> Result<AuditedPart, Failure> {
    if let Some(store) = own {
        return Ok(wish.make(store).await?);
    }
    if let Some(part) = call_local(&config.data, AUDIT, wish).await? {
        return Ok(serde_json::from_value(part).map_err(Error::internal)?);
    }
    let store = own.insert(open_store(config).await?);
    // Also finds out which log it is; nothing is migrated that stands.
    crate::app::ready_schema(config, store, &crate::modules::Modules::new(store)).await?;
    Ok(wish.make(store).await?)
}

fn tell(audited: &Audited) {
    let verdict = &audited.verdict;
    for fault in &verdict.faults {
        output::line(format!(
            "BROKEN  link {} of {}: {}",
            fault.number, fault.made_at, fault.what
        ));
    }
    if audited.as_expected == Some(false) {
        output::line("BROKEN  the link that was kept elsewhere is another one here");
    }
    output::line(format!("{} links over {} events", verdict.links, verdict.events));
    if verdict.archived > 0 {
        output::line(format!(
            "{} links over archived events, read from the archive",
            verdict.archived
        ));
    }
    if verdict.not_linked > 0 {
        output::line(format!("{} events are too new to be linked", verdict.not_linked));
    }
    if let Some(head) = &verdict.head {
        output::line(format!("keep this elsewhere: {}:{}", head.number, head.hash));
    }
    output::line(if audited.is_well() {
        "the trail is as it was written"
    } else {
        "THE TRAIL WAS CHANGED"
    });
}

impl Export {
    async fn run(self) -> Outcome {
        let client = Client::find(&self.server)?;
        let mut since = self.since.clone();
        if self.format == Format::Csv {
            write_line(&COLUMNS.join(","))?;
        }
        loop {
            let mut input = json!({ "limit": PAGE, "oldest_first": true });
            let wanted = [
                ("kinds", &self.kinds),
                ("subject", &self.subject),
                ("since", &since),
                ("from", &self.from),
                ("until", &self.until),
            ];
            for (name, value) in wanted {
                if let Some(value) = value {
                    input[name] = json!(value);
                }
            }
            let page = client.call("audit.list", &input).await?;
            let items = page
                .get("items")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            for event in &items {
                write_line(&match self.format {
                    Format::Jsonl => event.to_string(),
                    Format::Csv => row(event),
                })?;
            }
            let next = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
            // A page over archived events may be empty and have more behind it.
            if next.is_none() || next == since {
                return Ok(Ended::Well);
            }
            since = next;
        }
    }
}

fn row(event: &Value) -> String {
    let field = |path: &str| match event.pointer(path) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let fields = [
        "/at",
        "/kind",
        "/subject",
        "/actor/kind",
        "/actor/id",
        "/on_behalf_of/kind",
        "/on_behalf_of/id",
        "/channel",
        "/ip",
        "/changes",
        "/data",
        "/id",
    ];
    fields.map(|path| csv(&field(path))).join(",")
}

/// A field of RFC 4180. One that a spreadsheet would take for a formula begins with an apostrophe.
fn csv(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

/// Not [`output::line`], which takes a reader that goes away for one that has seen enough: half a trail is no export.
fn write_line(line: &str) -> Result<(), Failure> {
    let written = writeln!(std::io::stdout().lock(), "{line}");
    written.map_err(|error| Failure::usage(format!("Standard output: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_safe_in_a_spreadsheet() {
        let event = json!({ "kind": "=1+1", "subject": "a,\"b\"", "changes": { "x": 1 }, "actor": { "kind": "user" } });
        assert_eq!(
            row(&event),
            ",'=1+1,\"a,\"\"b\"\"\",user,,,,,,\"{\"\"x\"\":1}\",,"
        );
    }

    #[test]
    fn a_link_is_read() {
        let hash = "0f".repeat(32);
        assert_eq!(expected(&format!("12:{hash}")), Ok((12, hash)));
        assert!(expected("12").is_err() && expected("x:0f").is_err() && expected("1:zz").is_err());
    }
}
