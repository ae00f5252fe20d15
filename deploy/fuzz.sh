#!/usr/bin/env bash
# Runs each fuzz target for FUZZ_SECONDS (default 600), one after the other; FUZZ_TARGETS names fewer. Inputs that reach new code stay
# in tests/fuzz/corpus for the next run. A finding ends the run, and its input stands in tests/fuzz/artifacts: it belongs into a test.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! command -v cargo-fuzz >/dev/null; then
  echo 'fuzz: cargo-fuzz is not installed (cargo install cargo-fuzz)' >&2
  exit 1
fi
# libFuzzer's coverage works with the stable compiler. The sanitizers watch unsafe code, of which this project has none.
export RUSTC_BOOTSTRAP=1

fuzz() {
  local target=$1
  shift
  mkdir -p "tests/fuzz/corpus/$target"
  echo "fuzz: $target for ${FUZZ_SECONDS:-600} s" >&2
  cargo fuzz run --fuzz-dir tests/fuzz -s none "$target" "tests/fuzz/corpus/$target" "$@" \
    -max_total_time="${FUZZ_SECONDS:-600}" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
}

for target in ${FUZZ_TARGETS:-staging_record json_body protobuf_body user_agent mmdb_file}; do
  case $target in
    staging_record) fuzz "$target" schemas/tests/fixtures -- -max_len=4096 ;;
    json_body) fuzz "$target" tests/fuzz/seeds/json_body -- -max_len=4096 -dict=tests/fuzz/json.dict ;;
    mmdb_file) fuzz "$target" tests/fixtures/geoip -- -max_len=4096 ;;
    *) fuzz "$target" "tests/fuzz/seeds/$target" -- -max_len=2048 ;;
  esac
done
