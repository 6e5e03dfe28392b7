//! `synapscale llm`: which models can be called, and whether their providers work.

use super::client::{Client, ServerFlags};
use super::{Ended, Failure, Outcome, output};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

const AFTER: &str = "\
Examples:
  synapscale llm test                 test every provider: 0 when all work, 1 otherwise
  synapscale llm test openai --json
  synapscale llm models
Add a provider (the key is sealed at once and never shown again):
  synapscale call providers.create --input - <<< '{\"name\": \"openai\", \"preset\": \"openai\", \"key\": \"…\"}'
A local Ollama is found by itself where no provider is set up.";

/// Models and their providers.
#[derive(Subcommand, Debug)]
pub enum Llm {
    /// Ask providers for their models, or their default model for one word
    #[command(after_help = AFTER)]
    Test(Test),
    /// List what a call can name as its model
    #[command(after_help = AFTER)]
    Models(Models),
}

/// Tests providers.
#[derive(Args, Debug)]
pub struct Test {
    /// The provider's name; all of them unless given
    name: Option<String>,
    /// Print one JSON object per provider
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerFlags,
}

/// Lists models.
#[derive(Args, Debug)]
pub struct Models {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerFlags,
}

impl Llm {
    pub async fn run(self) -> Outcome {
        match self {
            Llm::Test(command) => command.run().await,
            Llm::Models(command) => command.run().await,
        }
    }
}

impl Test {
    async fn run(self) -> Outcome {
        let client = Client::find(&self.server)?;
        let answer = client.call("providers.list", &json!({})).await?;
        let all = answer["items"].as_array().cloned().unwrap_or_default();
        let wanted = |provider: &&Value| match &self.name {
            Some(name) => provider["name"].as_str() == Some(name),
            None => true,
        };
        let chosen: Vec<&Value> = all.iter().filter(wanted).collect();
        if chosen.is_empty() {
            return self.nothing(&client).await;
        }
        let mut well = true;
        for provider in chosen {
            let input = json!({ "provider_id": provider["id"] });
            let test = client.call("providers.test", &input).await?;
            well &= test["ok"].as_bool().unwrap_or(false);
            match self.json {
                true => output::json_line(&test)?,
                false => output::line(told(&test)),
            }
        }
        Ok(if well { Ended::Well } else { Ended::Badly })
    }

    async fn nothing(&self, client: &Client) -> Outcome {
        if let Some(name) = &self.name {
            return Err(Failure::usage(format!(
                "There is no provider `{name}`; `synapscale call providers.list` shows them."
            )));
        }
        let models = client.call("models.list", &json!({})).await?;
        let local = models["items"].as_array().map_or(0, Vec::len);
        if self.json {
            output::json_line(&json!({ "providers": 0, "local_models": local }))?;
        } else if local > 0 {
            output::line(format!(
                "No provider is set up; an Ollama on the server's machine offers {local} models."
            ));
        } else {
            output::line("No provider is set up, and no Ollama was found on the server's machine.");
            output::line(AFTER);
        }
        Ok(if local > 0 { Ended::Well } else { Ended::Badly })
    }
}

/// What a test found, in a line.
fn told(test: &Value) -> String {
    let text = |name: &str| output::plain(test[name].as_str().unwrap_or_default());
    let (name, took) = (text("provider"), test["took_ms"].as_i64().unwrap_or_default());
    if test["ok"].as_bool().unwrap_or(false) {
        let models = test["models"].as_array().map_or(0, Vec::len);
        let by = match test["by"].as_str() {
            Some("completion") => "its default model answered".to_owned(),
            _ => format!("{models} models"),
        };
        return format!("{name}: works ({by}, {took} ms)");
    }
    format!(
        "{name}: does not work: {} [{}, {took} ms]",
        text("message"),
        text("error")
    )
}

impl Models {
    async fn run(self) -> Outcome {
        let client = Client::find(&self.server)?;
        let models = client.call("models.list", &json!({})).await?;
        if self.json {
            output::json_pretty(&models)?;
            return Ok(Ended::Well);
        }
        for route in models["routes"].as_array().into_iter().flatten() {
            output::line(format!(
                "{}  (route)",
                output::plain(route.as_str().unwrap_or_default())
            ));
        }
        for model in models["items"].as_array().into_iter().flatten() {
            output::line(output::plain(model["id"].as_str().unwrap_or_default()));
        }
        let none = ["routes", "items"]
            .iter()
            .all(|list| models[*list].as_array().is_none_or(Vec::is_empty));
        if none {
            output::line("No models yet: add a provider, or start an Ollama on the server's machine.");
            output::line(AFTER);
        }
        Ok(Ended::Well)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_reads_well() {
        let works =
            json!({ "provider": "openai", "ok": true, "by": "models", "models": ["a", "b"], "took_ms": 12 });
        assert_eq!(told(&works), "openai: works (2 models, 12 ms)");
        let fails = json!({ "provider": "x", "ok": false, "error": "llm_unauthorized", "message": "The key is refused.", "took_ms": 3 });
        assert_eq!(
            told(&fails),
            "x: does not work: The key is refused. [llm_unauthorized, 3 ms]"
        );
    }
}
