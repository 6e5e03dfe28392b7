//! `synapscale serve`.

use super::Where;
use crate::app::App;
use crate::config::{Config, Profile};
use crate::{serve, telemetry};
use clap::Args;
use synapscale_core::Result;

/// Flags of `serve`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  synapscale serve
  synapscale serve --listen 0.0.0.0:8080 --profile prod
  synapscale serve --roles worker --database-url postgres://user@host/db

SIGTERM and SIGINT drain: requests and runs come to a good place first. kill -9 loses nothing either.")]
pub struct Serve {
    #[command(flatten)]
    place: Where,
    /// The address [default: 127.0.0.1:8080].
    #[arg(long)]
    listen: Option<String>,
    /// `api`, `worker` or both, separated by a comma [default: api,worker].
    #[arg(long)]
    roles: Option<String>,
    /// What kind of place this is [default: dev].
    #[arg(long)]
    profile: Option<Profile>,
}

impl Serve {
    /// Serves until asked to stop.
    ///
    /// # Errors
    /// What keeps the server from running.
    pub async fn run(self) -> Result<()> {
        let mut settings = self.place.settings();
        settings.listen = self.listen;
        settings.roles = self.roles;
        settings.profile = self.profile;
        let config = Config::load(settings, self.place.config.as_deref())?;
        telemetry::logs(&config);
        let app = App::build(config, Vec::new()).await?;
        serve::welcome(&app).await?;
        serve::serve(app).await
    }
}
