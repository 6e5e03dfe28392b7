//! The command line. Every command prints for people, or JSON with `--json`; errors are words with a code and advice.

mod admin;
mod audit;
mod call;
mod client;
mod db;
mod demo;
mod doctor;
mod failure;
mod follow;
mod llm;
mod ops;
mod output;
mod progress;
mod run;
mod serve;
mod tasks;

pub use failure::Failure;

use crate::config::{LogConfig, LogFormat};
use clap::{Parser, Subcommand};
use std::process::ExitCode;
use std::time::Duration;
use synapscale_core::Error;

/// What a command answers: how it ended, or why it could not.
pub type Outcome = Result<Ended, Failure>;

/// How a command that could be carried out ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As wanted (0).
    Well,
    /// The thing itself failed: a run, a check (1).
    Badly,
    /// A run waits for a person or a time (3).
    Waiting,
    /// Stopped by a second signal, without draining (130).
    AtOnce,
}

impl Ended {
    fn code(self) -> u8 {
        match self {
            Ended::Well => 0,
            Ended::Badly => 1,
            Ended::Waiting => 3,
            Ended::AtOnce => 130,
        }
    }
}

const AFTER: &str = "\
Examples:
  synapscale serve                                       start on SQLite in ./data, at 127.0.0.1:8080
  synapscale run examples/issue-triage/workflow.yaml --input issue.json
  synapscale call tasks.list --input '{\"limit\": 5}'

Client commands find server and key in this order: the flags --server and --key; the variables SYNAPSCALE_SERVER and
SYNAPSCALE_KEY; cli.toml in the data directory, which the dev profile writes; ~/.config/synapscale/profile.toml with
the lines server = \"…\" and key = \"…\". Prefer a file or a variable: others can see a command's arguments.

Exit codes: 0 done; 1 refused, or the thing itself failed (a run, a check); 2 wrong usage, input or settings;
3 the run waits for a person or a time; 4 server or database cannot be reached or cannot serve now.";

/// SynapScale: a self-hosted backend where workflows and agents do a team's work.
#[derive(Debug, Parser)]
#[command(name = "synapscale", version, after_help = AFTER, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server
    Serve(serve::Serve),
    /// Apply a workflow file and run it
    Run(run::Run),
    /// Call an operation
    Call(call::Call),
    /// List the operations
    Ops(ops::Ops),
    /// Import and export tasks
    Tasks(tasks::Tasks),
    /// What only whoever owns the data may do
    #[command(subcommand)]
    Admin(admin::Admin),
    /// Models and their providers
    #[command(subcommand)]
    Llm(llm::Llm),
    /// Verify and export the audit trail
    Audit(audit::Audit),
    /// Migrate and check the database
    Db(db::Db),
    /// Look whether everything is in place
    Doctor(doctor::Doctor),
    /// Start a sample workspace and triage one issue before your eyes
    Demo(demo::Demo),
}

/// The whole program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            Failure::from(Error::internal(error)).print();
            return ExitCode::from(4);
        }
    };
    let outcome = runtime.block_on(dispatch(cli.command));
    // Work of threads that nobody waits for any more must not hold the end up.
    let patience = match outcome {
        Ok(Ended::AtOnce) => Duration::ZERO,
        _ => Duration::from_secs(2),
    };
    runtime.shutdown_timeout(patience);
    match outcome {
        Ok(ended) => ExitCode::from(ended.code()),
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.exit_code())
        }
    }
}

async fn dispatch(command: Command) -> Outcome {
    match command {
        Command::Serve(command) => command.run().await,
        Command::Demo(command) => command.run().await,
        Command::Run(command) => command.run().await,
        Command::Call(command) => command.run().await,
        Command::Ops(command) => command.run().await,
        Command::Tasks(command) => command.run().await,
        Command::Admin(command) => command.run().await,
        Command::Llm(command) => command.run().await,
        Command::Audit(command) => command.run().await,
        Command::Db(command) => command.run().await,
        Command::Doctor(command) => command.run().await,
    }
}

/// The log of a command that is no server: warnings, for people.
fn quiet_log() -> Result<(), Failure> {
    let config = LogConfig {
        format: LogFormat::Human,
        filter: "warn".to_owned(),
    };
    crate::telemetry::start_log(&config).map_err(Failure::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn commands_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        let cli = Cli::command();
        for command in cli.get_subcommands() {
            let help = command.clone().render_help().to_string();
            let nested = command.get_subcommands().next().is_some();
            assert!(nested || help.contains("Example"), "{}", command.get_name());
        }
    }
}
