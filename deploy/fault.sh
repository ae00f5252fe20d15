#!/usr/bin/env bash
# The long fault test: a million events on real Kafka while edges, enrichers and brokers are killed and frozen at random, once on one
# broker and once on three. It starts what it needs and stops it again whatever happens. About fifteen minutes a run once built.
#
#   FAULT_SEED     decides events and faults; printed at the start; default: the time
#   FAULT_EVENTS   so many events at the least; default 1000000
#   FAULT_BROKERS  1 or 3; default: both, one after the other
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mkdir -p target
exec 8>target/fault.lock
flock -n 8 || {
  echo "fault: another 'make fault' runs in this checkout; wait for it" >&2
  exit 1
}

cargo build --release --workspace --bins --locked
cargo bench -p gosight-tests --locked --bench fault --no-run

# PostgreSQL and Redis; the test has a Kafka of its own.
export SERVICES_DIR=$PWD/target/services-fault SERVICES_PORTS=any KAFKA_BROKERS=${KAFKA_BROKERS:-none}
clean_up() {
  deploy/services/services.sh stop 8>&-
  # An interrupted test leaves its Kafka.
  for directory in target/tmp/exactly-once-million-[13]; do
    SERVICES_DIR=$directory deploy/services/services.sh stop 8>&-
  done
}
trap clean_up EXIT
deploy/services/services.sh start 8>&-
# shellcheck source=/dev/null
. "$SERVICES_DIR/env"
for brokers in ${FAULT_BROKERS:-1 3}; do
  FAULT_BROKERS=$brokers cargo bench -p gosight-tests --locked --bench fault 8>&-
done
