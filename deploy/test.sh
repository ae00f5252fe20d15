#!/usr/bin/env bash
# Every check and test, on real services of its own, which it stops again whatever happens. Addresses that are in the environment
# already are used instead. Needs Rust, a C compiler and make; the services' packages are installed where they are missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mkdir -p target
exec 8>target/test.lock
flock -n 8 || {
  echo "test: another 'make test' runs in this checkout; wait for it" >&2
  exit 1
}

# Apart from a developer's `make services`: a state folder of its own and none of the usual ports.
export SERVICES_DIR=$PWD/target/services-test SERVICES_PORTS=any
child=

# Runs a step in a process group of its own, so that all of it can be ended, and waits for it in a way that signals interrupt.
step() {
  echo "test: $*" >&2
  set -m
  "$@" 8>&- </dev/null &
  child=$!
  set +m
  wait "$child"
  child=
}

clean_up() {
  local code=$?
  trap - EXIT INT TERM HUP
  if [ -n "$child" ]; then
    kill -TERM -- "-$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  fi
  deploy/services/services.sh stop 8>&- || true
  exit "$code"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# What a killed run has left.
deploy/services/services.sh stop 8>&-
step deploy/lint.sh
step deploy/services/services.sh start
step deploy/services/clients.sh
# shellcheck source=/dev/null
. "$SERVICES_DIR/env"
# The end-to-end tests start the binaries, which `cargo test` alone does not build.
step cargo build --workspace --bins --locked
step cargo test --workspace --locked --no-fail-fast
