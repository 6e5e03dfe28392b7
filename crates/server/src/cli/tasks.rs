//! `synapscale tasks`: tasks from a file and to a file.

use super::client::{Client, ServerFlags, read_file};
use super::progress::Bar;
use super::{Ended, Failure, Outcome, output, quiet_log};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use synapscale_core::Error;

/// Bytes of one piece of a file.
const PIECE: usize = 512 * 1024;
/// How often it is looked how far an import is.
const LOOK: Duration = Duration::from_millis(300);
/// Problems that are printed.
const TOLD: usize = 20;

const AFTER: &str = "\
Examples:
  synapscale tasks import tasks.csv --dry-run          what would become of it, and what is wrong, line by line
  synapscale tasks import tasks.csv --column 'What=title' --column 'By=due_date'
  synapscale tasks import issues.json --project 0195…  all into one project
  task export | synapscale tasks import - --format taskwarrior
  synapscale tasks undo 0195…                          takes an import back as a whole
  synapscale tasks export --format csv --output tasks.csv

Reads CSV with a line of headers (what stands between the cells is found out), our own JSON export, Todoist (a project
as CSV, or the answer of its sync API), `task export` of Taskwarrior, and GitHub's list of issues. A file is written in
UTF-8 and may have 16 MiB and 50,000 tasks. The same file again changes nothing; a changed one changes what it brought.
An import goes on on the server when this command is ended.";

/// Import and export tasks.
#[derive(Args, Debug)]
#[command(after_help = AFTER)]
pub struct Tasks {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Import tasks from a file
    #[command(after_help = AFTER)]
    Import(Box<Import>),
    /// Take an import back as a whole
    #[command(after_help = AFTER)]
    Undo(Undo),
    /// Write tasks to a file
    #[command(after_help = AFTER)]
    Export(Export),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Json,
    TodoistCsv,
    Todoist,
    Taskwarrior,
    Github,
}

