//! The binary `synapscale`.

use std::process::ExitCode;

/// Rows are made on one thread and dropped on another, which the system's allocator does slowly.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    synapscale_server::cli::main()
}
