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
# The benchmark is built beside it, and would put its own server in this one's place.
table=$(mktemp)
SYNAPSCALE_BENCH_BINARY=$(mktemp)
export SYNAPSCALE_BENCH_BINARY
cp "$(scripts/target-dir.sh)/release/synapscale" "$SYNAPSCALE_BENCH_BINARY"
chmod +x "$SYNAPSCALE_BENCH_BINARY"
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
rm -f "$new" "$table" "$SYNAPSCALE_BENCH_BINARY"
