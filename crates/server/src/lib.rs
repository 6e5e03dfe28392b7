//! The server: configuration, the one list of modules, the process around them, and the command line.

pub mod app;
pub mod cli;
pub mod config;
mod connections;
mod health;
mod home;
mod local;
mod metrics_route;
pub mod modules;
pub mod serve;
mod tasks;
pub mod telemetry;
mod web;

pub use app::App;
pub use config::Config;

/// The version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