impl Format {
    fn word(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Json => "json",
            Format::TodoistCsv => "todoist_csv",
            Format::Todoist => "todoist",
            Format::Taskwarrior => "taskwarrior",
            Format::Github => "github",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Written {
    Json,
    Csv,
    Taskwarrior,
}

#[derive(Args, Debug)]
struct Import {
    /// The file, or - for the standard input
    file: PathBuf,
    /// What wrote the file; found out unless given
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The project that all tasks go into, by its id; each into its own, by name, unless given
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// What a column of a table holds: title, description, status, due_date, tags and so on, or ignore
    #[arg(long = "column", value_name = "HEADER=FIELD", value_parser = column)]
    columns: Vec<(String, String)>,
    /// What stands between the cells of a table
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<String>,
    /// How many minutes the clock of times without a zone is ahead of UTC
    #[arg(long, value_name = "MINUTES", default_value_t = 0, allow_hyphen_values = true)]
    utc_offset: i32,
    /// Where the file's ids belong: files of one source change one another's tasks
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only show what would become of it
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerFlags,
}

#[derive(Args, Debug)]
struct Undo {
    /// The import's id
    import: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerFlags,
}

#[derive(Args, Debug)]
struct Export {
    /// What the file is written for
    #[arg(long, value_enum, default_value_t = Written::Json)]
    format: Written,
    /// Only tasks of this project, by its id
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// The file; the standard output unless given
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    server: ServerFlags,
}

fn column(text: &str) -> Result<(String, String), String> {
    let found = text
        .rsplit_once('=')
        .filter(|(header, field)| !header.is_empty() && !field.is_empty());
    let (header, field) = found.ok_or("write a header and a field, as in 'Due=due_date'")?;
    Ok((header.trim().to_owned(), field.trim().to_owned()))
}

impl Tasks {
    pub async fn run(self) -> Outcome {
        quiet_log()?;
        match self.action {
            Action::Import(import) => import.run().await,
            Action::Undo(undo) => undo.run().await,
            Action::Export(export) => export.run().await,
        }
    }
}

impl Import {
    async fn run(self) -> Outcome {
        let bytes = read_file(&self.file)?;
        let client = Client::find(&self.server)?;
        let made = client
            .call("imports.create", &json!({ "name": file_name(&self.file) }))
            .await?;
        let id = made["id"].clone();
        upload(&client, &id, &bytes, self.json).await?;
        let wanted = self.wanted(&id);
        let shown = match client.call("imports.preview", &wanted).await {
            Ok(shown) => shown,
            Err(failure) => {
                forget(&client, &id).await;
                return Err(failure);
            }
        };
        match self.json {
            true => output::json_line(&json!({ "type": "preview", "preview": shown }))?,
            false => tell_preview(&shown),
        }
        if self.dry_run {
            forget(&client, &id).await;
            return Ok(Ended::Well);
        }
        client.call("imports.start", &wanted).await?;
        follow(&client, &id, "Importing", self.json).await
    }

    fn wanted(&self, id: &Value) -> Value {
        let columns: Map<String, Value> = self
            .columns
            .iter()
            .map(|(header, field)| (header.clone(), json!(field)))
            .collect();
        let mut wanted =
            json!({ "import_id": id, "columns": columns, "utc_offset_minutes": self.utc_offset });
        for (name, value) in [
            ("format", self.format.map(|format| json!(format.word()))),
            ("project_id", self.project.as_ref().map(|id| json!(id))),
            (
                "delimiter",
                self.delimiter
                    .as_ref()
                    .map(|text| json!(text.replace("\\t", "\t"))),
            ),
            ("source", self.source.as_ref().map(|name| json!(name))),
        ] {
            if let (Some(value), Some(wanted)) = (value, wanted.as_object_mut()) {
                wanted.insert(name.to_owned(), value);
            }
        }
        wanted
    }
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name
        .filter(|name| name != "-")
        .unwrap_or_else(|| "tasks".to_owned());
    name.chars().take(200).collect()
}

async fn upload(client: &Client, id: &Value, bytes: &[u8], quiet: bool) -> Result<(), Failure> {
    let mut bar = Bar::new("Uploading", bytes.len(), quiet);
    for (number, piece) in bytes.chunks(PIECE).enumerate() {
        let input = json!({ "import_id": id, "number": number, "content": STANDARD.encode(piece) });
        client.call("imports.upload", &input).await?;
        bar.at(number * PIECE + piece.len());
    }
    Ok(())
}

/// What was only looked at is not kept; should this fail, the server forgets it within a day.
async fn forget(client: &Client, id: &Value) {
    let _ = client.call("imports.delete", &json!({ "import_id": id })).await;
}

fn count(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

fn tell_preview(shown: &Value) {
    let format = shown["format"].as_str().unwrap_or_default();
    output::line(format!(
        "{format}: {} tasks; {} new, {} changed, {} as they are",
        count(&shown["items"]),
        count(&shown["created"]),
        count(&shown["updated"]),
        count(&shown["unchanged"]),
    ));
    for column in shown["table"]["columns"].as_array().into_iter().flatten() {
        let (header, field) = (column["header"].as_str(), column["field"].as_str());
        let header = output::plain(header.unwrap_or_default());
        output::line(format!(
            "  {header} is taken for {}",
            field.unwrap_or_default().replace('_', " ")
        ));
    }
    tell_problems(&shown["problems"]);
}

fn tell_problems(problems: &Value) {
    let listed: &[Value] = problems["items"].as_array().map_or(&[], Vec::as_slice);
    for problem in listed.iter().take(TOLD) {
        let word = |name: &str| output::plain(problem[name].as_str().unwrap_or_default());
        output::line(format!("  {} {}: {}", word("level"), word("at"), word("message")));
    }
    let all = count(&problems["errors"]) + count(&problems["warnings"]);
    let more = usize::try_from(all)
        .unwrap_or(0)
        .saturating_sub(listed.len().min(TOLD));
    if more > 0 {
        output::line(format!("  and {more} more"));
    }
}

/// Watches an import until its run is over.
async fn follow(client: &Client, id: &Value, title: &str, quiet: bool) -> Outcome {
    let mut bar: Option<Bar> = None;
    loop {
        let import = client.call("imports.get", &json!({ "import_id": id })).await?;
        let parts = usize::try_from(count(&import["parts"])).unwrap_or(0);
        let done = usize::try_from(count(&import["parts_done"])).unwrap_or(0);
        let undoing = matches!(import["status"].as_str(), Some("undoing" | "undone"));
        let bar = bar.get_or_insert_with(|| Bar::new(title, parts, quiet));
        bar.at(if undoing { parts.saturating_sub(done) } else { done });
        let going = matches!(import["status"].as_str(), Some("running" | "undoing"));
        if !going || import["stopped"] == json!(true) {
            bar.end();
            return tell_end(&import, quiet);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn tell_end(import: &Value, as_json: bool) -> Outcome {
    let stopped = import["stopped"] == json!(true);
    let ended = if stopped { Ended::Badly } else { Ended::Well };
    if as_json {
        output::json_line(&json!({ "type": "import", "import": import }))?;
        return Ok(ended);
    }
    let id = import["id"].as_str().unwrap_or_default();
    if stopped {
        let why = output::plain(import["stopped_by"].as_str().unwrap_or_default());
        output::line(format!("import {id} stopped: {why}"));
        output::line(format!(
            "  go on  synapscale call imports.resume --input '{{\"import_id\": \"{id}\"}}'"
        ));
        return Ok(ended);
    }
    output::line(format!(
        "import {id} {}: {} made, {} changed, {} as they were, {} left out",
        import["status"].as_str().unwrap_or_default(),
        count(&import["created"]),
        count(&import["updated"]),
        count(&import["unchanged"]),
        count(&import["left_out"]),
    ));
    if import["status"] == json!("done") {
        output::line(format!("  take it back  synapscale tasks undo {id}"));
    }
    Ok(ended)
}

impl Undo {
    async fn run(self) -> Outcome {
        let client = Client::find(&self.server)?;
        let id = json!(self.import);
        client.call("imports.undo", &json!({ "import_id": id })).await?;
        follow(&client, &id, "Undoing", self.json).await
    }
}

impl Export {
    async fn run(self) -> Outcome {
        let client = Client::find(&self.server)?;
        let Some(path) = &self.output else {
            self.write(&client, &mut std::io::stdout().lock()).await?;
            return Ok(Ended::Well);
        };
        // What stands under the name already stays until all of the new file is there.
        let part = PathBuf::from(
            [path.as_os_str(), OsStr::new(".part")]
                .into_iter()
                .collect::<OsString>(),
        );
        let refused = |error: std::io::Error| Failure::usage(format!("{}: {error}", path.display()));
        let mut file = std::fs::File::create(&part).map_err(refused)?;
        let written = self.write(&client, &mut file).await;
        let kept = written.and_then(|tasks| {
            file.sync_all()
                .and_then(|()| std::fs::rename(&part, path))
                .map_err(refused)?;
            Ok(tasks)
        });
        if kept.is_err() {
            // The reason that is told is the one before.
            let _ = std::fs::remove_file(&part);
        }
        output::line(format!("{} tasks in {}", kept?, path.display()));
        Ok(Ended::Well)
    }

    /// Writes page after page; answers how many tasks there were.
    async fn write(&self, client: &Client, file: &mut impl Write) -> Result<usize, Failure> {
        let failed = |error: std::io::Error| Failure::from(Error::internal(error));
        let format = match self.format {
            Written::Json => "json",
            Written::Csv => "csv",
            Written::Taskwarrior => "taskwarrior",
        };
        let mut bar = Bar::new("Exporting", 0, self.output.is_none());
        let (mut cursor, mut tasks) = (Value::Null, 0);
        loop {
            let mut input = json!({ "format": format, "cursor": cursor });
            if let (Some(project), Some(input)) = (&self.project, input.as_object_mut()) {
                input.insert("project_id".to_owned(), json!(project));
            }
            let page = client.call("tasks.export", &input).await?;
            let content = page["content"].as_str().unwrap_or_default();
            match file.write_all(content.as_bytes()) {
                // `head` and the like close the pipe when they have seen enough.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(tasks),
                other => other.map_err(failed)?,
            }
            tasks += usize::try_from(count(&page["tasks"])).unwrap_or(0);
            bar.at(tasks);
            cursor = page["next_cursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        file.flush().map_err(failed)?;
        bar.end();
        Ok(tasks)
    }
}
