#!/usr/bin/env bash
# A Chromium for the browser tests: finds one, or installs the system's package where that is allowed.
#
#   scripts/chromium.sh path    print the program; installs the package when there is none (exit 1: there is none)
#   scripts/chromium.sh find    the same without installing anything
#
# SYNAPSCALE_CHROMIUM  the program, when it is not where it usually is
set -euo pipefail

say() { printf 'chromium: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# Ubuntu's package is a stub that wants snap: only what says its version is a browser.
works() { [[ -x $1 ]] && "$1" --version 2>/dev/null </dev/null | grep -qi chrom; }

find_browser() {
  local name found cache
  if [[ -n ${SYNAPSCALE_CHROMIUM:-} ]]; then
    works "$SYNAPSCALE_CHROMIUM" || die "SYNAPSCALE_CHROMIUM is $SYNAPSCALE_CHROMIUM, which is no Chromium that starts"
    echo "$SYNAPSCALE_CHROMIUM"
    return
  fi
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if found=$(command -v "$name") && works "$found"; then echo "$found"; return; fi
  done
  cache=${PLAYWRIGHT_BROWSERS_PATH:-${XDG_CACHE_HOME:-${HOME:-/none}/.cache}/ms-playwright}
  for found in "$cache"/chromium-*/chrome-linux*/chrome \
    "${HOME:-/none}"/Library/Caches/ms-playwright/chromium-*/chrome-mac*/*.app/Contents/MacOS/* \
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" /Applications/Chromium.app/Contents/MacOS/Chromium; do
    if works "$found"; then echo "$found"; return; fi
  done
  return 1
}

install_browser() {
  local -a as_root=()
  local log how="install Chromium, e.g.:
  Debian           sudo apt-get update && sudo apt-get install -y chromium
  Fedora           sudo dnf install -y chromium
  Arch             sudo pacman -S chromium
or set SYNAPSCALE_CHROMIUM to a Chromium or Chrome that is there"
  command -v apt-get >/dev/null || die "none found: $how"
  if ((EUID != 0)); then
    sudo -n true 2>/dev/null || die "none found, and no right to install one without a password: $how"
    as_root=(sudo -n)
  fi
  say "none found: installing the package chromium (some minutes, once)"
  log=$(mktemp)
  for step in "update" "install -y --no-install-recommends chromium"; do
    # shellcheck disable=SC2086 # the step is several words
    if ! ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive \
      apt-get -o DPkg::Lock::Timeout=300 $step >"$log" 2>&1 </dev/null; then
      tail -n 20 "$log" >&2
      rm -f -- "$log"
      die "apt-get $step failed; $how"
    fi
  done
  rm -f -- "$log"
}

case ${1:-} in
  find) find_browser || die "none found; scripts/chromium.sh path installs one where it may" ;;
  path)
    find_browser && exit 0
    install_browser
    find_browser || die "the package that was installed does not start (Ubuntu's wants snap): set SYNAPSCALE_CHROMIUM"
    ;;
  *) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
