# Redis, from Debian's package; nothing is kept on disk. Sourced by services.sh.
# shellcheck shell=bash

redis_is_ours() { alive "$STATE/redis/pid" "$STATE/redis"; }

redis_answers() {
  starting "$STATE/redis/pid" || die "Redis ended while starting" "$STATE/redis/log"
  [ "$(timeout 2 redis-cli -h 127.0.0.1 -p "$(cat "$STATE/redis/port")" ping 2>/dev/null)" = PONG ]
}

# Starts Redis where it doesn't run, and prints its address.
redis_start() {
  local dir=$STATE/redis
  if ! redis_is_ours; then
    command -v redis-server >/dev/null && command -v redis-cli >/dev/null || install_packages redis-server
    mkdir -p "$dir"
    local port
    port=$(port_of redis 6379)
    : >"$dir/log"
    # Its title stays the command line, by which the process is known as ours.
    daemon "$dir/pid" "$dir/log" redis-server --bind 127.0.0.1 --port "$port" --dir "$dir" \
      --save '' --appendonly no --set-proc-title no
    wait_until 20 redis_answers || die "Redis did not start within 20 s" "$dir/log"
  fi
  printf '127.0.0.1:%s\n' "$(cat "$dir/port")"
}

redis_stop() { end "$STATE/redis/pid" "$STATE/redis"; }
