#!/usr/bin/env bash
# A throw-away Redis for the tests: finds (or installs) a server of version 6.2 or newer, Redis or Valkey, and runs one in
# a scratch directory, on a free port of 127.0.0.1, with nothing kept on disk.
#
#   scripts/redis.sh start   start it, or reuse the one that runs; a dead leftover is removed first
#   scripts/redis.sh stop    stop it and delete its files
#   scripts/redis.sh url     print its URL (exit 1 when none runs)
#   scripts/redis.sh env     print the same as an `export` line, for eval
#
# SYNAPSCALE_TEST_REDIS_DIR  the scratch directory; default ${TMPDIR:-/tmp}/synapscale-test-redis.$UID
# SYNAPSCALE_REDIS_BIN       the folder of redis-server and redis-cli, when they are not on the PATH
set -euo pipefail

MIN_VERSION=602                 # 6.2, the first with XAUTOCLAIM
LOCK_WAIT_SECONDS=600           # the holder may be installing the server
DIR=${SYNAPSCALE_TEST_REDIS_DIR:-${TMPDIR:-/tmp}/synapscale-test-redis.$UID}
[[ $DIR == /* ]] || DIR=$PWD/$DIR
DIR=${DIR%/}
DATA=$DIR/data                  # the server's working directory; its command line names nothing else of ours
LOG=$DIR/redis.log
READY=$DIR/port                 # holds the port; written when the server answers

say() { printf 'redis: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# --- the server's programs -----------------------------------------------------------------------------------

SERVER=
CLI=
version_of() { "$1" --version 2>/dev/null | sed -nE 's/.* v=([0-9]+)\.([0-9]+).*/\1 \2/p'; }

find_server() {
  local folder name major minor
  for folder in ${SYNAPSCALE_REDIS_BIN:+"$SYNAPSCALE_REDIS_BIN/"} ""; do
    for name in redis valkey; do
      SERVER=$(command -v "$folder$name-server") && CLI=$(command -v "$folder$name-cli") || continue
      read -r major minor <<<"$(version_of "$SERVER")" || continue
      if [[ $major =~ ^[0-9]+$ ]] && ((major * 100 + minor >= MIN_VERSION)); then return; fi
    done
  done
  return 1
}

install_server() {
  local -a as_root=()
  local how="install Redis 6.2 or newer, or Valkey, e.g.:
  Debian, Ubuntu   sudo apt-get update && sudo apt-get install -y redis-server
  Fedora           sudo dnf install -y valkey
  Arch             sudo pacman -S valkey
  macOS            brew install redis
or set SYNAPSCALE_REDIS_BIN to the folder that holds redis-server and redis-cli"
  command -v apt-get >/dev/null || die "no server found: $how"
  if ((EUID != 0)); then
    sudo -n true 2>/dev/null || die "no server found, and no right to install one without a password: $how"
    as_root=(sudo -n)
  fi
  say "no server of version 6.2 or newer found: installing the package redis-server"
  "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 update >&2 9>&- || die "apt-get update failed; $how"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y \
    --no-install-recommends redis-server >&2 9>&- </dev/null || die "apt-get install failed; $how"
  find_server || die "the package installed is older than version 6.2: $how"
}

# --- state ---------------------------------------------------------------------------------------------------

# It needs no rights, so root lends it none: the package's own user, else nobody.
as_server() {
  local user=redis
  if ((EUID != 0)); then "$@" 9>&-; return; fi
  id -u "$user" >/dev/null 2>&1 || user=nobody
  if command -v runuser >/dev/null; then
    runuser -u "$user" -- "$@" 9>&-
  else
    setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups -- "$@" 9>&-
  fi
}

# Serialises start and stop. The file lies beside the directory and stays, so that nobody locks a deleted one.
take_lock() {
  mkdir -p -- "$(dirname -- "$DIR")"
  command -v flock >/dev/null || { say "no flock here: do not start two at once"; return; }
  exec 9>>"$DIR.lock"
  flock -w "$LOCK_WAIT_SECONDS" 9 || die "another start or stop held $DIR.lock for $LOCK_WAIT_SECONDS s"
}

ask() { "$CLI" -h 127.0.0.1 -p "$1" "${@:2}" 2>/dev/null </dev/null; }

# Our server answers on the port written down: another one may have been given the port since.
is_live() {
  local port
  [[ -s $READY ]] && port=$(<"$READY") && [[ $port =~ ^[0-9]+$ ]] || return 1
  [[ $(ask "$port" config get dir | tail -n 1) == "$DATA" ]]
}

remove_server() {
  local port tries
  if is_live; then
    port=$(<"$READY")
    ask "$port" shutdown nosave >/dev/null || true
    for ((tries = 0; tries < 100; tries++)); do
      ask "$port" ping >/dev/null || break
      sleep 0.1
    done
    ((tries < 100)) || die "the server on port $port does not stop; its log: $LOG"
  fi
  rm -rf -- "$DATA"
  rm -f -- "$READY" "$READY.new" "$LOG"
}

# --- start ---------------------------------------------------------------------------------------------------

make_dirs() {
  # A directory that somebody else laid in /tmp under our name is not ours to use.
  [[ ! -L $DIR ]] || die "$DIR is a symbolic link"
  [[ -d $DIR ]] || mkdir -m 0711 -- "$DIR"
  [[ -O $DIR ]] || die "$DIR belongs to somebody else; set SYNAPSCALE_TEST_REDIS_DIR to another directory"
  mkdir -m 0700 -- "$DATA"
  : >"$LOG"
  if ((EUID == 0)); then
    local user=redis
    id -u "$user" >/dev/null 2>&1 || user=nobody
    chown "$user" "$DATA" "$LOG"
    as_server test -w "$DATA" ||
      die "the user $user cannot reach $DATA: set SYNAPSCALE_TEST_REDIS_DIR to a directory below /tmp"
  fi
}

# Below the range from which outgoing connections get their ports. Somebody may take the port before the server
# binds it; then the next one is tried.
run_server() {
  local port tries waits
  for ((tries = 0; tries < 20; tries++)); do
    port=$((20000 + (RANDOM * 32768 + RANDOM) % 10000))
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then continue; fi
    as_server "$SERVER" --bind 127.0.0.1 --port "$port" --dir "$DATA" --logfile "$LOG" --daemonize yes \
      --save "" --appendonly no --databases 16 >/dev/null 2>&1 </dev/null || break
    for ((waits = 0; waits < 100; waits++)); do
      echo "$port" >"$READY.new" && mv -- "$READY.new" "$READY"
      if is_live; then return; fi
      sleep 0.1
    done
    rm -f -- "$READY"
    grep -q 'Address already in use' "$LOG" || break
  done
  cat "$LOG" >&2
  die "the server did not start (its log is above)"
}

start() {
  find_server || install_server
  if is_live; then
    say "already running, port $(<"$READY")"
    return
  fi
  remove_server
  make_dirs
  run_server
  say "$("$SERVER" --version | cut -d ' ' -f 1-3) runs on 127.0.0.1:$(<"$READY"), files in $DIR"
}

stop() {
  if [[ ! -e $DATA ]]; then
    say "none runs in $DIR"
  else
    find_server || die "a server's files lie in $DIR, but no programs are found to stop it with"
    remove_server
    say "stopped, files removed"
  fi
  rmdir -- "$DIR" 2>/dev/null || true
}

url() {
  if find_server && is_live; then
    echo "redis://127.0.0.1:$(<"$READY")"
    return
  fi
  die "none runs in $DIR: scripts/redis.sh start"
}

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" >&2; exit 2; }

case ${1:-} in start | stop | url | env) ;; *) usage ;; esac
cd / # the server's user may not be allowed to stand where the caller stands
case $1 in
  start) take_lock; start ;;
  stop) take_lock; stop ;;
  url) url ;;
  env) address=$(url); echo "export SYNAPSCALE_TEST_REDIS_URL=$address" ;;
esac
