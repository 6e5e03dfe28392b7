//! `synapscale serve`: the server, from the first start of a fresh clone to the last drained request.

use super::client::Profile;
use super::{Ended, Outcome, output};
use crate::app::App;
pub(super) use crate::config::url_of;
use crate::config::{Config, Profile as Kind, ServeFlags};
use crate::local::{FirstOwner, LinkWish, MadeLink, MadeOwner};
use crate::serve::{Listeners, StopSignals};
use crate::{VERSION, telemetry};
use clap::Args;
use std::time::Instant;
use synapscale_core::{ErrorKind, Result};
use tokio_util::sync::CancellationToken;

const AFTER: &str = "\
Examples:
  synapscale serve                                          SQLite in ./data, at 127.0.0.1:8080
  synapscale serve --profile staging                        its own ./data-staging, guarded as prod but by warnings
  synapscale serve --profile prod --config /etc/synapscale.toml --data /var/lib/synapscale
  SYNAPSCALE_DATABASE_URL=postgres://… synapscale serve --roles worker

Settings come from synapscale.PROFILE.toml or synapscale.toml, then SYNAPSCALE_… variables, then flags:
  profile  listen  data  database_url  roles  public_url  auto_migrate  trusted_proxies
  [log] format, filter            SYNAPSCALE_LOG_FORMAT, SYNAPSCALE_LOG
  [http] allow                    SYNAPSCALE_HTTP_ALLOW: private addresses that workflows may reach
  [llm] allow                     SYNAPSCALE_LLM_ALLOW: private addresses that providers of models may stand at
        local_ollama              SYNAPSCALE_LLM_LOCAL_OLLAMA: offer an Ollama of this machine (dev: true, else false)
        ollama_host               SYNAPSCALE_LLM_OLLAMA_HOST, OLLAMA_HOST: where it listens, 127.0.0.1:11434 unless set
  [mcp] stdio                     SYNAPSCALE_MCP_STDIO: commands that MCP servers may be started by, with any arguments
        allow                     SYNAPSCALE_MCP_ALLOW: private addresses that MCP servers may stand at
        path                      SYNAPSCALE_MCP_PATH: the PATH of such processes, this one's unless given
  [otlp] endpoint                 SYNAPSCALE_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT: exports traces by OTLP over
                                  HTTP, such as to http://127.0.0.1:4318; off unless set
        headers                   SYNAPSCALE_OTLP_HEADERS, OTEL_EXPORTER_OTLP_HEADERS: name=value,name=value
        service, sample_ratio     SYNAPSCALE_OTLP_SERVICE, SYNAPSCALE_OTLP_SAMPLE_RATIO: synapscale and 1.0 unless set
  [limits] body_bytes, request_seconds, event_streams, worker_slots, database_connections, write_queue,
           drain_seconds, rate_factor     as variables SYNAPSCALE_BODY_BYTES and so on
           tenant_running                 SYNAPSCALE_TENANT_RUNNING: runs of one workspace at work at once, over all
                                          processes; 0, which is the default, for as many as there are places
           tenant_queued                  SYNAPSCALE_TENANT_QUEUED: runs of one workspace that may be queued, 100000
                                          unless given, 0 for any number; beyond it starts are answered with 429
prod refuses weak secrets, a missing TLS front, missing limits and logs that tell requests; `synapscale doctor` shows the
same. docs/environments.md says more.
The master key is in SYNAPSCALE_MASTER_KEY, or in master.key in the data directory, made on the first start. Back it up.
SIGTERM and Ctrl-C drain; a second one ends at once.";

/// Starts the server.
#[derive(Args, Debug)]
#[command(after_help = AFTER)]
pub struct Serve {
    #[command(flatten)]
    flags: ServeFlags,
}

impl Serve {
    pub async fn run(self) -> Outcome {
        let began = Instant::now();
        let config = Config::load(&self.flags)?;
        let traces = telemetry::start(&config.log, config.otlp.as_ref())?;
        let guarded = config.guard().map_err(super::Failure::from);
        let ended = match guarded {
            Ok(()) => serve(config, began).await,
            Err(refused) => Err(refused),
        };
        match (traces, &ended) {
            (None, _) | (_, Ok(Ended::AtOnce)) => {}
            (Some(traces), _) => traces.stop().await,
        }
        ended
    }
}

