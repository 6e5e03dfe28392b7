#!/usr/bin/env bash
# Builds the release server, then measures. Arguments go to the benchmark.
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
scripts/prereq.sh

cargo build --release -p synapscale-server
cargo bench -p synapscale-server --bench main -- "$@"
