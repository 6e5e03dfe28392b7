//! `synapscale call`: one operation, through the server's gate.

use super::client::{Client, ServerFlags, read_json};
use super::{Ended, Outcome, output};
use clap::Args;
use synapscale_ops::Envelope;

const AFTER: &str = "\
Examples:
  synapscale call users.me
  synapscale call projects.create --input '{\"name\": \"Inbox\"}'
  synapscale call patches.apply --input @patches.json --idempotency-key import-7
  jq '{title: .title}' issue.json | synapscale call tasks.create --input -

`synapscale ops` lists the operations.";

/// Calls an operation and prints its output as JSON.
#[derive(Args, Debug)]
#[command(after_help = AFTER)]
pub struct Call {
    /// The operation, such as tasks.list
    operation: String,
    /// The input: JSON, @FILE (JSON, or YAML by its name), or - for the standard input; an empty object unless given
    #[arg(long, value_name = "JSON|@FILE|-", default_value = "{}")]
    input: String,
    /// Makes the same call again give the first one's answer, for a day
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Refuses the call when the thing is at another revision
    #[arg(long, value_name = "N")]
    expected_revision: Option<i64>,
    /// Print the output on one line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerFlags,
}

impl Call {
    pub async fn run(self) -> Outcome {
        let input = read_json(&self.input)?;
        let client = Client::find(&self.server)?;
        let envelope = Envelope {
            idempotency_key: self.idempotency_key,
            expected_revision: self.expected_revision,
        };
        let answer = client.call_with(&self.operation, &input, &envelope).await?;
        match self.json {
            true => output::json_line(&answer)?,
            false => output::json_pretty(&answer)?,
        }
        Ok(Ended::Well)
    }
}
