//! The binary `synapscale`.

use std::process::ExitCode;

/// The system's allocator keeps what a burst of work needed; this one gives it back (ADR 0017).
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    synapscale_server::cli::main()
}
