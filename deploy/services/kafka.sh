# Kafka: one node in KRaft mode, from Maven Central. Sourced by services.sh.
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

# kafka_configuration PORT CONTROLLER_PORT
kafka_configuration() {
  cat <<P
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$2
listeners=PLAINTEXT://127.0.0.1:$1,CONTROLLER://127.0.0.1:$2
advertised.listeners=PLAINTEXT://127.0.0.1:$1
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$STATE/kafka/data

# A mistyped topic is an error, as in production.
auto.create.topics.enable=false

# One node: the internal topics, those of transactions too, have one copy.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=8
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1

# The first member of a group doesn't wait for others; sessions of 2 s are allowed, so that tests see a dead member soon.
group.initial.rebalance.delay.ms=0
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

kafka_is_ours() { alive "$STATE/kafka/pid" "$STATE/kafka/server.properties"; }

kafka_answers() {
  starting "$STATE/kafka/pid" || die "Kafka ended while starting" "$STATE/kafka/log"
  grep -q 'Kafka Server started' "$STATE/kafka/log" && port_open "$(cat "$STATE/kafka/port")"
}

# Starts Kafka where it doesn't run, and prints its address.
kafka_start() {
  local dir=$STATE/kafka
  if ! kafka_is_ours; then
    kafka_install
    mkdir -p "$dir"
    local port controller java
    port=$(port_of kafka 9092)
    controller=$(free_port 9093)
    kafka_configuration "$port" "$controller" >"$dir/server.properties"
    mapfile -t java < <(kafka_jvm 512m)
    : >"$dir/log"
    if [ ! -f "$dir/data/meta.properties" ]; then
      local cluster
      cluster=$(head -c 64 /dev/urandom | base64 -w 0 | tr -dc 'A-Za-z0-9' | cut -c 1-22)
      "${java[@]}" -Dgosight.log=ERROR kafka.tools.StorageTool format -t "$cluster" -c "$dir/server.properties" \
        >"$dir/log" 2>&1 </dev/null || die "Kafka's data directory could not be formatted" "$dir/log"
    fi
    daemon "$dir/pid" "$dir/log" "${java[@]}" kafka.Kafka "$dir/server.properties"
    wait_until 90 kafka_answers || die "Kafka did not start within 90 s" "$dir/log"
  fi
  printf '127.0.0.1:%s\n' "$(cat "$dir/port")"
}

kafka_stop() { end "$STATE/kafka/pid" "$STATE/kafka/server.properties"; }
