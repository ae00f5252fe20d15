#!/usr/bin/env bash
# Real Kafka, PostgreSQL and Redis on loopback, for development and tests.
#
#   services.sh start   starts what doesn't run yet and writes the addresses to $SERVICES_DIR/env
#   services.sh stop    stops what it started and removes its data
#
# An address that is in the environment already (KAFKA_BROKERS, REDIS_ADDR, POSTGRES_DSN) is used as it is, and that service is
# not started.
#
#   SERVICES_DIR    where state stands; default .services in the repository
#   SERVICES_PORTS  default: the services' usual ports where they are free; any: never those
#   SERVICES_BY     docker or packages; default: docker where an engine answers
#   KAFKA_NODES     1 or 3 nodes of Kafka, three by packages only; counts at the first start; default 1
set -euo pipefail
# A failure inside $(...) ends the script too.
shopt -s inherit_errexit

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd "$HERE/../.." && pwd)
STATE=$(realpath -m "${SERVICES_DIR:-$REPO/.services}")
readonly HERE REPO STATE

# shellcheck source=lib.sh
. "$HERE/lib.sh"
# shellcheck source=kafka.sh
. "$HERE/kafka.sh"
# shellcheck source=postgres.sh
. "$HERE/postgres.sh"
# shellcheck source=redis.sh
. "$HERE/redis.sh"
# shellcheck source=docker.sh
. "$HERE/docker.sh"

# Only one start or stop at a time, also of different state folders: two that look for free ports at once could find the same.
lock() {
  exec 9<"$HERE/services.sh"
  flock -w 900 9 || die "another start or stop has not ended within 15 minutes"
}

# How the services of this state folder are started: as they were before, as SERVICES_BY says, or as the machine allows.
way() {
  if [ -s "$STATE/by" ]; then
    cat "$STATE/by"
    return
  fi
  case ${SERVICES_BY:-} in
    docker | packages) printf '%s\n' "$SERVICES_BY" ;;
    '') if docker_answers; then echo docker; else echo packages; fi ;;
    *) die "SERVICES_BY is '$SERVICES_BY'; it is docker or packages" ;;
  esac
}

# Prints the value that a variable has in our env file, which a shell may have read: the services are ours all the same.
recorded() {
  [ -r "$STATE/env" ] || return 0
  # shellcheck source=/dev/null
  (. "$STATE/env" && printf '%s' "${!1:-}")
}

# Whether the environment names a service of its own: given VARIABLE
given() {
  local value=${!1:-}
  [ -n "$value" ] && { [ ! -e "$STATE/started-$1" ] || [ "$value" != "$(recorded "$1")" ]; }
}

# Settles one address, by the environment or by starting the service: settle VARIABLE SERVICE
settle() {
  local variable=$1 service=$2 address
  if given "$variable"; then
    address=${!variable}
    rm -f "$STATE/started-$variable"
    say "$service: as given by $variable"
  else
    if [ "$BY" = docker ]; then
      address=$(docker_address "$service")
    else
      address=$("${service}_start")
    fi
    touch "$STATE/started-$variable"
    say "$service: runs on ${address##*@}"
  fi
  printf 'export %s=%q\n' "$variable" "$address" >>"$STATE/env.new"
}

start() {
  mkdir -p "$STATE"
  lock
  BY=$(way)
  printf '%s\n' "$BY" >"$STATE/by"
  if [ "$BY" = docker ]; then
    local wanted=()
    given KAFKA_BROKERS || wanted+=(kafka)
    given POSTGRES_DSN || wanted+=(postgres)
    given REDIS_ADDR || wanted+=(redis)
    [ ${#wanted[@]} = 0 ] || docker_start "${wanted[@]}"
  fi
  : >"$STATE/env.new"
  settle KAFKA_BROKERS kafka
  settle POSTGRES_DSN postgres
  local password=''
  if given REDIS_ADDR; then password=${REDIS_PASSWORD:-}; fi
  settle REDIS_ADDR redis
  printf 'export REDIS_PASSWORD=%q\n' "$password" >>"$STATE/env.new"
  mv "$STATE/env.new" "$STATE/env"
  say "addresses: . $STATE/env"
}

stop() {
  if [ ! -d "$STATE" ]; then
    say "nothing to stop in $STATE"
    return
  fi
  lock
  if [ "$(cat "$STATE/by" 2>/dev/null)" = docker ]; then
    docker_stop
  else
    kafka_stop
    redis_stop
    postgres_stop
  fi
  rm -rf "$STATE"
  say "stopped, and its data removed"
}

case ${1:-} in
  start | stop) "$1" ;;
  *)
    say "usage: services.sh start|stop"
    exit 64
    ;;
esac
