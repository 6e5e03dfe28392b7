#!/usr/bin/env bash
# A throw-away PostgreSQL for the tests: finds (or installs) a server of version 15 or newer and runs one
# cluster in a scratch directory, on a free port of 127.0.0.1 and a unix socket inside that directory.
#
#   scripts/postgres.sh start   start it, or reuse the one that runs; a dead leftover is removed first
#   scripts/postgres.sh stop    stop it and delete its files
#   scripts/postgres.sh url     print its URL (exit 1 when none runs)
#   scripts/postgres.sh env     print the same as an `export` line, for eval
#   scripts/postgres.sh halt    end it as a power cut would, and keep its files
#   scripts/postgres.sh resume  start what was halted, on the same port
#
# SYNAPSCALE_TEST_DIR  the scratch directory; default ${TMPDIR:-/tmp}/synapscale-test-pg.$UID
# SYNAPSCALE_PG_BIN    the folder of initdb and postgres, when they are not where they usually are
set -euo pipefail

MIN_VERSION=15
ROLE=synapscale                 # what the tests connect as: no superuser, may create databases and roles
LOCK_WAIT_SECONDS=600           # the holder may be installing the server
DIR=${SYNAPSCALE_TEST_DIR:-${TMPDIR:-/tmp}/synapscale-test-pg.$UID}
[[ $DIR == /* ]] || DIR=$PWD/$DIR
DIR=${DIR%/}
DATA=$DIR/pgdata
SOCKET=$DIR/pgsock              # readable by the server's user only: the superuser logs in through it
LOG=$DIR/postgres.log
READY=$DIR/port                 # holds the port; written when the cluster is ready to use

# A caller's own PostgreSQL settings must not lead us to another server.
unset "${!PG@}"

say() { printf 'postgres: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# --- the server's programs -----------------------------------------------------------------------------------

PG_BIN=
version_of() { "$1/postgres" --version 2>/dev/null | sed -E 's/^[^0-9]*([0-9]+).*/\1/'; }

find_server() {
  local dir version best=0
  PG_BIN=
  for dir in ${SYNAPSCALE_PG_BIN:+"$SYNAPSCALE_PG_BIN"} /usr/lib/postgresql/*/bin /usr/pgsql-*/bin \
    /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin \
    "$(pg_config --bindir 2>/dev/null || true)" "$(dirname -- "$(command -v postgres || echo /none/postgres)")"; do
    [[ -x $dir/postgres && -x $dir/initdb && -x $dir/pg_ctl && -x $dir/psql ]] || continue
    version=$(version_of "$dir")
    [[ $version =~ ^[0-9]+$ ]] || continue
    if ((version >= MIN_VERSION && version > best)); then best=$version PG_BIN=$dir; fi
  done
  [[ -n $PG_BIN ]]
}

install_server() {
  local -a as_root=()
  local how="install PostgreSQL $MIN_VERSION or newer (server and client), e.g.:
  Debian, Ubuntu   sudo apt-get update && sudo apt-get install -y postgresql
  Fedora           sudo dnf install -y postgresql-server
  Arch             sudo pacman -S postgresql
  macOS            brew install postgresql@17
or set SYNAPSCALE_PG_BIN to the folder that holds initdb and postgres"
  command -v apt-get >/dev/null || die "no server found: $how"
  if ((EUID != 0)); then
    sudo -n true 2>/dev/null || die "no server found, and no right to install one without a password: $how"
    as_root=(sudo -n)
  fi
  say "no server of version $MIN_VERSION or newer found: installing the package postgresql"
  "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 update >&2 9>&- || die "apt-get update failed; $how"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y \
    --no-install-recommends postgresql >&2 9>&- </dev/null || die "apt-get install failed; $how"
  find_server || die "the package installed is older than version $MIN_VERSION: $how"
}

# --- the user it runs as: PostgreSQL refuses to run as root --------------------------------------------------

PG_USER=
choose_user() {
  ((EUID == 0)) || { PG_USER=$(id -un); return; }
  PG_USER=postgres
  id -u "$PG_USER" >/dev/null 2>&1 && return
  PG_USER=synapscale-pg
  id -u "$PG_USER" >/dev/null 2>&1 && return
  useradd --system --user-group --no-create-home --home-dir / --shell /usr/sbin/nologin "$PG_USER" ||
    die "could not create the user $PG_USER"
}

# The lock's descriptor is closed for children: a server that inherited it would hold the lock for ever.
as_server() {
  if ((EUID != 0)); then
    "$@" 9>&-
  elif command -v runuser >/dev/null; then
    runuser -u "$PG_USER" -- "$@" 9>&-
  else
    setpriv --reuid "$PG_USER" --regid "$(id -g "$PG_USER")" --init-groups -- "$@" 9>&-
  fi
}

# --- state ---------------------------------------------------------------------------------------------------

# Serialises start and stop. The file lies beside the directory and stays, so that nobody locks a deleted one.
take_lock() {
  mkdir -p -- "$(dirname -- "$DIR")"
  command -v flock >/dev/null || { say "no flock here: do not start two at once"; return; }
  exec 9>>"$DIR.lock"
  flock -w "$LOCK_WAIT_SECONDS" 9 || die "another start or stop held $DIR.lock for $LOCK_WAIT_SECONDS s"
}

superuser() { as_server "$PG_BIN/psql" -XqAt -v ON_ERROR_STOP=1 -h "$SOCKET" -p "$1" -U postgres -d postgres "${@:2}"; }

# Our server answers on the port written down, both on the private socket and as the tests reach it.
is_live() {
  local port
  [[ -s $READY ]] && port=$(<"$READY") && [[ $port =~ ^[0-9]+$ ]] || return 1
  [[ $(superuser "$port" -c 'show data_directory' </dev/null 2>/dev/null) == "$DATA" ]] || return 1
  as_server "$PG_BIN/psql" -XqAt -h 127.0.0.1 -p "$port" -U "$ROLE" -d postgres -c 'select 1' </dev/null >/dev/null 2>&1
}

# The id of the process that serves our data directory. A pid file alone proves nothing: ids are used again.
server_pid() {
  local pid
  pid=$(head -n 1 "$DATA/postmaster.pid" 2>/dev/null) && [[ $pid =~ ^[0-9]+$ ]] || return 1
  if [[ -d /proc/self ]]; then
    [[ $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") == *"$DATA "* ]] || return 1
  else
    [[ $(ps -p "$pid" -o command= 2>/dev/null) == *"$DATA"* ]] || return 1
  fi
  echo "$pid"
}

# After a killed server its children see that it is gone and leave within moments.
wait_gone() {
  local pid=$1 tries
  for ((tries = 0; tries < 100; tries++)); do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.1
  done
  return 1
}

remove_cluster() {
  local pid
  if pid=$(server_pid); then
    as_server "$PG_BIN/pg_ctl" -D "$DATA" -m fast -w -t 20 stop >/dev/null 2>&1 </dev/null ||
      as_server "$PG_BIN/pg_ctl" -D "$DATA" -m immediate -w -t 20 stop >/dev/null 2>&1 </dev/null ||
      kill -KILL "$pid" 2>/dev/null || true
    wait_gone "$pid" || die "the server (process $pid) does not stop; its log: $LOG"
  fi
  delete_files
}

# Twice, since a killed server's last child may still write while the first one walks.
delete_files() {
  rm -rf -- "$DATA" "$SOCKET" 2>/dev/null || { sleep 1; rm -rf -- "$DATA" "$SOCKET"; }
  rm -f -- "$READY" "$READY.new" "$LOG"
}

# --- start ---------------------------------------------------------------------------------------------------

make_dirs() {
  # A directory that somebody else laid in /tmp under our name is not ours to use.
  [[ ! -L $DIR ]] || die "$DIR is a symbolic link"
  [[ -d $DIR ]] || mkdir -m 0711 -- "$DIR"
  [[ -O $DIR ]] || die "$DIR belongs to somebody else; set SYNAPSCALE_TEST_DIR to another directory"
  if ((${#SOCKET} > 80)); then die "the path $SOCKET is too long for a unix socket: set SYNAPSCALE_TEST_DIR to a shorter one"; fi
  mkdir -m 0700 -- "$DATA" "$SOCKET"
  : >"$LOG"
  if ((EUID == 0)); then
    chown "$PG_USER" "$DATA" "$SOCKET" "$LOG"
    as_server test -w "$DATA" ||
      die "the user $PG_USER cannot reach $DATA: set SYNAPSCALE_TEST_DIR to a directory below /tmp"
  fi
}

init_cluster() {
  local -a locale=(--locale=C)
  if locale -a 2>/dev/null | grep -qiE '^C\.utf-?8$'; then locale=(--locale=C.UTF-8); fi
  as_server "$PG_BIN/initdb" -D "$DATA" -U postgres -A trust -E UTF8 "${locale[@]}" --no-sync >>"$LOG" 2>&1 </dev/null ||
    { cat "$LOG" >&2; die "initdb failed"; }
  # Data written by tests is synced as in production: what they measure and survive should be true.
  as_server tee -a "$DATA/postgresql.conf" >/dev/null <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = '$SOCKET'
max_connections = 300
shared_buffers = 128MB
fsync = on
synchronous_commit = on
timezone = 'UTC'
log_timezone = 'UTC'
CONF
  # No passwords, but on loopback only; the superuser only through the private socket.
  as_server tee "$DATA/pg_hba.conf" >/dev/null <<'CONF'
local all all trust
host all postgres 127.0.0.1/32 reject
host all all 127.0.0.1/32 trust
CONF
}

# Below the range from which outgoing connections get their ports. Somebody may take the port before the server
# binds it; then the next one is tried.
run_server() {
  local port tries
  for ((tries = 0; tries < 20; tries++)); do
    port=$((20000 + (RANDOM * 32768 + RANDOM) % 10000))
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then continue; fi
    if as_server "$PG_BIN/pg_ctl" -D "$DATA" -l "$LOG" -w -t 60 -o "-p $port" start >/dev/null 2>&1 </dev/null; then
      superuser "$port" -c "create role $ROLE login createdb createrole nosuperuser nobypassrls" </dev/null >>"$LOG" 2>&1 ||
        { cat "$LOG" >&2; die "could not create the role $ROLE"; }
      echo "$port" >"$READY.new" && mv -- "$READY.new" "$READY"
      return
    fi
    grep -qE 'Address already in use|could not bind' "$LOG" || break
  done
  cat "$LOG" >&2
  die "the server did not start (its log is above)"
}

start() {
  find_server || install_server
  choose_user
  if is_live; then
    say "already running, port $(<"$READY")"
    return
  fi
  if [[ -e $DATA ]]; then
    say "removing a dead leftover in $DIR"
    remove_cluster
  fi
  delete_files # what a start that was killed half-way left
  make_dirs
  init_cluster
  run_server
  say "PostgreSQL $(version_of "$PG_BIN") runs on 127.0.0.1:$(<"$READY"), files in $DIR"
}

stop() {
  if [[ ! -e $DATA ]]; then
    say "none runs in $DIR"
  else
    find_server || die "a cluster lies in $DIR, but no server programs are found to stop it with"
    choose_user
    remove_cluster
    say "stopped, files removed"
  fi
  rmdir -- "$DIR" 2>/dev/null || true
}

# For tests of what happens without a database: never for the cluster that others share.
halt() {
  find_server && [[ -s $READY ]] || die "none runs in $DIR"
  choose_user
  as_server "$PG_BIN/pg_ctl" -D "$DATA" -m immediate -w -t 30 stop >/dev/null </dev/null || die "it does not stop"
}

resume() {
  find_server && [[ -s $READY ]] || die "none was halted in $DIR"
  choose_user
  as_server "$PG_BIN/pg_ctl" -D "$DATA" -l "$LOG" -w -t 60 -o "-p $(<"$READY")" start >/dev/null </dev/null ||
    die "it does not start again; its log: $LOG"
}

url() {
  if find_server && [[ -e $DATA ]]; then
    choose_user
    if is_live; then
      echo "postgres://$ROLE@127.0.0.1:$(<"$READY")/postgres"
      return
    fi
  fi
  die "none runs in $DIR: scripts/postgres.sh start"
}

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" >&2; exit 2; }

case ${1:-} in start | stop | halt | resume | url | env) ;; *) usage ;; esac
cd / # the server's user may not be allowed to stand where the caller stands
case $1 in
  start) take_lock; start ;;
  stop) take_lock; stop ;;
  halt) take_lock; halt ;;
  resume) take_lock; resume ;;
  url) url ;;
  env) address=$(url); echo "export SYNAPSCALE_TEST_POSTGRES_URL=$address" ;;
esac
