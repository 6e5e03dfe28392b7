//! `synapscale admin`: what only whoever owns the data may do, over the local socket or with the server stopped.

use super::client::{call_local, read_stdin};
use super::{Ended, Failure, Outcome, output, quiet_log};
use crate::app::{open_store, ready_schema};
use crate::config::{Config, StoreFlags};
use crate::local::{BOOTSTRAP, FirstOwner, LinkWish, MadeLink, MadeOwner, OWNER_LINK};
use crate::modules::Modules;
use clap::{Args, Subcommand};
use synapscale_core::{Error, Result};
use synapscale_store::Store;

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
    /// Make a one-time link by which an owner sets a password
    OwnerLink(OwnerLink),
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

const AFTER_LINK: &str = "\
Examples:
  synapscale admin owner-link
  synapscale admin owner-link --email ada@example.com --json

Open the link in a browser. It is good once and for 15 minutes, makes older links useless, and replaces the owner's
password; whatever was signed in under the old one is signed out. The address comes from public_url, else from listen.";

/// Makes a one-time link by which an owner sets a password, and signs in.
#[derive(Args, Debug)]
#[command(after_help = AFTER_LINK)]
pub struct OwnerLink {
    /// The owner's e-mail address; without it, the first owner
    #[arg(long)]
    email: Option<String>,
    /// Print JSON: url, email, workspace_id, expires_at
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreFlags,
}

impl OwnerLink {
    async fn run(self) -> Outcome {
        quiet_log()?;
        let config = Config::load_store(&self.store)?;
        let wish = LinkWish {
            email: self.email,
            only_without_password: false,
        };
        let made: Option<MadeLink> = match call_local(&config.data, OWNER_LINK, &wish).await? {
            Some(made) => serde_json::from_value(made).map_err(Error::internal)?,
            None => link_by_itself(&config, wish).await?,
        };
        let made = made.ok_or_else(|| Error::not_found("owner"))?;
        match self.json {
            true => output::json_line(&made)?,
            false => {
                output::line(format!("owner  {}", made.email));
                output::line(format!("link   {}", made.url));
                output::line("The link is good once, for 15 minutes.");
            }
        }
        Ok(Ended::Well)
    }
}

impl Admin {
    pub async fn run(self) -> Outcome {
        match self {
            Admin::Bootstrap(bootstrap) => bootstrap.run(false).await,
            Admin::Workspace(bootstrap) => bootstrap.run(true).await,
            Admin::OwnerLink(link) => link.run().await,
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
    let store = open_ready(config).await?;
    let made = owner.make(&store).await;
    store.close().await;
    made
}

async fn link_by_itself(config: &Config, wish: LinkWish) -> Result<Option<MadeLink>> {
    let store = open_ready(config).await?;
    let made = wish.make(&store, &config.page_url()).await;
    store.close().await;
    made
}

/// The store with its schema up to date.
async fn open_ready(config: &Config) -> Result<Store> {
    let store = open_store(config).await?;
    match ready_schema(config, &store, &Modules::new(&store)).await {
        Ok(_) => Ok(store),
        Err(error) => {
            store.close().await;
            Err(error)
        }
    }
}
