//! `synapscale run`: applies a workflow file and runs it, with each step as it happens.

use super::client::{Client, ServerFlags, read_file};
use super::follow::{Follow, order_of};
use super::{Failure, Outcome, output};
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;
use synapscale_core::Error;
use synapscale_flows::{locate, parse_yaml};
use uuid::Uuid;

const AFTER: &str = "\
Examples:
  synapscale run examples/issue-triage/workflow.yaml --input examples/issue-triage/inputs/github-issue-opened.json
  synapscale run workflow.yaml --input issue.json --follow     wait for people, too
  synapscale run workflow.yaml --input - --json < issue.json   one JSON object per change

Every fault of the file is told at once, with its line. The run itself goes on in the server when this command ends.
Exit codes: 0 the run succeeded; 1 it failed, was cancelled or paused; 3 it waits for a person or a time and --follow
was not given.";

/// Applies a workflow file and runs it, showing each step.
#[derive(Args, Debug)]
#[command(after_help = AFTER)]
pub struct Run {
    /// The workflow file: YAML, or JSON
    file: PathBuf,
    /// The run's input as a JSON file, or - for the standard input; an empty object unless given
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// The trigger to begin with; the manual one, or the webhook that the input looks like, unless given
    #[arg(long, value_name = "NODE")]
    trigger: Option<String>,
    /// Go on watching while the run waits for a person or a time
    #[arg(long)]
    follow: bool,
    /// Print one JSON object per change
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerFlags,
}

impl Run {
    pub async fn run(self) -> Outcome {
        let text = String::from_utf8(read_file(&self.file)?)
            .map_err(|_| Failure::usage(format!("{} is not UTF-8.", self.file.display())))?;
        let file = parse_yaml(&text).map_err(|error| in_file(&self.file, &error))?;
        let name = file["name"].as_str().ok_or_else(|| {
            Failure::usage(format!(
                "{}: The file has no name. Begin it with `name: my-workflow`.",
                self.file.display()
            ))
        })?;
        let input = match &self.input {
            Some(path) => read_input(path)?,
            None => json!({}),
        };
        let client = Client::find(&self.server)?;
        self.apply(&client, name, &file, &text).await?;
        let start = Start::choose(&file, self.trigger.as_deref(), input);
        let mut call = json!({ "name": name, "input": start.input });
        if let Some(trigger) = &start.trigger {
            call["trigger"] = json!(trigger);
        }
        let started = client.call("workflows.run", &call).await?;
        let run_id: Uuid = serde_json::from_value(started["run_id"].clone()).map_err(Error::internal)?;
        if !self.json {
            output::line(format!("run {run_id} started at {}", client.server()));
        }
        let follow = Follow {
            client: &client,
            json: self.json,
            through_waits: self.follow,
            order: order_of(&file),
        };
        let (ended, run) = follow.watch(run_id).await?;
        if !self.json
            && let Some(output) = &run.output
        {
            output::json_pretty(output)?;
        }
        Ok(ended)
    }

    async fn apply(&self, client: &Client, name: &str, file: &Value, text: &str) -> Result<(), Failure> {
        let call = json!({ "name": name, "file": file });
        let applied = client.call("workflows.apply", &call).await;
        let applied = applied.map_err(|failure| self.with_lines(failure, text))?;
        if self.json {
            return output::json_line(&json!({ "type": "applied", "applied": applied }))
                .map_err(Failure::from);
        }
        let news = if applied["changed"] == true {
            "new"
        } else {
            "unchanged"
        };
        output::line(format!("applied {name}, version {} ({news})", applied["version"]));
        for hook in applied["hooks"].as_array().into_iter().flatten() {
            // A secret is told only by the call that makes it.
            if let Some(secret) = hook["secret"].as_str() {
                let part = |field: &str| hook[field].as_str().unwrap_or_default();
                output::line(format!(
                    "  hook {} ({}): {}{}",
                    part("node"),
                    part("scheme"),
                    client.server(),
                    part("url_path")
                ));
                output::line(format!("    its secret, shown this once: {secret}"));
            }
        }
        Ok(())
    }

    /// The faults of the file with their lines, as editors understand them.
    fn with_lines(&self, failure: Failure, text: &str) -> Failure {
        let file = self.file.display();
        let places: Vec<String> = failure
            .error()
            .fields()
            .iter()
            .map(|field| {
                let message = format!("{} ({})", output::plain(&field.message), field.code);
                let pointer = field.pointer.strip_prefix("/file").unwrap_or(&field.pointer);
                match locate(text, pointer) {
                    Some((line, column)) => format!("{file}:{line}:{column}: {message}"),
                    None => format!("{file}: {pointer}: {message}"),
                }
            })
            .collect();
        match places.is_empty() {
            true => failure,
            false => failure.with_places(places),
        }
    }
}

