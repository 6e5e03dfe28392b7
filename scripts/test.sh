#!/usr/bin/env bash
# All tests, on SQLite and on PostgreSQL, with and without Redis, then the pages in a browser and the house rules. Arguments go to the runner of
# the Rust tests, and leave the browser out:
#
#   make test
#   make test ARGS="-p synapscale-store"
#
# PostgreSQL: SYNAPSCALE_TEST_POSTGRES_URL when set, else the cluster of `scripts/postgres.sh start` when one runs,
# else a cluster of this run's own, which goes away with it. Redis likewise: SYNAPSCALE_TEST_REDIS_URL, scripts/redis.sh.
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."

scripts/prereq.sh

OPEN_FILES=8192 # every test holds connections, files and sockets, and they run side by side
if [[ $(ulimit -Sn) != unlimited ]] && (($(ulimit -Sn) < OPEN_FILES)); then
  ulimit -Sn "$OPEN_FILES" 2>/dev/null || ulimit -Sn "$(ulimit -Hn)" 2>/dev/null || true
fi

own_pg=${SYNAPSCALE_TEST_DIR:-${TMPDIR:-/tmp}/synapscale-test-pg.$UID}.run
own_redis=${SYNAPSCALE_TEST_REDIS_DIR:-${TMPDIR:-/tmp}/synapscale-test-redis.$UID}.run
started=() # the scripts whose server is this run's own

# A run that was killed could not tidy up; its directory's name ends in its process id.
sweep_killed_runs() {
  local prefix=$1 variable=$2 script=$3 dir
  for dir in "$prefix".*; do
    if [[ -d $dir && ${dir##*.} =~ ^[0-9]+$ ]] && ! kill -0 "${dir##*.}" 2>/dev/null; then
      env "$variable=$dir" "$script" stop || true
      rm -f -- "$dir.lock"
    fi
  done
}

stop_own() {
  local status=$? script
  trap - EXIT
  for script in ${started[@]+"${started[@]}"}; do "$script" stop || true; done
  rm -f -- "$own_pg.$$.lock" "$own_redis.$$.lock"
  exit "$status"
}
trap stop_own EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# find_or_start NAME URL_VARIABLE SCRIPT DIR_VARIABLE OWN_PREFIX
find_or_start() {
  local name=$1 url=$2 script=$3 dir=$4 prefix=$5 shared own
  if [[ -n ${!url:-} ]]; then
    echo "test: $name as $url says"
  elif shared=$("$script" env 2>/dev/null); then
    echo "test: $name of $script start (left running)"
    eval "$shared"
  else
    sweep_killed_runs "$prefix" "$dir" "$script"
    export "$dir=$prefix.$$"
    started+=("$script")
    "$script" start
    own=$("$script" env)
    eval "$own"
  fi
}
find_or_start PostgreSQL SYNAPSCALE_TEST_POSTGRES_URL scripts/postgres.sh SYNAPSCALE_TEST_DIR "$own_pg"
find_or_start Redis SYNAPSCALE_TEST_REDIS_URL scripts/redis.sh SYNAPSCALE_TEST_REDIS_DIR "$own_redis"

scripts/strace.sh

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
profile=${SYNAPSCALE_TEST_PROFILE:-$profile} # `make fuzz` and `make soak` have patience

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
