//! `synapscale ops`: the operations, as the server has them, or as this binary does when none answers.

use super::client::{Client, ServerFlags};
use super::{Ended, Failure, Outcome, output};
use crate::config::Config;
use crate::modules::Modules;
use clap::Args;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use synapscale_core::{Clock, Error, Result, new_id};
use synapscale_ops::OperationInfo;
use synapscale_store::{MasterKey, SecretBox, Store};

const AFTER: &str = "\
Examples:
  synapscale ops
  synapscale ops --json | jq '.[] | select(.name == \"tasks.create\") | .input_schema'";

/// Lists the operations.
#[derive(Args, Debug)]
#[command(after_help = AFTER)]
pub struct Ops {
    /// Print JSON, with the schema of each input
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerFlags,
}

impl Ops {
    pub async fn run(self) -> Outcome {
        let operations = match self.ask().await {
            Ok(operations) => operations,
            Err(failure) => {
                eprintln!(
                    "These are the operations of this binary: {}",
                    failure.error().message()
                );
                own_operations().await?
            }
        };
        if self.json {
            output::json_pretty(&operations)?;
            return Ok(Ended::Well);
        }
        for line in table(&operations) {
            output::line(line);
        }
        Ok(Ended::Well)
    }

    async fn ask(&self) -> Result<Value, Failure> {
        let client = Client::find(&self.server)?;
        let mut answer = client.call("ops.list", &json!({ "schemas": self.json })).await?;
        Ok(answer["operations"].take())
    }
}

/// The registry without a database of its own: modules are made over a store, so a throw-away one is opened.
async fn own_operations() -> Result<Value> {
    let folder = std::env::temp_dir().join(format!("synapscale-{}", new_id()));
    let listed = list_in(&folder).await;
    // What cannot be removed is an empty database among temporary files.
    let _ = std::fs::remove_dir_all(&folder);
    listed
}

async fn list_in(folder: &Path) -> Result<Value> {
    let config = Config::dev(folder.to_owned(), SocketAddr::from(([127, 0, 0, 1], 0)));
    config.make_data()?;
    let secrets = SecretBox::new(&MasterKey::random()?)?;
    let store = Store::open(config.store(), secrets, Clock::system(), None).await?;
    let registry = Modules::new(&store).registry()?;
    store.close().await;
    let operations: Vec<_> = registry
        .listed()
        .map(|operation| OperationInfo::of(operation, true))
        .collect();
    serde_json::to_value(operations).map_err(Error::internal)
}

fn table(operations: &Value) -> Vec<String> {
    let rows: Vec<[String; 4]> = operations.as_array().into_iter().flatten().map(row).collect();
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2)];
    rows.iter()
        .map(|[name, effect, permission, title]| {
            let [a, b, c] = widths;
            format!("{name:a$}  {effect:b$}  {permission:c$}  {title}")
        })
        .collect()
}

fn row(operation: &Value) -> [String; 4] {
    let text = |name: &str| operation[name].as_str().unwrap_or_default().to_owned();
    let destructive = operation["destructive"].as_bool().unwrap_or(false);
    let effect = if destructive {
        format!("{}!", text("effect"))
    } else {
        text("effect")
    };
    let permission = operation["permission"].as_str().unwrap_or("(public)").to_owned();
    [text("name"), effect, permission, text("title")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lines_up() {
        let operations = json!([
            {"name": "a.b", "effect": "read", "permission": null, "title": "T", "destructive": false},
            {"name": "long.name", "effect": "write", "permission": "x:y", "title": "U", "destructive": true},
        ]);
        assert_eq!(
            table(&operations),
            ["a.b        read    (public)  T", "long.name  write!  x:y       U"]
        );
    }
}
