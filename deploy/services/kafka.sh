# Kafka in KRaft mode, from Maven Central: KAFKA_NODES nodes, each a broker and a controller. Sourced by services.sh.
# shellcheck shell=bash

readonly KAFKA_VERSION=4.1.0
# Outlives services-stop: the jars are 54 MB of downloads.
KAFKA_JARS=${XDG_CACHE_HOME:-${HOME:-$STATE}/.cache}/gosight/kafka-$KAFKA_VERSION
readonly KAFKA_JARS

kafka_java_is_17() {
  local version
  version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
  [ "${version:-0}" -ge 17 ]
}

kafka_install() {
  local packages=()
  command -v java >/dev/null && kafka_java_is_17 || packages+=(default-jre-headless)
  [ -d "$KAFKA_JARS" ] || command -v mvn >/dev/null || packages+=(maven)
  [ ${#packages[@]} = 0 ] || install_packages "${packages[@]}"
  kafka_java_is_17 || die "Kafka $KAFKA_VERSION needs Java 17 or newer as 'java' on the PATH; this is $(java -version 2>&1 | head -n 1)"
  [ -d "$KAFKA_JARS" ] || kafka_download
}

kafka_download() {
  say "downloading Kafka $KAFKA_VERSION from Maven Central"
  local log=$STATE/kafka-download.log partial
  mkdir -p "$(dirname "$KAFKA_JARS")"
  # Moved into place when complete, so that an interrupted download is never taken for a whole one.
  partial=$(mktemp -d "$KAFKA_JARS.XXXXXX")
  if ! timeout 900 mvn -q -B -f "$HERE/kafka-pom.xml" -Dkafka.version="$KAFKA_VERSION" \
    org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$partial" >"$log" 2>&1 </dev/null; then
    rm -rf "$partial"
    die "Maven could not download Kafka $KAFKA_VERSION" "$log"
  fi
  mv -T "$partial" "$KAFKA_JARS" 2>/dev/null || rm -rf "$partial"
}

# Where a node has its state: kafka_dir NODE
kafka_dir() { if [ "$1" = 1 ]; then echo "$STATE/kafka"; else echo "$STATE/kafka-$1"; fi; }

# The nodes that have been configured, else those that are wanted. With more than one they are three: copies and quorums need that many.
kafka_nodes() {
  if [ -s "$STATE/kafka/nodes" ]; then cat "$STATE/kafka/nodes"; else seq 1 "${KAFKA_NODES:-1}"; fi
}

# Writes the configuration of every node, which names the ports of all.
kafka_configure() {
  local node dir voters='' nodes
  nodes=$(kafka_nodes)
  for node in $nodes; do
    dir=$(kafka_dir "$node")
    port_of "${dir##*/}" $((9092 + 10 * (node - 1))) >/dev/null
    port_of "${dir##*/}/controller" $((9093 + 10 * (node - 1))) >/dev/null
    voters+=${voters:+,}$node@127.0.0.1:$(cat "$dir/controller/port")
  done
  for node in $nodes; do
    dir=$(kafka_dir "$node")
    kafka_configuration "$node" "$dir" "$voters" "$(wc -w <<<"$nodes")" >"$dir/server.properties"
  done
  printf '%s\n' "$nodes" >"$STATE/kafka/nodes"
}

# kafka_configuration NODE DIR VOTERS COUNT
kafka_configuration() {
  local port controller copies=1 in_sync=1 session=9000 heartbeat=2000
  port=$(cat "$2/port")
  controller=$(cat "$2/controller/port")
  if [ "$4" -ge 3 ]; then copies=3 in_sync=2 session=3000 heartbeat=500; fi
  cat <<P
process.roles=broker,controller
node.id=$1
controller.quorum.voters=$3
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$2/data

# A mistyped topic is an error, as in production.
auto.create.topics.enable=false

# The internal topics, those of transactions too: on one node they have one copy.
offsets.topic.replication.factor=$copies
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=$copies
transaction.state.log.min.isr=$in_sync
transaction.state.log.num.partitions=8
share.coordinator.state.topic.replication.factor=$copies
share.coordinator.state.topic.min.isr=$in_sync
min.insync.replicas=$in_sync

# Among several nodes, the partitions of one that died get new leaders soon.
broker.session.timeout.ms=$session
broker.heartbeat.interval.ms=$heartbeat

# The first member of a group doesn't wait for others, unless KAFKA_REBALANCE_DELAY_MS says so; sessions of 2 s are allowed, so that tests see a dead member soon.
group.initial.rebalance.delay.ms=${KAFKA_REBALANCE_DELAY_MS:-0}
group.min.session.timeout.ms=1000

# A transaction that nobody ends holds readers back; look for those every second, not every ten.
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000

# Small: one machine shares it with everything else.
num.network.threads=3
num.io.threads=4
log.cleaner.dedupe.buffer.size=8388608
log.index.size.max.bytes=1048576
log.segment.bytes=134217728
P
}

# Prints the start of a java command, a word a line: kafka_jvm HEAP
kafka_jvm() {
  printf '%s\n' java "-Xmx$1" -Xms128m -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:+ExitOnOutOfMemoryError \
    -Djava.awt.headless=true "-Dlog4j2.configurationFile=$HERE/kafka-log4j2.yaml" -cp "$KAFKA_JARS/*"
}

# kafka_is_ours NODE
kafka_is_ours() {
  local dir
  dir=$(kafka_dir "$1")
  alive "$dir/pid" "$dir/server.properties"
}

kafka_some_run() {
  local node
  for node in $(kafka_nodes); do
    if kafka_is_ours "$node"; then return 0; fi
  done
  return 1
}

# kafka_answers DIR
kafka_answers() {
  starting "$1/pid" || die "Kafka ended while starting" "$1/log"
  grep -q 'Kafka Server started' "$1/log" && port_open "$(cat "$1/port")"
}

# Starts one node and doesn't wait for it: kafka_launch NODE HEAP
kafka_launch() {
  local dir java features=()
  dir=$(kafka_dir "$1")
  # Kafka 4.1 may leave an only copy without a leader for ever: where its broker dies and takes longer than its session to come back.
  [ "$(kafka_nodes | wc -w)" != 1 ] || features=(--feature eligible.leader.replicas.version=0)
  mapfile -t java < <(kafka_jvm "$2")
  : >"$dir/log"
  if [ ! -f "$dir/data/meta.properties" ]; then
    "${java[@]}" -Dgosight.log=ERROR kafka.tools.StorageTool format -t "$(cat "$STATE/kafka/cluster")" -c "$dir/server.properties" \
      "${features[@]}" \
      >"$dir/log" 2>&1 </dev/null || die "Kafka's data directory could not be formatted" "$dir/log"
  fi
  daemon "$dir/pid" "$dir/log" "${java[@]}" kafka.Kafka "$dir/server.properties"
}

# Starts the nodes that don't run, and prints the addresses of all.
kafka_start() {
  local node dir heap=512m addresses='' started=()
  # Those that run know the ports of the others.
  kafka_some_run || kafka_configure
  [ -s "$STATE/kafka/cluster" ] || head -c 64 /dev/urandom | base64 -w 0 | tr -dc 'A-Za-z0-9' | cut -c 1-22 >"$STATE/kafka/cluster"
  [ "$(kafka_nodes | wc -w)" = 1 ] || heap=320m
  for node in $(kafka_nodes); do
    dir=$(kafka_dir "$node")
    addresses+=${addresses:+,}127.0.0.1:$(cat "$dir/port")
    kafka_is_ours "$node" || started+=("$node")
  done
  [ ${#started[@]} = 0 ] || kafka_install
  for node in "${started[@]}"; do
    kafka_launch "$node" "$heap"
  done
  for node in "${started[@]}"; do
    dir=$(kafka_dir "$node")
    wait_until 90 kafka_answers "$dir" || die "Kafka did not start within 90 s" "$dir/log"
  done
  printf '%s\n' "$addresses"
}

kafka_stop() {
  local node dir nodes
  nodes=$(kafka_nodes)
  for node in $nodes; do
    dir=$(kafka_dir "$node")
    # The last ones of a quorum can't end in order; the data goes anyway.
    if [ "$(wc -w <<<"$nodes")" != 1 ] && kafka_is_ours "$node"; then kill -KILL "$(cat "$dir/pid")" 2>/dev/null || true; fi
    end "$dir/pid" "$dir/server.properties"
  done
}
