#!/usr/bin/env bash
# Prints the folder that cargo builds into: CARGO_TARGET_DIR, a cargo configuration or ./target.
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
cargo metadata --format-version 1 --no-deps | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p' | grep .
