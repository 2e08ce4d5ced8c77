#!/usr/bin/env bash
# Builds Pinkas and runs its demo. Needs a Rust toolchain and a C compiler; says so when one is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

need() {
  command -v "$1" >/dev/null 2>&1 || { echo "make demo needs $2" >&2; exit 1; }
}
need cargo "a Rust toolchain: see https://rustup.rs"
need cc "a C compiler: on Debian and Ubuntu, apt install gcc libc6-dev"

began=$SECONDS
if [ ! -x target/debug/pinkas-demo ]; then
  echo "Building Pinkas; the first time takes about five minutes on two cores…"
fi
cargo build --locked --workspace --bins
echo "Built in $((SECONDS - began)) s."
exec "${CARGO_TARGET_DIR:-target}/debug/pinkas-demo" "$@"
