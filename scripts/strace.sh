#!/usr/bin/env bash
# Sees to it that strace can watch a process here, installing it where that needs no password. The test that proves each
# acknowledgement durable needs it (crates/server/tests/it/durable.rs) and is skipped, loudly, without.
#
#   scripts/strace.sh    prints the version found; always exits 0
set -euo pipefail

works() { command -v strace >/dev/null && strace -D -f -o /dev/null true >/dev/null 2>&1; }

skip() {
  printf '%s\n' \
    "strace: ******************************************************************************************" \
    "strace: SKIPPED: that no write is acknowledged before its fsync is NOT proved by this run: $*" \
    "strace: ******************************************************************************************" >&2
  exit 0
}

[[ $(uname -s) == Linux ]] || skip "strace is for Linux"
if ! command -v strace >/dev/null; then
  command -v apt-get >/dev/null || skip "install the package strace"
  as_root=()
  if ((EUID != 0)); then
    sudo -n true 2>/dev/null || skip "install the package strace"
    as_root=(sudo -n)
  fi
  echo "strace: not found: installing the package" >&2
  "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 update >&2 </dev/null || skip "apt-get update failed"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y \
    --no-install-recommends strace >&2 </dev/null || skip "apt-get install failed"
fi
works || skip "this system lets nobody trace (ptrace_scope, or a container without SYS_PTRACE)"
strace -V | head -n 1
