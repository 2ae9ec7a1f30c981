#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A short random run with waveforms, opened in GTKWave when there is a display:
# tests/waves.sh [BUILD]. SEED (1) chooses the run.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build} seed=${SEED:-1}
fst=$build/waves/seed$seed.fst
mkdir -p "$build/waves"
"$build/dmt" cosim --seed "$seed" --walks 500 --waves "$fst"
if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    exec gtkwave "$fst" "${fst%.fst}.gtkw"
fi
echo "No display here. To look: gtkwave $fst ${fst%.fst}.gtkw"
