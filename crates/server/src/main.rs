//! The binary `synapscale`.

use std::process::ExitCode;

/// Many short lives of many sizes on many threads: the system's allocator spends more time on them, and keeps more memory
/// when a burst is over.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    synapscale_server::cli::main()
}
