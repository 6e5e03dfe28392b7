//! The binary `synapscale`.

use std::process::ExitCode;

fn main() -> ExitCode {
    synapscale_server::cli::main()
}
