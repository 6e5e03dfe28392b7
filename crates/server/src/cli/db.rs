//! `synapscale db`: the schema, with the server stopped (SQLite) or beside it (PostgreSQL).

use super::{Ended, Failure, Outcome, output, quiet_log};
use crate::app::open_store;
use crate::config::{Config, StoreFlags};
use crate::modules::Modules;
use clap::{Args, Subcommand};
use serde_json::json;
use std::io::{IsTerminal, Write};
use synapscale_core::Result;
use synapscale_store::Store;

const AFTER: &str = "\
Examples:
  synapscale db status
  synapscale db migrate --json
  synapscale db rollback --steps 1 --yes
  SYNAPSCALE_DATABASE_URL=postgres://… synapscale db check

A SQLite file belongs to one process: stop the server first.";

/// Migrates and checks the database.
#[derive(Args, Debug)]
#[command(after_help = AFTER)]
pub struct Db {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Apply the migrations that are missing
    Migrate(Common),
    /// Undo the newest migrations, with the data in their tables
    Rollback(Rollback),
    /// List the migrations
    Status(Common),
    /// Compare the live schema with the code, and what operations answer with its columns; on PostgreSQL look for holes in row
    /// security. Exits 1 on a difference
    Check(Common),
}

/// Which database, and how to print.
#[derive(Args, Debug)]
struct Common {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreFlags,
}

/// Undoes migrations.
#[derive(Args, Debug)]
struct Rollback {
    /// How many
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    common: Common,
}

impl Db {
    pub async fn run(self) -> Outcome {
        quiet_log()?;
        let common = match &self.action {
            Action::Migrate(common) | Action::Status(common) | Action::Check(common) => common,
            Action::Rollback(rollback) => &rollback.common,
        };
        if let Action::Rollback(rollback) = &self.action {
            confirm(rollback)?;
        }
        let config = Config::load_store(&common.store)?;
        let store = open_store(&config).await?;
        let modules = Modules::new(&store);
        let outcome = match &self.action {
            Action::Migrate(common) => migrate(&store, &modules, common.json).await,
            Action::Rollback(rollback) => undo(&store, &modules, rollback).await,
            Action::Status(common) => status(&store, &modules, common.json).await,
            Action::Check(common) => check(&store, &modules, common.json).await,
        };
        store.close().await;
        Ok(outcome?)
    }
}

fn confirm(rollback: &Rollback) -> Result<(), Failure> {
    if rollback.yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            "This removes tables with their data. Say --yes if that is meant.",
        ));
    }
    eprint!(
        "Undo {} migrations, with the data in their tables? [y/N] ",
        rollback.steps
    );
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    match read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        true => Ok(()),
        false => Err(Failure::usage("Nothing was undone.")),
    }
}

async fn migrate(store: &Store, modules: &Modules, json: bool) -> Result<Ended> {
    let applied = modules.migrations().migrate(store).await?;
    store.check_row_security().await?;
    tell_names(json, "applied", &applied)?;
    Ok(Ended::Well)
}

async fn undo(store: &Store, modules: &Modules, rollback: &Rollback) -> Result<Ended> {
    let count = usize::try_from(rollback.steps).unwrap_or(usize::MAX);
    let undone = modules.migrations().rollback(store, count).await?;
    tell_names(rollback.common.json, "undone", &undone)?;
    Ok(Ended::Well)
}

fn tell_names(json: bool, what: &str, names: &[&str]) -> Result<()> {
    if json {
        return output::json_line(&json!({ what: names }));
    }
    if names.is_empty() {
        output::line(format!("nothing {what}"));
    }
    for name in names {
        output::line(format!("{what}  {name}"));
    }
    Ok(())
}

async fn status(store: &Store, modules: &Modules, json: bool) -> Result<Ended> {
    let states = modules.migrations().status(store).await?;
    if json {
        output::json_line(&json!({ "database": store.describe(), "migrations": states }))?;
        return Ok(Ended::Well);
    }
    output::line(store.describe());
    for state in &states {
        let when = match (state.applied_at, state.known) {
            (Some(at), true) => at.format("%Y-%m-%d %H:%M:%S").to_string(),
            (Some(_), false) => "newer than this binary".to_owned(),
            (None, _) => "missing".to_owned(),
        };
        output::line(format!("{when:<22}  {}", state.name));
    }
    Ok(Ended::Well)
}

async fn check(store: &Store, modules: &Modules, json: bool) -> Result<Ended> {
    let drift = store.check_schema(&modules.entities()).await?;
    let security = store
        .check_row_security()
        .await
        .err()
        .map(|error| error.message().to_owned());
    let api = modules.check_faces();
    let well = drift.is_empty() && security.is_none() && api.is_empty();
    if json {
        output::json_line(&json!({ "ok": well, "drift": drift, "row_security": security, "api": api }))?;
    } else {
        for difference in &drift {
            let column = difference
                .column
                .as_ref()
                .map(|column| format!(".{column}"))
                .unwrap_or_default();
            output::line(format!("{}{column}: {}", difference.table, difference.what));
        }
        if let Some(security) = &security {
            output::line(security);
        }
        for mismatch in &api {
            output::line(format!("{}: {}", mismatch.place, mismatch.what));
        }
        if well {
            output::line("The schema is what the code says it is, and the API shows of it what is declared.");
        }
    }
    Ok(if well { Ended::Well } else { Ended::Badly })
}
