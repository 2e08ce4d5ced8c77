#!/usr/bin/env bash
# Everything `make bench` does: sets up what is measured against, builds optimised, measures. Ends with the list of
# what was promised and whether it is kept; fails when something is not.
set -euo pipefail
cd "$(dirname "$0")/../.."

# What is measured first must not hide what comes after it.
broken=0
step() { printf '\n== %s (%d s)\n' "$1" "$SECONDS"; }

step "What measuring needs on this machine"
bash tests/setup/setup.sh valgrind

step "Building the measurements (minutes, the first time)"
# In one command: what several share is then built once.
cargo build --locked --profile bench --workspace --example core_cost --bench pop --bench hearing --bench gather --bench serving --bench desktop

step "What gathering adds to the slowest source (about half a minute)"
cargo bench --locked --workspace --bench gather || broken=1

step "Building the programs as they are installed (minutes, the first time)"
# After what builds some of them less carefully, in the same place.
cargo build --locked --release --workspace --bins

step "From a NOTIFY on the wire to the screen (about a minute and a half)"
cargo bench --locked --workspace --bench pop

step "What serving costs (about four minutes)"
cargo bench --locked --workspace --bench serving || broken=1

# What it finds is part of the verdict, also when something is not kept: the rest is measured all the same.
step "From an update at the desktop's socket to pixels (about two minutes)"
cargo bench --locked --workspace --bench desktop || broken=1

step "What hearing costs (about four minutes)"
cargo bench --locked --workspace --bench hearing || broken=1

exit "$broken"
