//! MCP servers as processes and over HTTP, well and ill, through the gate, on both databases.

mod faults;
mod home;
mod http;
#[path = "../standin/core.rs"]
mod standin;
mod stdio;
mod tenancy;
