# PostgreSQL, from Debian's package. Sourced by services.sh.
# shellcheck shell=bash

# PostgreSQL refuses to run as root: then it runs as the user that its package makes.
postgres_as_user() {
  if [ "$(id -u)" = 0 ]; then
    (cd / && runuser -u postgres -- "$@")
  else
    "$@"
  fi
}

# Prints the folder of the newest installed server's programs; nothing where there is none.
postgres_programs() {
  local newest
  newest=$(find /usr/lib/postgresql -path '*/bin/initdb' 2>/dev/null | sort -V | tail -n 1)
  if [ -n "$newest" ]; then
    dirname "$newest"
  elif command -v initdb >/dev/null; then
    dirname "$(readlink -f "$(command -v initdb)")"
  fi
}

postgres_install() {
  [ -z "$(postgres_programs)" ] || return 0
  # Without this the package starts a database server of its own.
  local conf=/etc/postgresql-common/createcluster.d/gosight-services.conf
  as_root mkdir -p "$(dirname "$conf")"
  echo 'create_main_cluster = false' | as_root tee "$conf" >/dev/null
  install_packages postgresql
  as_root rm -f "$conf"
  [ -n "$(postgres_programs)" ] || die "the package postgresql brought no initdb"
}

# Prints where the data stands: under STATE, or in a temporary folder where the unprivileged user can't reach STATE.
postgres_home() {
  local dir=$STATE/postgres
  if [ ! -s "$dir/home" ]; then
    local home=$dir
    if ! postgres_as_user test -x "$dir"; then
      home=$(mktemp -d "${TMPDIR:-/tmp}/gosight-postgres.XXXXXX")
      chmod 755 "$home"
    fi
    printf '%s\n' "$home" >"$dir/home"
  fi
  cat "$dir/home"
}

postgres_pg_ctl() { postgres_as_user "$(postgres_programs)/pg_ctl" -s -D "$(postgres_home)/data" "$@" 9>&-; }

postgres_is_ours() { [ -s "$STATE/postgres/home" ] && postgres_pg_ctl status >/dev/null 2>&1; }

postgres_dsn() { printf 'postgres://gosight:gosight@127.0.0.1:%s/%s\n' "$(cat "$STATE/postgres/port")" "$1"; }

postgres_psql() { "$(postgres_programs)/psql" -X -q -v ON_ERROR_STOP=1 "$@" 2>&1 </dev/null; }

postgres_create_cluster() {
  local home=$1
  (umask 077 && mkdir -p "$home/data")
  [ "$(id -u)" != 0 ] || chown -R postgres "$home/data"
  # The password is no secret: it is the development default of config/edge.yaml, on loopback only.
  postgres_as_user bash -c '"$1/initdb" -D "$2" -U gosight --auth=scram-sha-256 --pwfile=<(echo gosight) -E UTF8 --locale=C' \
    - "$(postgres_programs)" "$home/data" >"$STATE/postgres/log" 2>&1 </dev/null ||
    die "PostgreSQL's data directory could not be made" "$STATE/postgres/log"
}

# Starts PostgreSQL where it doesn't run, brings the schema and the development keys in, and prints its address.
postgres_start() {
  local dir=$STATE/postgres
  mkdir -p "$dir"
  postgres_install
  if ! postgres_is_ours; then
    local home port
    home=$(postgres_home)
    [ -s "$home/data/PG_VERSION" ] || postgres_create_cluster "$home"
    port=$(port_of postgres 5432)
    # No socket file (its path may be too long), and no syncing: what stands here can be made again.
    if ! postgres_pg_ctl start -w -t 60 -l "$home/data/server.log" \
      -o "-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories= -c fsync=off -c shared_buffers=32MB"; then
      die "PostgreSQL did not start within 60 s" "$home/data/server.log"
    fi
  fi
  if [ -z "$(postgres_psql -d "$(postgres_dsn postgres)" -tAc "SELECT 1 FROM pg_database WHERE datname = 'gosight'")" ]; then
    postgres_psql -d "$(postgres_dsn postgres)" -c 'CREATE DATABASE gosight' >"$dir/log" ||
      die "the database gosight could not be made" "$dir/log"
  fi
  postgres_psql -d "$(postgres_dsn gosight)" -f "$REPO/deploy/sql/schema.sql" -f "$REPO/deploy/sql/development.sql" >"$dir/log" ||
    die "deploy/sql could not be applied" "$dir/log"
  postgres_dsn gosight
}

postgres_stop() {
  [ -s "$STATE/postgres/home" ] || return 0
  if postgres_is_ours; then
    postgres_pg_ctl stop -m fast -w -t 20 || postgres_pg_ctl stop -m immediate -w -t 10 || die "PostgreSQL does not end"
  fi
  rm -rf "$(cat "$STATE/postgres/home")"
}