async fn serve(config: Config, began: Instant) -> Outcome {
    let figures = telemetry::start_metrics()?;
    let signals = StopSignals::listen()?;
    let app = App::build(config, figures).await?;
    let config = app.config().clone();
    config.mark_data()?;
    let listeners = Listeners::bind(config.listen, Some(&config.socket())).await?;
    let url = url_of(listeners.address()?);
    tracing::info!(
        version = VERSION,
        %url,
        database = app.store().describe(),
        roles = config.roles.names().join(","),
        profile = config.profile.as_str(),
        ms = began.elapsed().as_millis(),
        "serving"
    );
    if config.profile == Kind::Dev && config.roles.api {
        greet(&app, &url).await?;
    }
    serve_until_told(app, listeners, signals).await
}

/// Serves until a signal, drains, and gives up draining at the second signal.
pub(super) async fn serve_until_told(app: App, listeners: Listeners, mut signals: StopSignals) -> Outcome {
    let shutdown = CancellationToken::new();
    let serving = app.serve(listeners, shutdown.clone());
    tokio::pin!(serving);
    tokio::select! {
        served = &mut serving => {
            served?;
            return Ok(Ended::Well);
        }
        () = signals.next() => shutdown.cancel(),
    }
    tokio::select! {
        served = &mut serving => {
            served?;
            Ok(Ended::Well)
        }
        () = signals.next() => Ok(Ended::AtOnce),
    }
}

/// The first workspace with its owner; none when there is one already.
pub(super) async fn first_owner(app: &App, email: &str, workspace: &str) -> Result<Option<MadeOwner>> {
    let owner = FirstOwner {
        email: email.to_owned(),
        workspace: workspace.to_owned(),
        password: None,
        further: false,
    };
    match owner.make(app.store()).await {
        Ok(made) => Ok(Some(made)),
        Err(error) if error.code() == "already_bootstrapped" => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes where the server is, and the key if there is a new one, for client commands to find.
pub(super) fn remember(config: &Config, url: &str, key: Option<&str>) -> Result<()> {
    let path = Profile::path_in(&config.data);
    let old = Profile::read(&path)?.unwrap_or_default();
    let wanted = Profile {
        server: Some(url.to_owned()),
        key: key.map(str::to_owned).or_else(|| old.key.clone()),
    };
    // Without a key there is nothing worth keeping; a file that says the same already stays as it is.
    if wanted.key.is_none() || wanted == old {
        return Ok(());
    }
    wanted.write(&path)
}

/// A one-time link for the first owner, as long as they have no password; none when they have one, or there is no owner.
async fn first_link(app: &App, url: &str) -> Result<Option<MadeLink>> {
    let page = match app.config().public_url.as_str() {
        "" => url,
        public => public,
    };
    let wish = LinkWish {
        email: None,
        only_without_password: true,
    };
    match wish.make(app.store(), page).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        made => made,
    }
}

async fn greet(app: &App, url: &str) -> Result<()> {
    let made = first_owner(app, "owner@example.com", "main").await?;
    remember(app.config(), url, made.as_ref().map(|made| made.api_key.as_str()))?;
    let data = app.config().data.display();
    output::line(format!(
        "SynapScale {VERSION} serves {url} ({}).",
        app.store().describe()
    ));
    if let Some(link) = first_link(app, url).await? {
        output::line(format!(
            "\nTo set the password of {} in a browser, open this within 15 minutes; it is good once:\n\n  {}",
            link.email, link.url
        ));
    }
    let Some(made) = made else {
        output::line(format!(
            "Client commands find server and key in {data}/cli.toml. Ctrl-C stops."
        ));
        return Ok(());
    };
    let program = std::env::args().next().unwrap_or_else(|| "synapscale".to_owned());
    output::line(format!(
        "\nThe API key of the first owner, owner@example.com, shown this once:\n\n  {}\n\n\
         It is also in {data}/cli.toml, readable by you alone, where client commands find it.\n\n\
         Try next, in another terminal:\n  \
         {program} ops\n  \
         {program} call projects.create --input '{{\"name\": \"Inbox\"}}'\n  \
         {program} run examples/issue-triage/workflow.yaml --input examples/issue-triage/inputs/form.json\n\
         or open {url}/docs. Ctrl-C stops.\n",
        made.api_key
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lead_to_this_machine() {
        for (address, url) in [
            ("0.0.0.0:80", "http://127.0.0.1:80"),
            ("[::]:80", "http://[::1]:80"),
            ("10.0.0.1:80", "http://10.0.0.1:80"),
        ] {
            assert_eq!(url_of(address.parse().expect("an address")), url);
        }
    }
}
