#!/usr/bin/env bash
# Benchmarks, one after the other, on real services of its own, which it stops again whatever happens. Addresses that are in the
# environment already are used instead. GEOIP_DATABASE names a city file of real size for the enricher; BENCH_SOAK is how many seconds
# the edge's memory is watched at full load, 30 by default, 600 to see it flat over ten minutes. Tables, percentiles and plots stay
# under target/bench. About ten minutes once built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mkdir -p target
exec 8>target/bench.lock
flock -n 8 || {
  echo "bench: another 'make bench' runs in this checkout; wait for it" >&2
  exit 1
}

# Built before anything is started: the machine should be quiet while it measures.
cargo build --release --workspace --bins --locked
cargo bench -p gosight-tests --locked --no-run

# As brokers have it by default: the members of a new group share its partitions once, not twice while they are measured.
export SERVICES_DIR=$PWD/target/services-bench SERVICES_PORTS=any KAFKA_REBALANCE_DELAY_MS=3000
trap 'deploy/services/services.sh stop 8>&-' EXIT
deploy/services/services.sh start 8>&-
# shellcheck source=/dev/null
. "$SERVICES_DIR/env"
for name in edge enricher dev; do
  cargo bench -p gosight-tests --locked --bench "$name" 8>&-
done
