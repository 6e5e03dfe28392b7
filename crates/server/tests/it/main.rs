//! The product as its users meet it: the real binary, real databases, real connections.

mod bad_input;
mod crash;
mod main_job;
mod process;
mod tenants;
mod undo;
mod work;
