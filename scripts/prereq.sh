#!/usr/bin/env bash
# Says what is missing to build this project, and exactly how to get it. `prereq.sh lint` also asks for the
# linters. Installs nothing.
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."

missing=0
need() {
  printf 'missing: %s\n%s\n' "$1" "$2" >&2
  missing=1
}
has() { command -v "$1" >/dev/null 2>&1; }

# The command of this system's package manager; $1: package name on Debian, $2 Fedora, $3 Arch.
package() {
  local sudo=""
  ((EUID == 0)) || sudo="sudo "
  if has apt-get; then echo "  ${sudo}apt-get update && ${sudo}apt-get install -y $1"
  elif has dnf; then echo "  ${sudo}dnf install -y $2"
  elif has pacman; then echo "  ${sudo}pacman -S --needed $3"
  elif [[ $(uname -s) == Darwin ]]; then echo "  xcode-select --install"
  else echo "  install the package of your system that provides it"; fi
}

wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
if ! has cargo; then
  need "cargo (Rust $wanted or newer)" "  install rustup as https://rustup.rs says, open a new shell, then: rustup toolchain install stable"
elif ! found=$(rustc --version 2>/dev/null | sed -E 's/^rustc ([0-9]+\.[0-9]+).*/\1/') || [[ -z $found ]]; then
  need "rustc (cargo is there)" "  rustup toolchain install stable && rustup default stable"
elif [[ $(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1) != "$wanted" ]]; then
  need "Rust $wanted or newer (found $found)" "  rustup update stable && rustup default stable"
elif [[ ${1:-} == lint ]]; then
  cargo fmt --version >/dev/null 2>&1 || need "rustfmt" "  rustup component add rustfmt"
  cargo clippy --version >/dev/null 2>&1 || need "clippy" "  rustup component add clippy"
fi
has make || need "make" "$(package make make make)"
has git || need "git" "$(package git git git)"
has cc || need "a C compiler, as \`cc\` (SQLite and the cryptography library are C)" "$(package build-essential gcc base-devel)"

if ((missing)); then exit 1; fi
