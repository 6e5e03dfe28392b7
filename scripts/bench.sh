#!/usr/bin/env bash
# Builds the release server, measures it on SQLite and PostgreSQL with the floors in the same run, and writes the table
# into docs/benchmarks.md. Arguments go to the benchmark.
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
scripts/prereq.sh
# Thousands of followers, each a socket here and one in the server.
ulimit -Sn "$(ulimit -Hn)" 2>/dev/null || true
scripts/web.sh

scripts/postgres.sh start
trap 'scripts/postgres.sh stop' EXIT
eval "$(scripts/postgres.sh env)"

cargo build --release -p synapscale-server
table=$(mktemp)
cargo bench -p synapscale-server --bench main -- "$@" | tee "$table"

page=docs/benchmarks.md
new=$(mktemp)
sed '/<!-- figures -->/q' "$page" > "$new"
{
  printf '\n%s, %s cores of %s, PostgreSQL and load on the same machine.\n\n' "$(date -u +%F)" "$(nproc)" \
    "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
  grep '^|' "$table"
} >> "$new"
cat "$new" > "$page"
rm -f "$new" "$table"
