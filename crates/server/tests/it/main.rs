//! The product as its users meet it: the real binary, real databases, real connections.

mod adding;
mod agents;
mod agents_killed;
mod agents_many;
mod audit;
mod bad_input;
mod conversations;
mod crash;
mod events;
mod families_killed;
mod foreign;
mod main_job;
mod mcp_client;
mod models;
mod otlp;
mod pages;
mod plans;
mod process;
mod runs;
mod sessions;
mod stream;
mod tenants;
mod undo;
mod work;
mod workers;
