//! `synapscale demo`: a server with a sample workspace, and an issue that is triaged before your eyes.

use super::client::{Client, Profile};
use super::follow::{Follow, order_of};
use super::serve::{first_owner, remember, serve_until_told, url_of};
use super::{Ended, Failure, Outcome, output};
use crate::app::App;
use crate::config::{Config, LogConfig, LogFormat, provider_key};
use crate::serve::{Listeners, StopSignals};
use crate::telemetry;
use clap::Args;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use synapscale_core::{Clock, Error, new_id};
use synapscale_engine::RunStatus;
use synapscale_flows::hooks::verify::{Scheme, sign};
use synapscale_flows::parse_yaml;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use zeroize::Zeroizing;

const WORKFLOW: &str = include_str!("../../../../examples/issue-triage/workflow.yaml");
const AGENT: &str = include_str!("../../../../examples/issue-triage/agent.yaml");
const OPENED: &[u8] = include_bytes!("../../../../examples/issue-triage/inputs/github-issue-opened.json");
const DUPLICATE: &[u8] =
    include_bytes!("../../../../examples/issue-triage/inputs/github-issue-duplicate.json");
const EDITED: &[u8] = include_bytes!("../../../../examples/issue-triage/inputs/github-issue-edited.json");
const CLOSED: &[u8] = include_bytes!("../../../../examples/issue-triage/inputs/github-issue-closed.json");

/// What the sample workspace holds before the first issue comes.
const SAMPLE_TASKS: &[&str] = &[
    "Plan the next release",
    "Answer the letter from the auditors",
    "Order new chairs",
];
/// The header of an answer to a delivery that names its run.
const RUN_HEADER: &str = "x-synapscale-run";
/// How long the server may take to answer at all.
const START: Duration = Duration::from_secs(20);

const AFTER: &str = "\
Examples:
  synapscale demo                     in ./data/demo, on a free port; goes on serving until Ctrl-C
  synapscale demo --once              ends after the last issue: 0 when all went as it should
  synapscale demo --listen 127.0.0.1:8080 --data /tmp/demo";

/// Starts a sample workspace and triages one issue before your eyes.
#[derive(Args, Debug)]
#[command(after_help = AFTER)]
pub struct Demo {
    /// Where the demonstration's data goes
    #[arg(long, value_name = "DIR", default_value = "./data/demo")]
    data: PathBuf,
    /// Address and port; a free port of this machine unless given
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// End after the last issue instead of serving on
    #[arg(long)]
    once: bool,
}

impl Demo {
    pub async fn run(self) -> Outcome {
        let log = LogConfig {
            format: LogFormat::Human,
            filter: "warn".to_owned(),
        };
        telemetry::start_log(&log)?;
        let signals = StopSignals::listen()?;
        let mut config = Config::dev(self.data.clone(), self.listen);
        // One caller on one machine.
        config.limits.rate_factor = 0;
        let app = App::build(config, telemetry::start_metrics()?).await?;
        let socket = app.config().socket();
        let listeners = Listeners::bind(self.listen, Some(&socket)).await?;
        let url = url_of(listeners.address()?);
        let made = first_owner(&app, "owner@example.com", "Demo").await?;
        remember(
            app.config(),
            &url,
            made.as_ref().map(|made| made.api_key.as_str()),
        )?;
        let show = Show {
            client: self.client(&url)?,
            fresh: made.is_some(),
            data: self.data.clone(),
        };

        // The show is a client like any other: it talks to the server over HTTP while that serves.
        let end_show = CancellationToken::new();
        let serving = self.serve(app, listeners, signals, end_show.clone());
        let showing = async {
            let shown = show.run().await;
            match (&shown, self.once) {
                (Ok(_), false) => show.goodbye(),
                _ => end_show.cancel(),
            }
            shown
        };
        let (served, shown) = tokio::join!(serving, showing);
        let shown = shown?;
        let served = served?;
        Ok(if shown == Ended::Well { served } else { shown })
    }

    /// Serves until a signal, or until the show says so.
    async fn serve(
        &self,
        app: App,
        listeners: Listeners,
        signals: StopSignals,
        end: CancellationToken,
    ) -> Outcome {
        let shutdown = CancellationToken::new();
        if !self.once {
            let serving = serve_until_told(app, listeners, signals);
            tokio::pin!(serving);
            return tokio::select! {
                served = &mut serving => served,
                // The show broke off; what it says counts, and the process ends.
                () = end.cancelled() => Ok(Ended::Well),
            };
        }
        let serving = app.serve(listeners, shutdown.clone());
        tokio::pin!(serving);
        let mut signals = signals;
        tokio::select! {
            served = &mut serving => return served.map(|()| Ended::Well).map_err(Failure::from),
            () = end.cancelled() => {}
            () = signals.next() => {}
        }
        shutdown.cancel();
        serving.await?;
        Ok(Ended::Well)
    }

