#!/usr/bin/env bash
# The pages in a real Chromium, on the real server. Arguments go to the test runner, such as the name of a file.
#
#   scripts/browser.sh          tests the debug build, which `cargo test` or `cargo build` made
#   scripts/browser.sh scale    measures the release build with 10,000 runs and 20,000 tasks; fails above the limits
#
# Without Node or Chromium, and no right to install the latter, it says so and succeeds; with CI set it fails.
# SYNAPSCALE_BINARY    another build to test
# SYNAPSCALE_PICTURES  set to 1, the README's picture is made anew
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."

skip() {
  if [[ -n ${CI:-} ]]; then
    echo "browser: $1; with CI set that is a failure" >&2
    exit 1
  fi
  printf '\n*** browser tests SKIPPED: %s ***\n\n' "$1" >&2
  exit 0
}

if ! command -v npm >/dev/null 2>&1 || [[ ! -e web/dist/index.html ]]; then
  skip "no Node, or the pages are not built (scripts/web.sh)"
fi
SYNAPSCALE_CHROMIUM=$(scripts/chromium.sh path) || skip "there is no Chromium (see above)"
export SYNAPSCALE_CHROMIUM

profile=debug task=browser
if [[ ${1:-} == scale ]]; then
  profile=release task=browser:scale
  shift
fi
export SYNAPSCALE_BINARY=${SYNAPSCALE_BINARY:-$(scripts/target-dir.sh)/$profile/synapscale}
[[ -x $SYNAPSCALE_BINARY ]] || { echo "browser: there is no $SYNAPSCALE_BINARY; build it first" >&2; exit 1; }
npm run --silent --prefix web "$task" -- "$@"
