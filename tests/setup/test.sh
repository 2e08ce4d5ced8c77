#!/usr/bin/env bash
# Everything `make test` does: sets up, checks format and lints, runs all tests, lists what was skipped.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}

step() { printf '\n== %s (%d s)\n' "$1" "$SECONDS"; }

step "What the tests need on this machine"
bash tests/setup/setup.sh

step "Format and lints"
cargo fmt --all --check
cargo clippy --workspace --all-targets --locked -- -D warnings

step "Building the tests"
cargo test --workspace --locked --no-run

rm -f "$target/skipped.txt"
step "Tests"
result=0
if cargo nextest --version >/dev/null 2>&1; then
  cargo nextest run --workspace --locked --no-fail-fast || result=$?
else
  echo "cargo-nextest is not installed: using cargo test, which is slower"
  cargo test --workspace --locked --no-fail-fast || result=$?
fi

if [ -s "$target/skipped.txt" ]; then
  printf '\nSkipped on this machine:\n'
  sort -u "$target/skipped.txt"
fi
exit "$result"