    fn client(&self, url: &str) -> Result<Client, Failure> {
        let profile = Profile::read(&Profile::path_in(&self.data))?;
        let key = profile.and_then(|profile| profile.key).ok_or_else(|| {
            let data = self.data.display();
            Failure::usage(format!(
                "The demonstration's key is gone from {data}/cli.toml; delete {data} and start again."
            ))
        })?;
        Client::new(url.to_owned(), Some(Zeroizing::new(key)))
    }
}

/// The demonstration itself.
struct Show {
    client: Client,
    /// The workspace was made by this start.
    fresh: bool,
    data: PathBuf,
}

/// The hook that issues come to.
struct Hook {
    path: String,
    secret: String,
}

impl Show {
    async fn run(&self) -> Outcome {
        self.wait_ready().await?;
        output::line(format!(
            "SynapScale serves {} for this demonstration.",
            self.client.server()
        ));
        if self.fresh {
            self.make_workspace().await?;
        }
        self.make_agent().await?;
        let file = parse_yaml(WORKFLOW).map_err(Failure::from)?;
        let hook = self.apply(&file).await?;

        let act = |title: &str| output::line(format!("\n--- {title}\n"));
        act("An issue is opened at GitHub and arrives by webhook, signed");
        let opened = self.deliver(&file, &hook, OPENED).await?;
        self.show_task(&opened).await?;
        act("Somebody else reports the same: no second task");
        self.deliver(&file, &hook, DUPLICATE).await?;
        act("The first one is edited: its task follows");
        let edited = self.deliver(&file, &hook, EDITED).await?;
        self.show_task(&edited).await?;
        act("GitHub delivers the first one once more: the first answer again, and no second run");
        let repeated = self.deliver(&file, &hook, OPENED).await?;
        act("The issue is closed: the task is to be deleted, and a person has the last word");
        let closed = self.deliver(&file, &hook, CLOSED).await?;

        let well = opened.status == RunStatus::Succeeded
            && edited.status == RunStatus::Succeeded
            && repeated.run_id == opened.run_id
            && matches!(closed.status, RunStatus::Waiting | RunStatus::Succeeded);
        if !well {
            output::line("\nSomething did not go as it should; `runs.list` and the log say more.");
        }
        Ok(if well { Ended::Well } else { Ended::Badly })
    }