fn in_file(path: &std::path::Path, error: &Error) -> Failure {
    Failure::usage(format!("{}: {}", path.display(), error.message()))
}

fn read_input(path: &std::path::Path) -> Result<Value, Failure> {
    let bytes = read_file(path)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure::usage(format!("{} is not valid JSON: {error}.", path.display())))
}

/// Where a run by hand begins, and with what.
#[derive(Debug, PartialEq)]
struct Start {
    trigger: Option<String>,
    input: Value,
}

impl Start {
    /// A manual trigger takes the input as it is. A webhook's is put into the shape that a delivery has.
    fn choose(file: &Value, named: Option<&str>, input: Value) -> Self {
        let triggers: Vec<(&String, &Value)> = file["nodes"]
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, node)| {
                node["kind"]
                    .as_str()
                    .is_some_and(|kind| kind.starts_with("trigger."))
            })
            .collect();
        let is_hook = |node: &Value| {
            node["kind"]
                .as_str()
                .is_some_and(|kind| kind.starts_with("trigger.webhook"))
        };
        let manual = triggers.iter().find(|(_, node)| !is_hook(node));
        let likely = triggers
            .iter()
            .find(|(_, node)| node["with"]["scheme"] == scheme_like(&input));
        let chosen = match named {
            Some(name) => triggers.iter().find(|(id, _)| *id == name),
            None => manual.or(likely).or(triggers.first()),
        };
        let Some((id, node)) = chosen else {
            // The server knows better what is wrong with the name.
            return Start {
                trigger: named.map(str::to_owned),
                input,
            };
        };
        let input = if is_hook(node) { as_delivery(input) } else { input };
        Start {
            trigger: Some((*id).clone()),
            input,
        }
    }
}

/// The scheme of the provider whose deliveries look like `input`.
fn scheme_like(input: &Value) -> &'static str {
    let body = input.get("body").unwrap_or(input);
    if body.get("object_kind").is_some() {
        "gitlab"
    } else if body.get("repository").is_some() {
        "github"
    } else {
        "none"
    }
}

/// The shape that runs of webhook triggers see, around a body.
fn as_delivery(input: Value) -> Value {
    if input.get("headers").is_some() && input.get("body").is_some() {
        return input;
    }
    let event = match scheme_like(&input) {
        "github" => json!("issues"),
        "gitlab" => json!("Issue Hook"),
        _ => Value::Null,
    };
    json!({ "headers": {}, "query": {}, "event": event, "delivery_id": null, "body": input })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(kinds: &[(&str, &str)]) -> Value {
        let mut nodes = serde_json::Map::new();
        for (id, scheme) in kinds {
            let node = match *scheme {
                "manual" => json!({ "kind": "trigger.manual@1" }),
                scheme => json!({ "kind": "trigger.webhook@1", "with": { "scheme": scheme } }),
            };
            nodes.insert((*id).to_owned(), node);
        }
        json!({ "nodes": nodes })
    }

    #[test]
    fn a_manual_trigger_comes_first() {
        let start = Start::choose(
            &file(&[("hub", "github"), ("hand", "manual")]),
            None,
            json!({"a": 1}),
        );
        assert_eq!(
            start,
            Start {
                trigger: Some("hand".into()),
                input: json!({"a": 1})
            }
        );
    }

    #[test]
    fn else_the_hook_that_fits_with_a_delivery_around_the_body() {
        let hooks = file(&[("a_form", "none"), ("hub", "github"), ("lab", "gitlab")]);
        let start = Start::choose(&hooks, None, json!({"object_kind": "issue"}));
        assert_eq!(start.trigger.as_deref(), Some("lab"));
        assert_eq!(start.input["body"], json!({"object_kind": "issue"}));
        let start = Start::choose(&hooks, None, json!({"repository": {}}));
        assert_eq!(
            (start.trigger.as_deref(), &start.input["event"]),
            (Some("hub"), &json!("issues"))
        );
        assert_eq!(
            Start::choose(&hooks, None, json!({})).trigger.as_deref(),
            Some("a_form")
        );
        let whole = json!({"headers": {}, "body": {}});
        assert_eq!(Start::choose(&hooks, Some("hub"), whole.clone()).input, whole);
        assert_eq!(
            Start::choose(&hooks, Some("nobody"), json!({}))
                .trigger
                .as_deref(),
            Some("nobody")
        );
    }
}
