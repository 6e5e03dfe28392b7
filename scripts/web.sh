#!/usr/bin/env bash
# Builds the web pages into web/dist, from which the server's build takes them. `web.sh test` checks and tests them too.
# With no Node it says so and goes on: the server builds without its pages.
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."

WANTED=20
found=$(node --version 2>/dev/null | sed -E 's/^v([0-9]+).*/\1/' || true)
if [[ -z $found ]] || ((found < WANTED)) || ! command -v npm >/dev/null 2>&1; then
  echo "web: no Node $WANTED or newer with npm (found: ${found:-none}); the server is built without its web pages" >&2
  exit 0
fi

cd web
# npm writes this file last; an older one is of an older lock file or of an installation that was broken off.
if [[ ! -e node_modules/.package-lock.json || package-lock.json -nt node_modules/.package-lock.json ]]; then
  npm ci --no-audit --no-fund --loglevel=error
  touch node_modules/.package-lock.json
fi
if [[ ${1:-} == test ]]; then
  npm run --silent check
  npm test --silent
fi
if [[ ! -e dist/index.html || -n $(find src public index.html package-lock.json vite.config.ts openapi.json -newer dist/index.html -print -quit) ]]; then
  npm run --silent build
  touch dist/index.html
fi
