#!/usr/bin/env bash
# Takes the pictures of the documentation anew: the real programs on a screen in memory, with the demo's
# company and its pretend phone system. Needs what tests/setup/setup.sh installs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
cargo build --workspace --bins --tests
PINKAS_PICTURES=$here PINKAS_REQUIRE_ALL=1 cargo test --workspace --test window pictures_of_the_documentation
ls -l "$here"/*.png
