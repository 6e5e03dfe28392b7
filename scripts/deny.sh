#!/usr/bin/env bash
# Checks dependencies against deny.toml with cargo-deny: bans, licenses, sources; with ADVISORIES=1 also known
# vulnerabilities, whose list comes over the network.
#
#   scripts/deny.sh                  installs cargo-deny when it is missing (some minutes, once)
#   scripts/deny.sh --if-installed   says so and succeeds when it is missing
#
# SYNAPSCALE_TOOLS  where it is installed; default ~/.cache/synapscale/tools
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."

tools=${SYNAPSCALE_TOOLS:-${HOME:?}/.cache/synapscale/tools}
PATH=$PATH:$tools/bin

if ! command -v cargo-deny >/dev/null; then
  if [[ ${1:-} == --if-installed ]]; then
    echo "deny: SKIPPED, cargo-deny is not installed; \`make deny\` installs it and checks the dependencies"
    exit 0
  fi
  echo "deny: installing cargo-deny into $tools (some minutes, once)"
  cargo install cargo-deny --locked --root "$tools"
fi

checks=(bans licenses sources)
if [[ ${ADVISORIES:-0} != 0 ]]; then checks+=(advisories); fi
cargo-deny --workspace check --hide-inclusion-graph "${checks[@]}"
