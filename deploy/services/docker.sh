# The same three services as containers, where a Docker engine answers. Sourced by services.sh.
# shellcheck shell=bash

docker_answers() { command -v docker >/dev/null && timeout 10 docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; }

docker_compose() {
  # One project a checkout and state folder, so that two of them don't meet.
  local project
  project=gosight-services-$(printf '%s' "$STATE" | cksum | cut -d ' ' -f 1)
  timeout 900 docker compose -p "$project" -f "$REPO/deploy/compose.services.yaml" "$@" 9>&-
}

# Prints the port that a service has published, else a free one: docker_port SERVICE DEFAULT
docker_port() {
  mkdir -p "$STATE/$1"
  if [ -s "$STATE/$1/port" ] && [ -n "$(docker_compose ps -q --status running "$1" 2>/dev/null)" ]; then
    cat "$STATE/$1/port"
  else
    port_of "$1" "$2"
  fi
}

# Starts the named services and waits until each answers: docker_start kafka|postgres|redis...
docker_start() {
  local log=$STATE/docker.log
  KAFKA_PORT=$(docker_port kafka 9092)
  REDIS_PORT=$(docker_port redis 6379)
  POSTGRES_PORT=$(docker_port postgres 5432)
  export KAFKA_PORT REDIS_PORT POSTGRES_PORT
  if ! docker_compose up -d --wait --wait-timeout 180 "$@" >"$log" 2>&1 </dev/null; then
    docker_compose logs --tail 20 "$@" >>"$log" 2>&1 || true
    die "docker compose could not start $*; SERVICES_BY=packages starts them without Docker" "$log"
  fi
  case " $* " in
    *' postgres '*)
      cat "$REPO/deploy/sql/schema.sql" "$REPO/deploy/sql/development.sql" |
        docker_compose exec -T postgres psql -X -q -v ON_ERROR_STOP=1 -U gosight -d gosight >"$log" 2>&1 ||
        die "deploy/sql could not be applied" "$log"
      ;;
  esac
}

# Prints the address of a started service: docker_address kafka|postgres|redis
docker_address() {
  local port
  port=$(cat "$STATE/$1/port")
  case $1 in
    postgres) printf 'postgres://gosight:gosight@127.0.0.1:%s/gosight\n' "$port" ;;
    *) printf '127.0.0.1:%s\n' "$port" ;;
  esac
}

docker_stop() {
  KAFKA_PORT=0 REDIS_PORT=0 POSTGRES_PORT=0 docker_compose down --volumes --timeout 20 >"$STATE/docker.log" 2>&1 </dev/null ||
    die "docker compose could not stop the services" "$STATE/docker.log"
}
