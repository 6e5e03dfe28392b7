#!/usr/bin/env bash
# All tests, on SQLite and on PostgreSQL, then the pages in a browser and the house rules. Arguments go to the runner of
# the Rust tests, and leave the browser out:
#
#   make test
#   make test ARGS="-p synapscale-store"
#
# PostgreSQL: SYNAPSCALE_TEST_POSTGRES_URL when set, else the cluster of `scripts/postgres.sh start` when one runs,
# else a cluster of this run's own, which goes away with it.
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."

scripts/prereq.sh

OPEN_FILES=8192 # every test holds connections, files and sockets, and they run side by side
if [[ $(ulimit -Sn) != unlimited ]] && (($(ulimit -Sn) < OPEN_FILES)); then
  ulimit -Sn "$OPEN_FILES" 2>/dev/null || ulimit -Sn "$(ulimit -Hn)" 2>/dev/null || true
fi

own_prefix=${SYNAPSCALE_TEST_DIR:-${TMPDIR:-/tmp}/synapscale-test-pg.$UID}.run

# A run that was killed could not tidy up; its directory's name ends in its process id.
sweep_killed_runs() {
  local dir
  for dir in "$own_prefix".*; do
    if [[ -d $dir && ${dir##*.} =~ ^[0-9]+$ ]] && ! kill -0 "${dir##*.}" 2>/dev/null; then
      SYNAPSCALE_TEST_DIR=$dir scripts/postgres.sh stop || true
      rm -f -- "$dir.lock"
    fi
  done
}

stop_own() {
  local status=$?
  trap - EXIT
  scripts/postgres.sh stop || true
  rm -f -- "$SYNAPSCALE_TEST_DIR.lock"
  exit "$status"
}

if [[ -n ${SYNAPSCALE_TEST_POSTGRES_URL:-} ]]; then
  echo "test: PostgreSQL as SYNAPSCALE_TEST_POSTGRES_URL says"
elif shared=$(scripts/postgres.sh env 2>/dev/null); then
  echo "test: PostgreSQL of scripts/postgres.sh start (left running)"
  eval "$shared"
else
  sweep_killed_runs
  export SYNAPSCALE_TEST_DIR=$own_prefix.$$
  trap stop_own EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  scripts/postgres.sh start
  own=$(scripts/postgres.sh env)
  eval "$own"
fi

# With -p the caller names the packages; cargo would let --workspace win.
scope=(--workspace)
for arg in "$@"; do
  case $arg in
    --) break ;;
    -p | -p?* | --package | --package=* | --manifest-path*) scope=() ;;
  esac
done

profile=default
if [[ -n ${CI:-} ]]; then profile=ci; fi

scripts/web.sh test

# The server's tests run the `synapscale` binary; cargo builds it with them.
if cargo nextest --version >/dev/null 2>&1; then
  cargo nextest run --profile "$profile" ${scope[@]+"${scope[@]}"} "$@"
else
  echo "test: cargo-nextest is not installed (cargo install cargo-nextest --locked); using cargo test"
  cargo test --no-fail-fast ${scope[@]+"${scope[@]}"} "$@"
fi

# The tests above built the server that the browser is pointed at.
if (($# == 0)); then scripts/browser.sh; fi

cargo run --quiet -p xtask -- tidy
