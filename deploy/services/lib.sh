# What the service scripts share. Sourced by services.sh, which sets STATE (an absolute path).
# shellcheck shell=bash

say() { printf '%s\n' "$*" >&2; }

# Ends the script with a message, and with the end of a log where one is given: die MESSAGE [LOG]
die() {
  say "services: $1"
  if [ -n "${2:-}" ] && [ -r "$2" ]; then
    say "--- the last lines of $2"
    tail -n 30 "$2" >&2
  fi
  exit 1
}

# Whether something accepts connections on a loopback port: port_open PORT
port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Prints the given port, or a free one where it is taken or SERVICES_PORTS=any asks for no default: free_port DEFAULT
free_port() {
  if [ "${SERVICES_PORTS:-default}" = default ] && ! port_open "$1"; then
    printf '%s\n' "$1"
    return
  fi
  local port
  for _ in $(seq 1 100); do
    # Below the kernel's ephemeral range, so that no outgoing connection can take it before the service binds it.
    port=$((10000 + RANDOM % 22000))
    if ! port_open "$port"; then
      printf '%s\n' "$port"
      return
    fi
  done
  die "found no free port in 100 tries"
}

# Prints the port that a service had before, so that a restart keeps its address, else a free one: port_of SERVICE DEFAULT
port_of() {
  local file=$STATE/$1/port
  if [ ! -s "$file" ] || port_open "$(cat "$file")"; then
    mkdir -p "$STATE/$1"
    free_port "$2" >"$file"
  fi
  cat "$file"
}

# Runs a check five times a second until it succeeds, or fails at the deadline: wait_until SECONDS CHECK [ARG...]
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.2
  done
}

# Whether the process of a pid file runs and is ours, by a word of its command line (pids are used again): alive PIDFILE WORD
alive() {
  local pid
  [ -s "$1" ] && pid=$(cat "$1") && [ -r "/proc/$pid/cmdline" ] || return 1
  tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "$2"
}

# Whether the process that was just started has not ended; it may not have become its program yet: starting PIDFILE
starting() { grep -q '^State:[[:space:]]*[^Z[:space:]]' "/proc/$(cat "$1")/status" 2>/dev/null; }

dead() { ! alive "$@"; }

# Asks a process to end, and ends it after 20 s: end PIDFILE WORD
end() {
  alive "$1" "$2" || return 0
  local pid
  pid=$(cat "$1")
  # A paused process (kill -STOP) can't act on a signal until it goes on.
  kill -CONT "$pid" 2>/dev/null || true
  kill -TERM "$pid" 2>/dev/null || true
  wait_until 20 dead "$1" "$2" || kill -KILL "$pid" 2>/dev/null || true
  wait_until 5 dead "$1" "$2" || die "process $pid does not end"
}

# Starts a program in a session of its own, so that Ctrl-C in the terminal doesn't reach it: daemon PIDFILE LOG COMMAND...
daemon() {
  local pidfile=$1 log=$2
  shift 2
  # 9 is the lock of services.sh; a daemon that inherits it would hold it for ever.
  setsid nohup "$@" >>"$log" 2>&1 </dev/null 9>&- &
  echo $! >"$pidfile"
}

# Runs a command as root.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "needs root for: $*; install sudo or run it yourself, then try again"
  fi
}

# Installs Debian packages: install_packages NAME...
install_packages() {
  command -v apt-get >/dev/null || die "there is no apt-get; install $* by hand, or give the addresses of running services"
  say "installing $*"
  local log=$STATE/apt.log
  {
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
  } >"$log" 2>&1 </dev/null || die "apt-get could not install $*" "$log"
}
