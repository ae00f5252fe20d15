#!/usr/bin/env bash
# Clients as users have them, which the tests send with: curl, Chromium, and a Python with gRPC under target/clients. Installs what is
# missing; quick where nothing is.
#
#   CHROMIUM     a Chromium or Chrome to use; default `chromium` on the PATH, from Debian's package
#   GRPC_PYTHON  a Python to use that has what tests/clients/requirements.txt names; default one of our own
set -euo pipefail
shopt -s inherit_errexit

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd "$HERE/../.." && pwd)
STATE=$(realpath -m "${CLIENTS_DIR:-$REPO/target/clients}")
readonly HERE REPO STATE

# shellcheck source=lib.sh
. "$HERE/lib.sh"

readonly VENV=$STATE/python
readonly REQUIREMENTS=$REPO/tests/clients/requirements.txt

python_makes_venvs() { python3 -c 'import ensurepip, venv' >/dev/null 2>&1; }

# Whether a Python can run the gRPC client: python_has_grpc PYTHON
python_has_grpc() { timeout 60 "$1" -c 'import grpc, grpc_reflection, grpc_tools.protoc' >/dev/null 2>&1; }

packages_install() {
  local packages=()
  command -v curl >/dev/null || packages+=(curl)
  [ -n "${CHROMIUM:-}" ] || command -v chromium >/dev/null || packages+=(chromium)
  [ -n "${GRPC_PYTHON:-}" ] || python_makes_venvs || packages+=(python3 python3-venv)
  [ ${#packages[@]} = 0 ] || install_packages "${packages[@]}"
  timeout 60 "${CHROMIUM:-chromium}" --version >"$STATE/chromium.log" 2>&1 </dev/null ||
    die "${CHROMIUM:-chromium} does not run" "$STATE/chromium.log"
}

python_install() {
  # The list is kept beside what was installed from it: a new list, or a Python that has gone, makes it new.
  if cmp -s "$REQUIREMENTS" "$VENV/requirements.txt" && python_has_grpc "$VENV/bin/python"; then
    return
  fi
  say "installing Python's gRPC client"
  local log=$STATE/python.log
  rm -rf "$VENV"
  {
    python3 -m venv "$VENV" &&
      timeout 600 "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
        --only-binary :all: -r "$REQUIREMENTS"
  } >"$log" 2>&1 </dev/null || die "pip could not install $REQUIREMENTS" "$log"
  python_has_grpc "$VENV/bin/python" || die "the installed Python gRPC client does not load" "$log"
  cp "$REQUIREMENTS" "$VENV/requirements.txt"
}

mkdir -p "$STATE"
exec 9>"$STATE/lock"
flock -w 900 9 || die "another installation of clients has not ended within 15 minutes"
packages_install
if [ -n "${GRPC_PYTHON:-}" ]; then
  python_has_grpc "$GRPC_PYTHON" || die "$GRPC_PYTHON lacks what $REQUIREMENTS names"
else
  python_install
fi
