//! `synapscale admin`: what only whoever owns the data may do, over the local socket or with the server stopped.

use super::client::{call_local, read_stdin};
use super::{Ended, Failure, Outcome, output, quiet_log};
use crate::app::{open_store, ready_schema};
use crate::config::{Config, StoreFlags};
use crate::local::{BOOTSTRAP, FirstOwner, MadeOwner};
use crate::modules::Modules;
use clap::{Args, Subcommand};
use synapscale_core::{Error, Result};

const AFTER: &str = "\
Examples:
  synapscale admin bootstrap --email ada@example.com --workspace Team --json
  pass show synapscale | synapscale admin bootstrap --email ada@example.com --workspace Team --password-stdin
  synapscale admin workspace --email bob@example.com --workspace Sales

The key is printed once and kept nowhere in readable form. Put it into ~/.config/synapscale/profile.toml:
  key = \"…\"";

/// What only whoever owns the data may do.
#[derive(Debug, Subcommand)]
pub enum Admin {
    /// Make the first workspace, its owner and a key
    Bootstrap(Bootstrap),
    /// Make a further workspace, whose owner may be known already, and a key
    Workspace(Bootstrap),
}

/// Makes a workspace, its owner and a key, which is printed once.
#[derive(Args, Debug)]
#[command(after_help = AFTER)]
pub struct Bootstrap {
    /// The owner's e-mail address
    #[arg(long)]
    email: String,
    /// The workspace's name
    #[arg(long, value_name = "NAME")]
    workspace: String,
    /// Read the owner's password from the standard input; without one, the key is the only way in
    #[arg(long)]
    password_stdin: bool,
    /// Print JSON: workspace_id, user_id, api_key
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreFlags,
}

impl Admin {
    pub async fn run(self) -> Outcome {
        match self {
            Admin::Bootstrap(bootstrap) => bootstrap.run(false).await,
            Admin::Workspace(bootstrap) => bootstrap.run(true).await,
        }
    }
}

impl Bootstrap {
    async fn run(self, further: bool) -> Outcome {
        quiet_log()?;
        let config = Config::load_store(&self.store)?;
        let owner = FirstOwner {
            email: self.email,
            workspace: self.workspace,
            password: if self.password_stdin {
                Some(read_password()?)
            } else {
                None
            },
            further,
        };
        let made = match call_local(&config.data, BOOTSTRAP, &owner).await? {
            Some(made) => serde_json::from_value(made).map_err(Error::internal)?,
            None => by_itself(&config, owner).await?,
        };
        match self.json {
            true => output::json_line(&made)?,
            false => {
                output::line(format!("workspace  {}", made.workspace_id));
                output::line(format!("owner      {}", made.user_id));
                output::line(format!("API key    {}", made.api_key));
                output::line("The key is shown this once.");
            }
        }
        Ok(Ended::Well)
    }
}

fn read_password() -> Result<String, Failure> {
    let text = String::from_utf8(read_stdin()?).map_err(|_| Failure::usage("The password is not UTF-8."))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// No server runs: the database is opened here.
async fn by_itself(config: &Config, owner: FirstOwner) -> Result<MadeOwner> {
    let store = open_store(config).await?;
    let ready = ready_schema(config, &store, &Modules::new(&store)).await;
    let made = match ready {
        Ok(_) => owner.make(&store).await,
        Err(error) => Err(error),
    };
    store.close().await;
    made
}