    async fn wait_ready(&self) -> Result<(), Failure> {
        let ready = async {
            loop {
                if let Ok((200, _)) = self.client.get("/readyz").await {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(START, ready)
            .await
            .map_err(|_| Failure::unreachable("The demonstration's own server does not become ready."))
    }

    async fn make_workspace(&self) -> Result<(), Failure> {
        let project = self
            .client
            .call("projects.create", &json!({ "name": "Inbox" }))
            .await?;
        for title in SAMPLE_TASKS {
            let task = json!({ "project_id": project["id"], "title": title });
            self.client.call("tasks.create", &task).await?;
        }
        output::line(format!(
            "A workspace was made: the project Inbox with {} tasks.",
            SAMPLE_TASKS.len()
        ));
        Ok(())
    }

    /// Gives the workflow its agent where a model can be had; without one its rules decide.
    async fn make_agent(&self) -> Result<(), Failure> {
        let Some(model) = self.model().await? else {
            output::line(
                "No model was found, so the rules of the workflow decide. To let an agent do it, start Ollama on this \
                 machine, or set OPENAI_API_KEY or ANTHROPIC_API_KEY, and run this again.",
            );
            return Ok(());
        };
        let known = self.client.call("agents.list", &json!({})).await?;
        let mut all = known["items"].as_array().into_iter().flatten();
        if !all.any(|agent| agent["name"] == "triage") {
            let file = parse_yaml(AGENT).map_err(Failure::from)?;
            self.client.call("agents.create", &file).await?;
        }
        output::line(format!(
            "The agent examples/issue-triage/agent.yaml triages, by {model}; if it fails, the rules decide."
        ));
        Ok(())
    }

    /// What answers for the route `default`, in words: a provider that is there, a key of the environment, or a local Ollama.
    async fn model(&self) -> Result<Option<String>, Failure> {
        let known = self.client.call("models.list", &json!({})).await?;
        if let Some(name) = default_of(&known) {
            return Ok(Some(name));
        }
        let Some((preset, model, key)) = provider_key() else {
            // One that was only just looked for may still be found.
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let known = self.client.call("models.list", &json!({})).await?;
                if let Some(name) = default_of(&known) {
                    return Ok(Some(name));
                }
            }
            return Ok(None);
        };
        let provider = json!({
            "name": preset,
            "preset": preset,
            "key": *key,
            "settings": { "default_model": model },
        });
        self.client.call("providers.create", &provider).await?;
        Ok(Some(format!("{preset}/{model}")))
    }

    async fn apply(&self, file: &Value) -> Result<Hook, Failure> {
        let applied = self
            .client
            .call("workflows.apply", &json!({ "name": file["name"], "file": file }))
            .await?;
        output::line(format!(
            "The workflow examples/issue-triage/workflow.yaml is applied as version {}.",
            applied["version"]
        ));
        let hooks = applied["hooks"].as_array().into_iter().flatten();
        let hook = hooks.into_iter().find(|hook| hook["scheme"] == "github").cloned();
        let hook = hook.ok_or_else(|| Failure::usage("The sample workflow has no hook for GitHub."))?;
        let secret = match hook["secret"].as_str() {
            Some(secret) => secret.to_owned(),
            // Told once, when the hook was made: an earlier demonstration got it.
            None => {
                let rotated = self
                    .client
                    .call("hooks.rotate_secret", &json!({ "hook_id": hook["id"] }))
                    .await?;
                rotated["secret"].as_str().unwrap_or_default().to_owned()
            }
        };
        let path = hook["url_path"].as_str().unwrap_or_default().to_owned();
        Ok(Hook { path, secret })
    }

    /// Sends `body` as GitHub would, and shows what the run did.
    async fn deliver(&self, file: &Value, hook: &Hook, body: &[u8]) -> Result<Delivered, Failure> {
        let id = new_id().to_string();
        let signed = sign(
            Scheme::Github,
            hook.secret.as_bytes(),
            &id,
            Clock::system().now(),
            body,
        );
        let mut headers = signed.map_err(|error| Failure::from(Error::internal(error)))?;
        headers.insert("x-github-event", "issues".parse().map_err(Error::internal)?);
        headers.insert(
            "user-agent",
            "GitHub-Hookshot/demo".parse().map_err(Error::internal)?,
        );
        let answer = self.client.post_raw(&hook.path, headers, body.to_vec()).await?;
        let run = answer
            .headers
            .get(RUN_HEADER)
            .and_then(|value| value.to_str().ok());
        let Some(run_id) = run.and_then(|text| text.parse::<Uuid>().ok()) else {
            return Err(Failure::of_answer(
                answer.status,
                answer.body.to_string().as_bytes(),
            ));
        };
        let follow = Follow {
            client: &self.client,
            json: false,
            through_waits: false,
            order: order_of(file),
        };
        let (_, run) = follow.watch(run_id).await?;
        output::line(format!(
            "the sender was answered {} {}",
            answer.status,
            output::plain(&answer.body.to_string())
        ));
        let task_id = answer.body["task_id"].as_str().map(str::to_owned);
        Ok(Delivered {
            run_id,
            status: run.status,
            task_id,
        })
    }

    /// Shows the task that came of it.
    async fn show_task(&self, delivered: &Delivered) -> Result<(), Failure> {
        let Some(task_id) = &delivered.task_id else {
            return Ok(());
        };
        // Deleted by an approval of an earlier demonstration, perhaps.
        let Ok(task) = self
            .client
            .call("tasks.get", &json!({ "task_id": task_id }))
            .await
        else {
            return Ok(());
        };
        let text = |name: &str| output::plain(task[name].as_str().unwrap_or_default());
        output::line(format!(
            "its task: \"{}\", {}, priority {}, {} minutes, tags {}",
            text("title"),
            text("status"),
            text("priority"),
            task["estimated_minutes"],
            task["tags"]
        ));
        let by = task["metadata"]["triaged_by"].as_str().unwrap_or_default();
        output::line(format!(
            "it was triaged by {}",
            if by == "agent" { "the agent" } else { "the rules" }
        ));
        Ok(())
    }

    fn goodbye(&self) {
        let (server, data) = (self.client.server(), self.data.display());
        output::line(format!(
            "\nThe server goes on until Ctrl-C. Look around, in another terminal:\n  \
             open {server}/docs\n  \
             synapscale call approvals.list --data {data} --input '{{\"status\": \"pending\"}}'\n  \
             synapscale call tasks.list --data {data}\n\
             Add --data {data} to the approval's command above, too. The key is in {data}/cli.toml.\n"
        ));
    }
}

/// What the route `default` leads to, if anything; the first model that is known, for people.
fn default_of(models: &Value) -> Option<String> {
    let routes = models["routes"].as_array()?;
    if !routes.iter().any(|route| route == "default") {
        return None;
    }
    let first = models["items"][0]["id"].as_str().unwrap_or("the default route");
    Some(output::plain(first))
}

/// A delivery and what came of it.
struct Delivered {
    run_id: Uuid,
    status: RunStatus,
    task_id: Option<String>,
}
