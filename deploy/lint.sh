#!/usr/bin/env bash
# Formatting, clippy, and the rules of deny.toml where cargo-deny is installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo fmt --all --check
cargo clippy --workspace --all-targets --locked -- -D warnings
if command -v cargo-deny >/dev/null; then
  cargo deny --workspace check
else
  echo 'lint: cargo-deny is not installed, deny.toml was not checked (cargo install cargo-deny)' >&2
fi
